"""A town's way of working, compiled once per version of its profile: steps, clocks, ladders."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Literal

from services.routing.domain.worktime import WorkCalendar


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time; a month has no fixed number of days."""

    months: int = 0
    days: int = 0
    seconds: int = 0


@dataclass(frozen=True, slots=True)
class DeadlineRule:
    """A clock. `starts` is a moment of the case, or `state` for the states named in `states`.

    With `by_time` it ends at that time of the day to which `within` leads. On duty time `within`
    has seconds alone.
    """

    id: str
    within: Span
    clock: Literal["calendar", "duty"]
    starts: Literal["reported", "accepted", "assigned", "state"]
    warn_share: float | None = None
    states: frozenset[str] = frozenset()
    by_time: time | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a flow. `roles` are real roles; the `by_…` tell who may else take it."""

    id: str
    from_states: frozenset[str]
    to: str
    roles: tuple[str, ...]
    by_handler: bool = False
    by_system: bool = False
    means: str | None = None
    needs: tuple[str, ...] = ()
    by_reporter: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """A way through states; steps stand in the profile's order."""

    id: str
    start: str
    end: frozenset[str]
    steps: tuple[Step, ...]
    distinct: tuple[frozenset[str], ...] = ()
    villages: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    narrowed: bool = False  # to what is not known when a case opens: only its category names it
    deadlines: tuple[DeadlineRule, ...] = ()

    def step(self, step_id: str) -> Step | None:
        return next((step for step in self.steps if step.id == step_id), None)

    def onward(self, state: str) -> tuple[Step, ...]:
        """Return the steps out of a state, in the profile's order."""
        return tuple(step for step in self.steps if state in step.from_states)


@dataclass(frozen=True, slots=True)
class Category:
    """What a case is about. Its own deadline takes the place of the class's."""

    case_class: str
    flow: str | None = None
    deadline: DeadlineRule | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """What is done so long after a department's due time, if it has not come by then."""

    after: Span
    do: Literal["remind", "notify_head", "escalate", "score", "call_upward"]
    to: str | None = None  # a level


@dataclass(frozen=True, slots=True)
class WhistleRules:
    """Who calls which departments, by when they report in, and what a miss leads to.

    `heads` and `supervisors` are the roles that stand above a department's officers, and above
    the departments, at the town; `superiors` these of every level; `reporters` those who may report
    in; `upward_callers` those blowers who sit at the level that calls upward. `names_lead`: of
    several departments the blower says which leads.
    """

    enabled: bool = False
    blowers: tuple[str, ...] = ()
    targets: frozenset[str] = frozenset()
    report_in: Mapping[str, DeadlineRule] = field(default_factory=dict)  # by class
    means: tuple[str, ...] = ()
    on_site_only: frozenset[str] = frozenset()  # classes
    arrival: Mapping[str, DeadlineRule] = field(default_factory=dict)  # by class
    release: Mapping[str, DeadlineRule] = field(default_factory=dict)  # by class
    ruling: DeadlineRule | None = None  # on a refusal
    on_miss: tuple[Rung, ...] = ()
    names_lead: bool = False
    duplicate: Literal["merge", "reject"] = "merge"
    withdrawable: bool = True
    close_gate: Literal["lead", "all", "quorum"] = "lead"
    quorum: int = 1
    upward_from: str | None = None
    upward_to: str | None = None
    upward: DeadlineRule | None = None
    upward_callers: tuple[str, ...] = ()
    joint_consult: bool = False
    reporters: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    supervisors: tuple[str, ...] = ()
    superiors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BackupRules:
    """Who stands in for whom. `joint`: both have something urgent; `replaces`: or it waits."""

    enabled: bool = False
    joint: bool = False
    replaces: bool = True
    symmetric: bool = True
    guided_by: tuple[str, ...] = ()
    ack_within: Span | None = None


@dataclass(frozen=True, slots=True)
class DutyRules:
    """Who has what comes in after hours, and who is called. `urgent` are classes.

    Without `hand_to` it is the same people at any hour. `files`: what can wait is filed with a
    hand-over sheet.
    """

    urgent: frozenset[str] = frozenset()
    hand_to: tuple[str, ...] = ()
    call: tuple[str, ...] = ()
    then_call: tuple[str, ...] = ()
    ack_within: Span | None = None
    via: tuple[str, ...] = ()
    files: bool = False
    hand_over_by: time | None = None
    backup: BackupRules = BackupRules()
    first_asked: frozenset[str] = frozenset()  # roles that own a case by taking it on
    givers: frozenset[str] = frozenset()  # roles that may transfer
    takers: frozenset[str] = frozenset()  # roles that may accept


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of a town's profile, as far as routing reads it.

    `levels` maps a kind of level (grid, village, town …) to the town's own name for it. Without a
    work calendar, clocks on duty time are kept unarmed.
    """

    version: int
    timezone: str
    month_is_30_days: bool
    default_category: str
    default_severity: str
    default_flow: str
    fallback_village: str
    fallback_town: str
    border_m: float
    categories: Mapping[str, Category]
    severities: frozenset[str]
    classes: Mapping[str, tuple[DeadlineRule, ...]]
    flows: Mapping[str, Flow]
    role_levels: Mapping[str, str]
    ladder: tuple[str, ...]
    levels: Mapping[str, str]
    skip_allowed: bool = False  # a case may be passed up over a rung
    whistle: WhistleRules = WhistleRules()
    duty: DutyRules = DutyRules()
    work_calendar: WorkCalendar | None = None

    def flow_for(self, category: str, village_name: str | None) -> Flow:
        """Choose the flow: by category, by village, by the flow's categories, else the default."""
        named = self.categories[category].flow
        if named is not None:
            return self.flows[named]
        open_flows = [flow for flow in self.flows.values() if not flow.narrowed]
        for flow in open_flows:
            if village_name in flow.villages:
                return flow
        for flow in open_flows:
            if category in flow.categories:
                return flow
        return self.flows[self.default_flow]

    def deadlines_of(self, category: str, case_class: str, flow: Flow) -> tuple[DeadlineRule, ...]:
        """Return every clock that a case can have."""
        own = self.categories[category].deadline
        of_class = self.classes[case_class]
        if own is not None:
            of_class = (own, *(rule for rule in of_class if rule.id != own.id))
        return (*of_class, *flow.deadlines)
