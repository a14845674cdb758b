"""Which clock of a case a message tells of, and what may turn out otherwise once it is told."""

from contracts.events import Event, Fact
from contracts.facts import (
    CaseAcceptedV1,
    CaseCallAnsweredV1,
    CaseCalledV1,
    CaseDeadlineMissedV1,
    CaseDeadlineSetV1,
    WhistleAnsweredV1,
    WhistleAnswerMovedV1,
    WhistleReleasedV1,
    WhistleRuledV1,
    WhistleStageMovedV1,
    WhistleUnansweredV1,
    WhistleUnreleasedV1,
    WhistleUnruledV1,
    WhistleWithdrawnV1,
)
from services.notify.store.moots import Moot
from services.notify.whistles import WHISTLE_NOTICES

NOTICE_OF_MISS = "deadline_missed"
CALL_NOTICES = ("urgent_after_hours", "backup_called")  # a call's reason is its notice
_CALL = "call"


def clock_of(fact: Fact) -> str | None:
    """Return which of the case's clocks a fact is about, where that may turn out otherwise."""
    match fact:
        case CaseDeadlineMissedV1(deadline=deadline) | CaseDeadlineSetV1(deadline=deadline):
            return deadline
        case CaseCalledV1():
            return _CALL
        case (
            WhistleUnansweredV1(unit=unit)
            | WhistleAnsweredV1(unit=unit)
            | WhistleAnswerMovedV1(unit=unit)
        ):
            return f"call_upward/{unit}"
        case (
            WhistleUnreleasedV1(department=department)
            | WhistleReleasedV1(department=department)
            | WhistleStageMovedV1(stage="release", department=department)
        ):
            return f"release/{department}"
        case (
            WhistleUnruledV1(department=department)
            | WhistleRuledV1(department=department)
            | WhistleWithdrawnV1(department=department)
        ):
            return f"rule/{department}"
        case _:
            return None


def moot_by(event: Event) -> tuple[Moot, ...]:
    """Return what has been told of a case and is so no more."""
    key = (event.tenant_id, event.subject_id)
    match event.data:
        case CaseCallAnsweredV1() | CaseAcceptedV1():
            return tuple(Moot(*key, notice, _CALL) for notice in CALL_NOTICES)
        case CaseDeadlineSetV1(miss_withdrawn=True):
            notice = NOTICE_OF_MISS
        case WhistleAnsweredV1() | WhistleAnswerMovedV1(miss_withdrawn=True):
            notice = WHISTLE_NOTICES[WhistleUnansweredV1]
        case WhistleReleasedV1() | WhistleStageMovedV1(stage="release", miss_withdrawn=True):
            notice = WHISTLE_NOTICES[WhistleUnreleasedV1]
        case WhistleRuledV1() | WhistleWithdrawnV1():
            notice = WHISTLE_NOTICES[WhistleUnruledV1]
        case _:
            return ()
    return (Moot(*key, notice, clock_of(event.data) or ""),)
