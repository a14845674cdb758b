"""Every fact of the path from a report to a closed case.

A fact says what happened, in the past tense, and carries its version in its name. Fields are only
ever added, with a default; a changed meaning is a new class beside the old one. Free text and
contacts stand in `Sealed` alone.
"""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.events import Fact

Clock = Literal["calendar", "duty"]


class Part(BaseModel):
    """A part of a fact's body."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Sealed(Part):
    """Personal data: each field encrypted with one data key, which travels wrapped beside them.

    `fields` maps a field's name to base64(nonce | ciphertext | tag), AES-256-GCM with
    `tenant|subject|name` as associated data; `key` is the data key, wrapped alike by the tenant's
    key `kid`.
    """

    kid: str
    key: str
    fields: dict[str, str]


class Point(Part):
    """A point as it was given, in its own system."""

    lat: float
    lon: float
    crs: str


class Location(Part):
    """Where it is said to be. The address stands in `Sealed`.

    The point is in WGS-84, degrees; `given` is what the front end sent, where that was another
    system.
    """

    lat: float | None = Field(None, ge=-90, le=90)
    lon: float | None = Field(None, ge=-180, le=180)
    crs: Literal["wgs84"] | None = None
    given: Point | None = None
    village: str | None = None
    grid: str | None = None
    household_id: str | None = None


class Owner(Part):
    """Who answers for the case: a role at a unit, and the person where one is rostered."""

    unit: str
    role: str
    staff: str | None = None


Means = Literal["app_ack", "on_site", "remote"]
FollowUpReason = Literal["key_conflict", "reporter", "withdrawal_asked"]


class Actor(Part):
    """Who did it. `staff` is an opaque id; `system` acts by rule."""

    staff: str
    role: str
    unit: str | None = None


# --- intake.events ---------------------------------------------------------------------------


class CaseReportedV1(Fact):
    """Published by intake when it accepts a report.

    Sealed: summary, description, address, name, phone, openid.
    """

    TYPE = "case.reported.v1"
    front_end: str
    category: str | None = None
    severity: str | None = None
    case_class: str | None = Field(None, alias="class")
    occurred_at: AwareDatetime | None = None
    anonymous: bool = False
    location: Location = Location()
    attachments: tuple[str, ...] = ()
    sealed: Sealed


class CaseFollowedUpV1(Fact):
    """Published by intake when it accepts more about a case from its reporter. Sealed: description.

    `front_end` is `track` where he wrote himself, by his tracking code; else it wrote for him.
    """

    TYPE = "case.followed_up.v1"
    front_end: str
    attachments: tuple[str, ...] = ()
    sealed: Sealed


class CaseWithdrawnV1(Fact):
    """Published by intake when a reporter takes his report back; the rules decide what follows.

    Sealed: reason. `front_end` as in `case.followed_up.v1`.
    """

    TYPE = "case.withdrawn.v1"
    front_end: str
    sealed: Sealed


class CaseStepRequestedV1(Fact):
    """Published by intake when a front end or a department's software hands in an act.

    It counts from the moment at which the broker took it. `by` is what the front end vouches for.
    """

    TYPE = "case.step_requested.v1"
    front_end: str
    act: Literal["report_in"]
    whistle_id: UUID
    department: str
    means: Means
    by: Actor


# --- routing.events --------------------------------------------------------------------------


class Border(Part):
    """A point near a grid's border: metres to it, and the other grids within reach."""

    metres: float
    near: tuple[str, ...] = ()


class CaseOpenedV1(Fact):
    """Published by routing when it registers a report: number, grid, owner, profile pinned.

    `fallback` names why no grid could be told; `border` is there where a person should look.
    `reporter` holds sealed contacts alone; `attachments` are the report's.
    """

    TYPE = "case.opened.v1"
    number: str
    front_end: str
    category: str
    severity: str
    case_class: str = Field(alias="class")
    flow: str
    profile_version: int
    state: str
    grid: str | None = None
    village: str | None = None
    placed_by: Literal["household", "grid", "point", "village"] | None = None
    fallback: str | None = None
    border: Border | None = None
    owner: Owner
    received_at: AwareDatetime
    reporter: Sealed | None = None
    attachments: tuple[str, ...] = ()


class CaseAssignedV1(Fact):
    """Published by routing when the system chooses the owner.

    `joint` are those who are assigned beside him (AB角); he leads.
    """

    TYPE = "case.assigned.v1"
    owner: Owner
    rule: str
    joint: tuple[Owner, ...] = ()


class CaseCalledV1(Fact):
    """Published by routing when people are called to a case and asked to answer.

    `call` counts from 1; `told` are those who only need to know; `via` is how, empty: by the rule.
    Without `ack_due_at` nobody is called after them.
    """

    TYPE = "case.called.v1"
    reason: Literal["urgent_after_hours", "backup_called"]
    call: int
    called: tuple[Owner, ...]
    told: tuple[Owner, ...] = ()
    via: tuple[str, ...] = ()
    ack_due_at: AwareDatetime | None = None


class CaseCallAnsweredV1(Fact):
    """Published by routing when somebody who was called answers."""

    TYPE = "case.call_answered.v1"
    call: int
    by: Actor


class CaseTransferOfferedV1(Fact):
    """Published by routing when the owner offers a case to somebody. Sealed: reason.

    Until it is taken the case stays with `owner`.
    """

    TYPE = "case.transfer_offered.v1"
    transfer_id: UUID
    owner: Owner
    to: Owner
    by: Actor
    sealed: Sealed | None = None


class CaseTransferEndedV1(Fact):
    """Published by routing when an offer is declined or withdrawn: the owner keeps the case."""

    TYPE = "case.transfer_ended.v1"
    transfer_id: UUID
    outcome: Literal["declined", "withdrawn"]
    by: Actor
    sealed: Sealed | None = None


class CaseHandedOverV1(Fact):
    """Published by routing when a case has been taken over: by a transfer or by a sheet."""

    TYPE = "case.handed_over.v1"
    from_owner: Owner
    owner: Owner
    by: Actor
    transfer_id: UUID | None = None
    handover_id: UUID | None = None


class HandoverFiledV1(Fact):
    """Published by routing when what came in after hours is filed for the morning (移交单).

    `unit` is where it is to be signed for by `due_at`.
    """

    TYPE = "handover.filed.v1"
    handover_id: UUID
    number: str
    unit: str
    owner: Owner
    due_at: AwareDatetime


class HandoverReceivedV1(Fact):
    """Published by routing when the daytime worker signs for a hand-over sheet."""

    TYPE = "handover.received.v1"
    handover_id: UUID
    number: str
    at: AwareDatetime
    late: bool
    by: Actor


class CaseAcceptedV1(Fact):
    """Published by routing with the first person's step from the flow's start (受理)."""

    TYPE = "case.accepted.v1"
    by: Actor


class CaseStepTakenV1(Fact):
    """Published by routing for each step of the flow. Sealed: reason, result, instruction."""

    TYPE = "case.step_taken.v1"
    step: str
    from_state: str
    to_state: str
    by: Actor
    owner: Owner
    satisfied: bool | None = None
    proof: tuple[str, ...] = ()
    sealed: Sealed | None = None


class CaseStepRefusedV1(Fact):
    """Published by routing when an act that was handed in over events is not allowed.

    `whistle_id` and `department` stand where that department had been called by that whistle.
    """

    TYPE = "case.step_refused.v1"
    act: str
    code: str
    front_end: str
    by: Actor
    whistle_id: UUID | None = None
    department: str | None = None


class CaseDeadlineSetV1(Fact):
    """Published by routing when a clock starts. `armed` is false while its clock cannot be told.

    `provisional`: it rests on a year whose days off are not announced yet, and may be set anew.
    Then it is published again, and so it is when a clock that could not be told can be.
    `miss_withdrawn`: it was announced as missed, and by `due_at` it is not; unless `armed`, it has
    been met since.
    """

    TYPE = "case.deadline_set.v1"
    deadline: str
    clock: Clock
    armed: bool
    due_at: AwareDatetime | None = None
    warn_at: AwareDatetime | None = None
    provisional: bool = False
    miss_withdrawn: bool = False


class CaseDeadlineWarnedV1(Fact):
    """Published by routing once, when the warned share of the time has run."""

    TYPE = "case.deadline_warned.v1"
    deadline: str
    due_at: AwareDatetime


class CaseDeadlineMissedV1(Fact):
    """Published by routing once, when all that was handed in before `due_at` has been read."""

    TYPE = "case.deadline_missed.v1"
    deadline: str
    due_at: AwareDatetime


class CaseResolvedV1(Fact):
    """Published by routing with the step that settles the matter."""

    TYPE = "case.resolved.v1"
    by: Actor


class CaseReturnVisitedV1(Fact):
    """Published by routing with the step that asks the reporter (回访)."""

    TYPE = "case.return_visited.v1"
    by: Actor
    satisfied: bool


class CaseClosedV1(Fact):
    """Published by routing when an end state is reached; `state` is that end."""

    TYPE = "case.closed.v1"
    by: Actor
    state: str


class CaseReopenedV1(Fact):
    """Published by routing when a settled or closed case is taken up again; its number stays."""

    TYPE = "case.reopened.v1"
    by: Actor


class CaseFollowUpKeptV1(Fact):
    """Published by routing when it keeps more from the reporter.

    `key_conflict`: the same idempotency key came with another body; the first body stands.
    `withdrawal_asked`: the reporter would take it back, and the flow has no step for that now.
    """

    TYPE = "case.follow_up_kept.v1"
    reason: FollowUpReason
    front_end: str
    attachments: tuple[str, ...] = ()
    sealed: Sealed


class Called(Part):
    """One department that a whistle names. Without `due_at` its clock cannot be told yet."""

    department: str
    lead: bool
    due_at: AwareDatetime | None = None
    warn_at: AwareDatetime | None = None
    provisional: bool | None = None


class WhistleBlownV1(Fact):
    """Published by routing when departments are called to a case. Sealed: reason.

    `merged` names departments that had been called already and have yet to be released: they keep
    their clocks. `leads` is the one of them that leads from now on, where nobody else does.
    """

    TYPE = "whistle.blown.v1"
    whistle_id: UUID
    kind: str | None = None
    departments: tuple[Called, ...]
    merged: tuple[str, ...] = ()
    leads: str | None = None
    by: Actor
    sealed: Sealed | None = None


class WhistleReportedInV1(Fact):
    """Published by routing when a department reports in. `at` is when that was handed in.

    By `on_site` it has arrived, too. `arrive_due_at` is told where a clock for arriving now runs.
    """

    TYPE = "whistle.reported_in.v1"
    whistle_id: UUID
    department: str
    means: Means
    at: AwareDatetime
    late: bool
    by: Actor
    arrive_due_at: AwareDatetime | None = None


class WhistleArrivedV1(Fact):
    """Published by routing when a department that has reported in is on the spot.

    `late`: there was a clock for it, and it had run out by then.
    """

    TYPE = "whistle.arrived.v1"
    whistle_id: UUID
    department: str
    at: AwareDatetime
    by: Actor
    late: bool = False


class WhistleRefusedV1(Fact):
    """Published by routing when a department refuses. Sealed: basis. `arbiter` decides.

    `ruling_due_at` is told where a clock for that runs.
    """

    TYPE = "whistle.refused.v1"
    whistle_id: UUID
    department: str
    proposed: str
    arbiter: Owner
    ruling_due_at: AwareDatetime | None = None
    by: Actor
    sealed: Sealed | None = None


class WhistleUnruledV1(Fact):
    """Published by routing once, when nobody has ruled on a refusal by `due_at`.

    `superior` stands above the arbiter; without one, nobody does, and the arbiter is to hear again.
    """

    TYPE = "whistle.unruled.v1"
    whistle_id: UUID
    department: str
    due_at: AwareDatetime
    arbiter: Owner
    superior: Owner | None = None


class WhistleRuledV1(Fact):
    """Published by routing when the arbiter decides on a department's refusal. Sealed: note.

    `reject`: the department is awaited again, by `due_at`. `accept`: `call` is called in its place,
    by a `whistle.blown.v1` that follows unless it was called before; `lead`: it leads from now on.
    """

    TYPE = "whistle.ruled.v1"
    whistle_id: UUID
    department: str
    ruling: Literal["accept", "reject"]
    call: str | None = None
    lead: bool = False
    due_at: AwareDatetime | None = None
    warn_at: AwareDatetime | None = None
    by: Actor
    sealed: Sealed | None = None


class WhistleWarnedV1(Fact):
    """Published by routing once, when the warned share of a department's time has run."""

    TYPE = "whistle.warned.v1"
    whistle_id: UUID
    department: str
    due_at: AwareDatetime


class WhistleMissedV1(Fact):
    """Published by routing once, when all that was handed in before `due_at` has been read."""

    TYPE = "whistle.missed.v1"
    whistle_id: UUID
    department: str
    due_at: AwareDatetime


class WhistleStageMissedV1(Fact):
    """Published by routing once, when a department has reported in and a later stage is missed.

    What was handed in before `due_at` has been read. The ladder climbs as for a report-in.
    """

    TYPE = "whistle.stage_missed.v1"
    whistle_id: UUID
    department: str
    stage: Literal["arrive"]
    due_at: AwareDatetime


class WhistleCorrectedV1(Fact):
    """Published by routing when a punctual report-in surfaces after its miss: the miss is void.

    By `on_site` it has arrived, too. `arrive_due_at` is told where a clock for arriving now runs.
    """

    TYPE = "whistle.corrected.v1"
    whistle_id: UUID
    department: str
    means: Means
    at: AwareDatetime
    by: Actor
    arrive_due_at: AwareDatetime | None = None


class WhistleDeadlineMovedV1(Fact):
    """Published by routing when a newer calendar sets a department's deadline anew.

    `was_due_at` is missing where its clock could not be told before. `miss_withdrawn`: it was
    announced as missed or as reported late, and by `due_at` it is not.
    """

    TYPE = "whistle.deadline_moved.v1"
    whistle_id: UUID
    department: str
    due_at: AwareDatetime
    warn_at: AwareDatetime | None = None
    provisional: bool = False
    was_due_at: AwareDatetime | None = None
    miss_withdrawn: bool = False


class WhistleMissWithdrawnV1(Fact):
    """Published by routing when a newer calendar takes back the miss of a part that has ended.

    `was_due_at` is the missed moment. It would have been `due_at`, and by then the department was
    not awaited any more: `ended_at` it had refused, or its call was taken back.
    """

    TYPE = "whistle.miss_withdrawn.v1"
    whistle_id: UUID
    department: str
    due_at: AwareDatetime
    was_due_at: AwareDatetime
    ended_at: AwareDatetime
    provisional: bool = False


class WhistleStageMovedV1(Fact):
    """Published by routing when a newer calendar sets the deadline of a later stage anew.

    As `whistle.deadline_moved.v1`. `miss_withdrawn`: it was announced as missed, and by `due_at` it
    is not; who has arrived, or been let go, since was in time. `reported_in_at` still holds.
    """

    TYPE = "whistle.stage_moved.v1"
    whistle_id: UUID
    department: str
    stage: Literal["arrive", "release"]
    reported_in_at: AwareDatetime
    due_at: AwareDatetime
    provisional: bool = False
    was_due_at: AwareDatetime | None = None
    miss_withdrawn: bool = False


class WhistleReleasedV1(Fact):
    """Published by routing when the whistle-blower lets a department go."""

    TYPE = "whistle.released.v1"
    whistle_id: UUID
    department: str
    by: Actor


class WhistleUnreleasedV1(Fact):
    """Published by routing once, when a department on the spot has not been let go by `due_at`."""

    TYPE = "whistle.unreleased.v1"
    whistle_id: UUID
    department: str
    due_at: AwareDatetime


class WhistleWithdrawnV1(Fact):
    """Published by routing when the call of a department is taken back, or its case has closed.

    `leads` is the department that leads from now on, where this one led.
    """

    TYPE = "whistle.withdrawn.v1"
    whistle_id: UUID
    department: str
    leads: str | None = None
    by: Actor


class WhistleCalledUpwardV1(Fact):
    """Published by routing when the town calls the level above (乡呼区应); the town stays owner.

    `unit` is to answer. Sealed: reason, where a person called.
    """

    TYPE = "whistle.called_upward.v1"
    whistle_id: UUID
    from_level: str
    to_level: str
    due_at: AwareDatetime | None = None
    by: Actor
    unit: str | None = None
    sealed: Sealed | None = None


class WhistleAnsweredV1(Fact):
    """Published by routing when the level above answers a call. Sealed: answer."""

    TYPE = "whistle.answered.v1"
    whistle_id: UUID
    unit: str
    at: AwareDatetime
    late: bool
    by: Actor
    sealed: Sealed | None = None


class WhistleUnansweredV1(Fact):
    """Published by routing once, when the level above has not answered a call by `due_at`.

    `called_by` is who called, where a person did.
    """

    TYPE = "whistle.unanswered.v1"
    whistle_id: UUID
    unit: str
    due_at: AwareDatetime
    called_by: Owner | None = None


class WhistleAnswerMovedV1(Fact):
    """Published by routing when a newer calendar sets anew by when the level above is to answer.

    `was_due_at` is missing where its clock could not be told before. `miss_withdrawn`: it was
    announced as unanswered, and by `due_at` it is not; an answer given since was in time.
    """

    TYPE = "whistle.answer_moved.v1"
    whistle_id: UUID
    unit: str
    due_at: AwareDatetime
    provisional: bool = False
    was_due_at: AwareDatetime | None = None
    miss_withdrawn: bool = False


class CaseConsultedV1(Fact):
    """Published by routing when departments that have come agree on one result (集中会诊).

    Sealed: result.
    """

    TYPE = "case.consulted.v1"
    departments: tuple[str, ...]
    by: Actor
    sealed: Sealed | None = None


class CaseEscalatedV1(Fact):
    """Published by routing for each rung of the ladder after a miss, in order, once.

    `nobody` tells that the rung has nobody on its roster: the next follows at once. `stage` is
    what was missed.
    """

    TYPE = "case.escalated.v1"
    whistle_id: UUID
    department: str
    rung: int
    do: Literal["remind", "notify_head", "escalate", "score", "call_upward"]
    to_level: str | None = None
    nobody: bool = False
    stage: Literal["report_in", "arrive"] = "report_in"


# --- dept.<tenant>.<department> ---------------------------------------------------------------

Change = Literal[
    "warned",
    "missed",
    "reported_in",
    "corrected",
    "arrived",
    "stage_missed",
    "refused",
    "refusal_accepted",
    "refusal_rejected",
    "released",
    "withdrawn",
    "deadline_moved",
    "stage_moved",
    "miss_withdrawn",
    "case_closed",
    "act_refused",
]


class Task(Fact):
    """One record of a department's topic: no words of the case, and nobody's name.

    `task_seq` counts the records of this department and case from 1, without a gap.
    """

    department: str
    task_seq: int = Field(ge=1)
    whistle_id: UUID


class TaskGivenV1(Task):
    """Published by routing to a department that is called to a case.

    Without `due_at` its clock cannot be told yet.
    """

    TYPE = "task.given.v1"
    kind: str | None = None
    lead: bool
    due_at: AwareDatetime | None = None
    warn_at: AwareDatetime | None = None
    number: str
    category: str
    severity: str
    case_class: str = Field(alias="class")
    village: str | None = None
    village_name: str | None = None
    grid: str | None = None
    grid_name: str | None = None


class TaskChangedV1(Task):
    """Published by routing when something becomes of a department's part in a case.

    `at` and `means` tell of a report-in or an arrival, `due_at` and `stage` of a deadline, `code`
    of an act that the rules did not allow. By `refusal_rejected` it is awaited again, by `due_at`;
    so it is by `deadline_moved` if `miss_withdrawn`, and on the spot by `stage_moved`. The change
    `miss_withdrawn` awaits nobody: it is of a part that has ended, or of its time before a ruling.
    """

    TYPE = "task.changed.v1"
    change: Change
    at: AwareDatetime | None = None
    late: bool | None = None
    means: Means | None = None
    due_at: AwareDatetime | None = None
    warn_at: AwareDatetime | None = None
    arrive_due_at: AwareDatetime | None = None
    provisional: bool | None = None
    miss_withdrawn: bool | None = None
    stage: str | None = None
    code: str | None = None


# --- notify.events ---------------------------------------------------------------------------


class Message(Part):
    """One message to one person.

    `recipient` is a staff id, `reporter`, or `role:…` where nobody is rostered; never a contact.
    """

    message_id: str
    rule: str
    recipient: str
    channel: str


class MessageAcceptedV1(Fact):
    """Published by notify when a provider has taken the message."""

    TYPE = "message.accepted.v1"
    message: Message


class MessageDeliveredV1(Fact):
    """Published by notify when the provider's receipt says that it arrived."""

    TYPE = "message.delivered.v1"
    message: Message


class MessageFailedV1(Fact):
    """Published by notify when no channel is left."""

    TYPE = "message.failed.v1"
    message: Message
    code: str


class MessageAcknowledgedV1(Fact):
    """Published by notify when somebody who is called to a case presses the key that he heard.

    `by` is in the place in which he was called. It counts from the moment at which the broker took
    it.
    """

    TYPE = "message.acknowledged.v1"
    message: Message
    by: Actor


class MessageRepliedV1(Fact):
    """Published by notify when somebody reports in by answering a message.

    Keyed by the slot's case. It counts from the moment at which the broker took it; `replied_at`
    is the provider's word and only shown.
    """

    TYPE = "message.replied.v1"
    whistle_id: UUID
    department: str
    means: Means
    by: Actor
    channel: str
    replied_at: AwareDatetime | None = None


def _by_type(*models: type[Fact]) -> dict[str, type[Fact]]:
    return {model.TYPE: model for model in models}


INTAKE_FACTS = _by_type(CaseReportedV1, CaseFollowedUpV1, CaseWithdrawnV1, CaseStepRequestedV1)
ROUTING_FACTS = _by_type(
    CaseOpenedV1,
    CaseAssignedV1,
    CaseCalledV1,
    CaseCallAnsweredV1,
    CaseTransferOfferedV1,
    CaseTransferEndedV1,
    CaseHandedOverV1,
    HandoverFiledV1,
    HandoverReceivedV1,
    CaseAcceptedV1,
    CaseStepTakenV1,
    CaseStepRefusedV1,
    CaseDeadlineSetV1,
    CaseDeadlineWarnedV1,
    CaseDeadlineMissedV1,
    CaseResolvedV1,
    CaseReturnVisitedV1,
    CaseClosedV1,
    CaseReopenedV1,
    CaseFollowUpKeptV1,
    CaseConsultedV1,
    CaseEscalatedV1,
    WhistleBlownV1,
    WhistleWarnedV1,
    WhistleReportedInV1,
    WhistleArrivedV1,
    WhistleRefusedV1,
    WhistleRuledV1,
    WhistleMissedV1,
    WhistleStageMissedV1,
    WhistleCorrectedV1,
    WhistleDeadlineMovedV1,
    WhistleMissWithdrawnV1,
    WhistleStageMovedV1,
    WhistleReleasedV1,
    WhistleUnreleasedV1,
    WhistleUnruledV1,
    WhistleWithdrawnV1,
    WhistleCalledUpwardV1,
    WhistleAnsweredV1,
    WhistleUnansweredV1,
    WhistleAnswerMovedV1,
)
NOTIFY_FACTS = _by_type(
    MessageAcceptedV1,
    MessageDeliveredV1,
    MessageFailedV1,
    MessageAcknowledgedV1,
    MessageRepliedV1,
)
TASK_FACTS = _by_type(TaskGivenV1, TaskChangedV1)
