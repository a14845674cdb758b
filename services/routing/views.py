"""What the API shows: models for the answers, and the words for what is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from pydantic import BaseModel

from services.chassis.http import Problem
from services.routing.domain.values import CLASS_DEADLINE, Refused, UpwardCall
from services.routing.domain.whistle import Slot
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
    release does.
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
    """What was said with a whistle: why it was blown or refused, a ruling, an answer, a result."""

    seq: int
    type: str
    occurred_at: datetime
    department: str | None
    words: dict[str, str]


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


@dataclass(frozen=True, slots=True)
class Words:
    """All that was said of a case, opened."""

    text: Mapping[str, str]
    follow_ups: Sequence[FollowUpView]
    said: Sequence[SaidView]


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


def _whistle_of(slot: Slot) -> tuple[datetime, UUID]:
    return slot.blown_at, slot.whistle_id


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
    "whistle_open": (
        409,
        "还有部门没有报到",
        "departments have yet to report in; settle it after they have",
    ),
    "whistle_not_allowed": (409, "这件事现在不能吹哨", "no whistle can be blown on this case"),
    "departments_missing": (422, "没有点名部门", "no department is named"),
    "unknown_department": (422, "没有这个部门", "there is no such department to call"),
    "lead_not_named": (422, "牵头部门不在被点名的部门里", "the lead is not among the departments"),
    "already_called": (409, "这个部门已经被吹哨", "the department has been called already"),
    "not_called": (403, "没有点名这个部门", "this department was not called"),
    "department_not_yours": (403, "这不是您的部门", "this is not your department"),
    "means_not_allowed": (422, "不能用这种方式报到", "this is no way to report in here"),
    "slot_ended": (409, "这次报到已经了结", "this department's part has ended"),
    "not_reported_in": (409, "还没有报到", "it has not reported in yet"),
    "not_withdrawable": (409, "不能撤回", "a call cannot be taken back here"),
    "refusal_rejected": (
        409,
        "退回已被驳回，请报到",
        "its refusal was rejected: it must report in",
    ),
    "nothing_to_rule": (409, "没有待裁定的退回", "it has no refusal to be decided"),
    "same_department": (
        422,
        "不能由退回的部门顶替自己，请在 call 里另点部门",
        "a department cannot take its own place: name another in `call`",
    ),
    "upward_not_allowed": (409, "这件事不能上呼", "the level above cannot be called for this case"),
    "already_called_upward": (409, "已经上呼，正等答复", "it was called and has yet to answer"),
    "already_answered": (409, "已经答复过", "it has answered already"),
    "consultation_not_allowed": (
        409,
        "这件事不能会诊",
        "no joint consultation is held on this case",
    ),
    "not_joint": (422, "会诊至少要两个部门", "a joint consultation takes two departments"),
    "still_awaited": (409, "还有部门没有报到", "departments have yet to report in"),
    "nobody_called": (409, "现在没有叫人", "nobody is called to this case now"),
    "transfer_open": (
        409,
        "已有一次移交在等人接，请先撤回",
        "an offer waits to be taken; withdraw it first",
    ),
    "transfer_ended": (409, "这次移交已经了结", "this offer has ended"),
    "transfer_not_allowed": (
        409,
        "这件事已经结案，不能移交",
        "a closed case cannot be transferred",
    ),
    "to_oneself": (
        422,
        "不能移交给自己，to 请写别人",
        "a case cannot go to its own owner; name another in `to`",
    ),
    "unknown_receiver": (
        422,
        "没有这个人或这个岗位，请改 to",
        "there is no such person or post; mend `to`",
    ),
    "cannot_accept": (
        422,
        "对方的角色不能受理，to 请换人",
        "the receiver's role may not accept cases; name another in `to`",
    ),
    "not_the_receiver": (403, "这件事不是移交给您的", "this case is not offered to you"),
    "not_the_owner": (403, "只有承办人能移交", "only the owner may do this"),
    "sheet_received": (409, "这张移交单已经签收", "this sheet has been signed for"),
    "stale": (
        409,
        "别人刚刚动过这件事，请看过现状再试",
        "somebody has acted since: look, then retry",
    ),
    "seq_ahead": (
        409,
        "expected_seq 比这件事现在的序号还大，现在是",
        "`expected_seq` is ahead of the case, which has come as far as `seq` tells",
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
