"""What the API shows: models for the answers, and the words for what is refused."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from services.chassis.http import Problem
from services.routing.domain.values import CLASS_DEADLINE, Refused
from services.routing.store.cases import Kept


class OwnerView(BaseModel):
    """Who answers: a role at a unit, and the person where one is rostered."""

    unit: str
    role: str
    staff: str | None


class ClockView(BaseModel):
    """A running clock. Without `due_at` it is not armed: it counts duty time."""

    deadline: str
    due_at: datetime | None
    armed: bool


class FollowUpView(BaseModel):
    """More from the reporter. `key_conflict`: another body under the same idempotency key."""

    reason: str
    received_at: datetime
    text: dict[str, str]


class CaseView(BaseModel):
    """A case as its handlers see it. `expected_seq` of the next step is this `seq`."""

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
    front_end: str
    category: str
    case_class: str
    severity: str
    flow: str
    profile_version: int
    received_at: datetime
    due_at: datetime | None
    clocks: list[ClockView]
    whistles: list[dict[str, Any]]
    allowed_steps: list[str]
    text: dict[str, str]
    follow_ups: list[FollowUpView]


class QueueEntry(BaseModel):
    """One open case of a unit, without its words."""

    case_id: UUID
    number: str
    state: str
    seq: int
    owner: OwnerView
    category: str
    case_class: str
    severity: str
    received_at: datetime


class Queue(BaseModel):
    """A page of a unit's open cases, the oldest first. With `more`, ask again `after` the last."""

    unit: str
    cases: list[QueueEntry]
    more: bool


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
    clocks: Sequence[tuple[str, datetime | None]],
    steps: Sequence[str],
    text: Mapping[str, str],
    follow_ups: Sequence[FollowUpView],
) -> CaseView:
    case = kept.case
    due = next((due_at for deadline, due_at in clocks if deadline == CLASS_DEADLINE), None)
    return CaseView(
        case_id=case.case_id,
        number=kept.number,
        tenant=kept.tenant_id,
        state=case.state,
        seq=case.seq,
        owner=owner_view(kept),
        grid=case.grid,
        village=case.village,
        placed_by=case.placed_by,
        fallback=case.fallback,
        front_end=kept.front_end,
        category=case.category,
        case_class=case.case_class,
        severity=case.severity,
        flow=case.flow,
        profile_version=kept.profile_version,
        received_at=case.received_at,
        due_at=due,
        clocks=[ClockView(deadline=d, due_at=at, armed=at is not None) for d, at in clocks],
        whistles=[],
        allowed_steps=list(steps),
        text=dict(text),
        follow_ups=list(follow_ups),
    )


def owner_view(kept: Kept) -> OwnerView:
    owner = kept.case.owner
    return OwnerView(unit=owner.unit, role=owner.role, staff=owner.staff)


def queue_entry(row: Mapping[str, Any]) -> QueueEntry:
    owner = OwnerView(unit=row["owner_unit"], role=row["owner_role"], staff=row["owner_staff"])
    return QueueEntry.model_validate({**row, "owner": owner})


def not_found() -> Problem:
    """Say that there is no such case; another tenant's is answered alike."""
    return Problem(404, "case_not_found", "没有这件事。", "There is no such case.")


def forbidden() -> Problem:
    """Say that the case is another unit's, and nothing else of it."""
    zh, en = "这件事不归您的单位。", "This case does not belong to your unit."
    return Problem(403, "unit_not_allowed", zh, en)


_REFUSALS = {
    "unknown_step": (422, "流程中没有这一步", "the flow has no such step"),
    "step_not_allowed": (409, "现在不能走这一步", "this step is not possible in this state"),
    "role_not_allowed": (403, "您的角色不能走这一步", "your role may not take this step"),
    "unit_not_allowed": (403, "这件事不归您的单位", "this case does not belong to your unit"),
    "not_the_handler": (403, "只有承办人能走这一步", "only the handler may take this step"),
    "same_person": (403, "这一步须由另一个人来做", "another person must take this step"),
    "needs_missing": (422, "还缺必填内容", "something needed is missing"),
    "stale": (
        409,
        "别人刚刚动过这件事，请看过现状再试",
        "somebody has acted since: look, then retry",
    ),
}


def refusal(refused: Refused, kept: Kept) -> Problem:
    """Say why not, what would be possible, and where the case stands now."""
    status, zh, en = _REFUSALS[refused.code]
    named = f"（{'、'.join(refused.names)}）" if refused.names else ""
    return Problem(
        status,
        refused.code,
        f"{zh}{named}。",
        f"{en[0].upper()}{en[1:]}. See `names`.",
        names=list(refused.names),
        state=kept.case.state,
        seq=kept.case.seq,
    )
