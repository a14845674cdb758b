"""What is told of each fact among the lines of what happened lately."""

from collections.abc import Mapping
from dataclasses import replace

from contracts.events import Event, Fact
from contracts.facts import (
    CaseAcceptedV1,
    CaseAssignedV1,
    CaseCalledV1,
    CaseClosedV1,
    CaseConsultedV1,
    CaseDeadlineMissedV1,
    CaseDeadlineWarnedV1,
    CaseEscalatedV1,
    CaseFollowUpKeptV1,
    CaseHandedOverV1,
    CaseOpenedV1,
    CaseReopenedV1,
    CaseResolvedV1,
    CaseReturnVisitedV1,
    CaseStepTakenV1,
    WhistleAnsweredV1,
    WhistleArrivedV1,
    WhistleBlownV1,
    WhistleCalledUpwardV1,
    WhistleCorrectedV1,
    WhistleMissedV1,
    WhistleRefusedV1,
    WhistleReleasedV1,
    WhistleReportedInV1,
    WhistleRuledV1,
    WhistleStageMissedV1,
    WhistleUnansweredV1,
    WhistleUnruledV1,
    WhistleWarnedV1,
    WhistleWithdrawnV1,
)
from services.console import hands
from services.console.domain.acts import Act, ActKind
from services.console.domain.board import BoardCase

TOLD: Mapping[type[Fact], ActKind] = {
    CaseOpenedV1: "opened",
    CaseAssignedV1: "assigned",
    CaseCalledV1: "called",
    CaseHandedOverV1: "handed_over",
    CaseAcceptedV1: "accepted",
    CaseStepTakenV1: "step",
    CaseDeadlineWarnedV1: "warned",
    CaseDeadlineMissedV1: "missed",
    CaseResolvedV1: "resolved",
    CaseReturnVisitedV1: "visited",
    CaseClosedV1: "step",
    CaseReopenedV1: "reopened",
    CaseFollowUpKeptV1: "followed_up",
    WhistleBlownV1: "blown",
    WhistleReportedInV1: "reported_in",
    WhistleArrivedV1: "arrived",
    WhistleRefusedV1: "refused",
    WhistleWarnedV1: "due_soon",
    WhistleMissedV1: "not_come",
    WhistleCorrectedV1: "corrected",
    WhistleReleasedV1: "released",
    WhistleWithdrawnV1: "withdrawn",
    WhistleCalledUpwardV1: "called_upward",
    WhistleRuledV1: "ruled",
    WhistleStageMissedV1: "not_there",
    WhistleAnsweredV1: "answered",
    WhistleUnansweredV1: "unanswered",
    WhistleUnruledV1: "unruled",
    CaseConsultedV1: "consulted",
    CaseEscalatedV1: "escalated",
}


def act_of(event: Event, before: BoardCase | None) -> Act | None:
    """Return what is told of a fact, if anything."""
    kind = TOLD.get(type(event.data))
    if kind is None:
        return None
    by = getattr(event.data, "by", None)
    who = (by.unit, by.role) if by else (None, None)
    act = Act(event.tenant_id, event.subject_id, event.occurred_at, kind, None, *who)
    match event.data:
        case CaseAssignedV1(owner=owner) if before and before.owner_unit == owner.unit:
            return None  # the opening or the step has told it
        case CaseOpenedV1(owner=owner) | CaseAssignedV1(owner=owner):
            act = replace(act, to_unit=owner.unit, to_role=owner.role)
        case CaseStepTakenV1(step=step, owner=owner):
            act = replace(act, step=step)
            if before is None or before.owner_unit != owner.unit:
                act = replace(act, to_unit=owner.unit, to_role=owner.role)
        case CaseReturnVisitedV1(satisfied=satisfied):
            act = replace(act, satisfied=satisfied)
        case CaseClosedV1(state=state):
            act = replace(act, ended=state)
        case _:
            return hands.told(act, event.data)
    return act
