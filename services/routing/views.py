"""What the API shows: models for the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel

from contracts.facts import Border
from services.routing.domain.slot import Slot
from services.routing.domain.values import CLASS_DEADLINE, UpwardCall
from services.routing.hands import (
    CallView,
    FirstAskedView,
    HandoverView,
    Hands,
    OwnerView,
    TransferView,
    owner_view,
)
from services.routing.store.cases import Kept

Stage = Literal["called", "reported_in", "arrived", "released"]


class ClockView(BaseModel):
    """A running clock. Without `due_at` it is not armed: it counts duty time.

    `provisional`: it rests on a year whose days off are not announced yet.
    """

    deadline: str
    due_at: datetime | None
    armed: bool
    provisional: bool


class SlotView(BaseModel):
    """One department's part. `late` stays unknown until it has come.

    `proposed` is whom it named when it refused, `ruling` what the arbiter made of that;
    `arrive_due_at` is told where a clock for arriving runs, `release_due_at` where one for its
    release does, `ruling_due_at` where one for the ruling did.
    """

    whistle_id: UUID
    department: str
    lead: bool
    due_at: datetime | None
    provisional: bool
    stage: Stage
    outcome: str | None
    means: str | None
    reported_in_at: datetime | None
    arrived_at: datetime | None
    arrive_due_at: datetime | None
    release_due_at: datetime | None
    ruling_due_at: datetime | None
    proposed: str | None
    ruling: str | None


class WhistleView(BaseModel):
    """One whistle and the departments that it called."""

    whistle_id: UUID
    blown_at: datetime
    slots: list[SlotView]


class UpwardView(BaseModel):
    """A call to the level above, and whether its unit has answered."""

    whistle_id: UUID
    unit: str
    called_at: datetime
    due_at: datetime | None
    outcome: str | None
    answered_at: datetime | None


class SaidView(BaseModel):
    """What was said with a step or a whistle: a reason, an instruction, an answer, a result."""

    seq: int
    type: str
    occurred_at: datetime
    department: str | None
    words: dict[str, str]


class FollowUpView(BaseModel):
    """More from the reporter.

    `key_conflict`: another body under the same idempotency key; `withdrawal_asked`: he would take
    it back, and the flow has no step for that now.
    """

    reason: str
    received_at: datetime
    text: dict[str, str]
    attachments: list[str] = []


class CaseView(BaseModel):
    """A case as its handlers see it. `expected_seq` of the next step is this `seq`.

    `attachments` are the ids of what came with the report and with steps, in that order.
    """

    case_id: UUID
    number: str
    tenant: str
    state: str
    seq: int
    owner: OwnerView
    grid: str | None
    village: str | None
    placed_by: str | None
    fallback: str | None
    border: Border | None = None
    front_end: str
    category: str
    case_class: str
    severity: str
    flow: str
    profile_version: int
    received_at: datetime
    due_at: datetime | None
    clocks: list[ClockView]
    whistles: list[WhistleView]
    calls_upward: list[UpwardView]
    allowed_steps: list[str]
    text: dict[str, str]
    follow_ups: list[FollowUpView]
    said: list[SaidView]
    joint: list[OwnerView] = []
    first_asked: FirstAskedView | None = None
    call: CallView | None = None
    transfer: TransferView | None = None
    handover: HandoverView | None = None
    attachments: list[str] = []


@dataclass(frozen=True, slots=True)
class Words:
    """All that was said of a case, opened."""

    text: Mapping[str, str]
    follow_ups: Sequence[FollowUpView]
    said: Sequence[SaidView]


class QueueEntry(BaseModel):
    """One open case of a unit, without its words. `near_border`: look whose it is."""

    case_id: UUID
    number: str
    state: str
    seq: int
    owner: OwnerView
    category: str
    case_class: str
    severity: str
    received_at: datetime
    near_border: bool = False


class Queue(BaseModel):
    """A page of a unit's open cases, the oldest first. With `more`, ask again `after` the last.

    `joint` are those it has together with another unit that leads; `transfers` are offered to it,
    `handovers` wait to be signed for.
    """

    unit: str
    cases: list[QueueEntry]
    more: bool
    joint: list[QueueEntry] = []
    transfers: list[TransferView] = []
    handovers: list[HandoverView] = []


class HistoryEntry(BaseModel):
    """One fact of a case. Sealed words are left out."""

    seq: int
    type: str
    occurred_at: datetime
    data: dict[str, Any]


class History(BaseModel):
    case_id: UUID
    facts: list[HistoryEntry]


class WhyEntry(BaseModel):
    """One rule that was tried, whether it held, and because of what."""

    rule: str
    held: bool
    because: str


class Why(BaseModel):
    case_id: UUID
    number: str
    tried: list[WhyEntry]


def case_view(
    kept: Kept,
    clocks: Sequence[tuple[str, datetime | None, bool]],
    steps: Sequence[str],
    words: Words,
    called: Sequence[Slot],
    calls: Sequence[UpwardCall],
    in_hands: Hands,
) -> CaseView:
    case = kept.case
    due = next((due_at for deadline, due_at, _ in clocks if deadline == CLASS_DEADLINE), None)
    return CaseView(
        case_id=case.case_id,
        number=kept.number,
        tenant=kept.tenant_id,
        state=case.state,
        seq=case.seq,
        owner=owner_view(case.owner),
        grid=case.grid,
        village=case.village,
        placed_by=case.placed_by,
        fallback=case.fallback,
        border=Border.model_validate(asdict(case.border)) if case.border else None,
        front_end=kept.front_end,
        category=case.category,
        case_class=case.case_class,
        severity=case.severity,
        flow=case.flow,
        profile_version=kept.profile_version,
        received_at=case.received_at,
        due_at=due,
        clocks=[
            ClockView(deadline=name, due_at=at, armed=at is not None, provisional=provisional)
            for name, at, provisional in clocks
        ],
        whistles=_whistles(called),
        calls_upward=[upward_view(call) for call in calls],
        allowed_steps=list(steps),
        text=dict(words.text),
        follow_ups=list(words.follow_ups),
        said=list(words.said),
        **in_hands,
    )


def slot_view(slot: Slot) -> SlotView:
    stages = ((slot.released_at, "released"), (slot.arrived_at, "arrived"))
    came: Stage = "reported_in" if slot.reported_in_at is not None else "called"
    return SlotView(
        whistle_id=slot.whistle_id,
        department=slot.department,
        lead=slot.lead,
        due_at=slot.due_at,
        provisional=slot.provisional,
        stage=next((cast("Stage", name) for at, name in stages if at is not None), came),
        outcome=slot.outcome,
        means=slot.means,
        reported_in_at=slot.reported_in_at,
        arrived_at=slot.arrived_at,
        arrive_due_at=slot.arrive_due_at,
        release_due_at=slot.release_due_at,
        ruling_due_at=slot.ruling_due_at,
        proposed=slot.proposed,
        ruling=slot.ruling,
    )


def upward_view(call: UpwardCall) -> UpwardView:
    return UpwardView(**asdict(call))


def _whistles(called: Sequence[Slot]) -> list[WhistleView]:
    by_whistle: dict[UUID, list[Slot]] = {}
    for slot in called:  # in the order in which they were called
        by_whistle.setdefault(slot.whistle_id, []).append(slot)
    return [
        WhistleView(whistle_id=id_, blown_at=mine[0].blown_at, slots=[slot_view(s) for s in mine])
        for id_, mine in by_whistle.items()
    ]


def queue_entry(row: Mapping[str, Any]) -> QueueEntry:
    owner = OwnerView(unit=row["owner_unit"], role=row["owner_role"], staff=row["owner_staff"])
    return QueueEntry.model_validate({**row, "owner": owner})
