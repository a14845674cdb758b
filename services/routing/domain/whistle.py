"""The whistle: departments are called to one case, each answerable alone, by a clock of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

from services.routing.domain.deadlines import start_clock
from services.routing.domain.rules import DeadlineRule, Rules, WhistleRules
from services.routing.domain.slot import Means, Outcome, Slot, Stage, about, clock_of, clocks
from services.routing.domain.town import Setting
from services.routing.domain.values import (
    Actor,
    Case,
    Fact,
    NewTimer,
    Owner,
    Refused,
    UpwardCall,
    misread,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A whistle that somebody wants to blow; the first department leads unless `lead` names one."""

    whistle_id: UUID
    departments: tuple[str, ...]
    actor: Actor
    expected_seq: int
    lead: str | None = None
    kind: str | None = None
    sealed: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What is to be recorded: the case, the slots that are new or changed, facts, timers.

    `ended` names the clocks whose open timers no longer matter. `upward` is a call to the level
    above that is new or changed.
    """

    case: Case
    slots: tuple[Slot, ...]
    facts: tuple[Fact, ...]
    timers: tuple[NewTimer, ...] = ()
    ended: frozenset[str] = frozenset()
    upward: UpwardCall | None = None


# --- calling -----------------------------------------------------------------------------------


def blow(
    case: Case, slots: Sequence[Slot], call: Call, now: datetime, setting: Setting
) -> Settled | Refused:
    """Call departments to a case, or tell why not; who is called already keeps his clock."""
    rules = setting.rules.whistle
    blower = blower_of(case, call.actor, setting, slots)
    refused = _unfit(case, call, rules) or (blower if isinstance(blower, Refused) else None)
    if refused is not None:
        return refused
    named = tuple(dict.fromkeys(call.departments))
    there = {slot.department for slot in slots if slot.pending}
    merged = tuple(one for one in named if one in there)
    if merged and rules.duplicate == "reject":
        return Refused("already_called", merged)
    fresh = [one for one in named if one not in there]
    led = any(slot.pending and slot.lead for slot in slots)
    if rules.names_lead and call.lead is None and len(named) > 1 and not led:
        return Refused("lead_missing", named)
    leading = None if led else call.lead or named[0]
    new = [
        replace(slot, lead=True) for slot in slots if slot.pending and slot.department == leading
    ]
    called: list[Mapping[str, object]] = []
    timers: list[NewTimer] = []
    for department in fresh:
        slot, mine, dates = called_slot(call.whistle_id, department, case, now, setting)
        lead = department == leading
        new.append(replace(slot, lead=lead))
        called.append({"department": department, "lead": lead, **dates})
        timers += mine
    data = {
        "whistle_id": call.whistle_id,
        "departments": tuple(called),
        "merged": merged,
        "by": asdict(blower),
    }
    leads = leading if leading in merged else None
    more = {"kind": call.kind, "leads": leads, "sealed": call.sealed}
    data |= {name: value for name, value in more.items() if value is not None}
    return settled(case, new, [Fact("whistle.blown.v1", data)], timers, human=True)


def _unfit(case: Case, call: Call, rules: WhistleRules) -> Refused | None:
    """Tell what is wrong with a call whoever makes it."""
    unknown = tuple(one for one in call.departments if one not in rules.targets)
    if not rules.enabled or case.closed:
        return Refused("whistle_not_allowed")
    if not call.departments:
        return Refused("departments_missing", tuple(sorted(rules.targets)))
    if unknown:
        return Refused("unknown_department", unknown)
    if call.lead is not None and call.lead not in call.departments:
        return Refused("lead_not_named", (call.lead,))
    return misread(case, call.expected_seq)


def blower_of(
    case: Case, actor: Actor, setting: Setting, slots: Sequence[Slot] = ()
) -> Owner | Refused:
    """Return as whom somebody may blow the whistle on this case.

    A role that reports in blows for its department, which must have come: it is among `slots`.
    """
    rules = setting.rules.whistle
    held = [role for role in rules.blowers if role in actor.roles]
    here = frozenset(slot.department for slot in slots if slot.open and slot.came)
    for role in held:
        unit, mine = setting.unit_for(role, case.grid, case.village), actor.units
        if role in rules.reporters:
            unit, mine = actor.department, here
        if unit is not None and unit in mine:
            return Owner(unit, role, actor.staff)
    return Refused("unit_not_allowed" if held else "role_not_allowed", rules.blowers)


def called_slot(
    whistle_id: UUID, department: str, case: Case, now: datetime, setting: Setting
) -> tuple[Slot, tuple[NewTimer, ...], dict[str, object]]:
    """Call a department now: its slot, the moments to keep, and by when it is due."""
    rule = report_in_rule(case, department, setting.rules)
    set_, timers = start_clock(rule, now, setting.rules)
    told = ("due_at", "warn_at", "provisional")
    dates = {name: set_.data[name] for name in told if set_.data.get(name)}
    miss = timers[-1]
    slot = Slot(
        whistle_id,
        department,
        lead=False,
        blown_at=now,
        due_at=miss.due_at,
        calendar_version=miss.calendar_version,
        provisional=miss.provisional,
    )
    return slot, timers, dates


def report_in_rule(case: Case, department: str, rules: Rules) -> DeadlineRule:
    """Return the rule by which a department reports in to a case."""
    return replace(rules.whistle.report_in[case.case_class], id=clock_of(department))


# --- what a department does ----------------------------------------------------------------------


def report_in(
    case: Case, slot: Slot, means: Means, by: Owner, at: datetime, setting: Setting
) -> Settled | Refused:
    """Take a report-in that was handed in `at`: that moment alone tells whether it is late.

    A second one changes nothing, unless it is from the spot while an arrival is awaited; one that
    surfaces after its miss but was punctual corrects it.
    """
    if slot.came:
        arriving = means == "on_site" and slot.open and slot.arrive_due_at is not None
        return arrive(case, slot, by, at, setting) if arriving else Settled(case, (), ())
    if not slot.open:
        return Refused("slot_ended", (slot.outcome or "released",))
    allowed = _means(case, setting.rules.whistle)
    if means not in allowed:
        return Refused("means_not_allowed", allowed)
    late = slot.due_at is not None and at > slot.due_at
    corrects = slot.outcome == "missed" and not late
    outcome: Outcome = "reported_late" if late else "corrected" if corrects else "reported"
    came = replace(slot, outcome=outcome, means=means, reported_in_at=at)
    came, timers = _arriving(case, came, came.coming_since or at, setting)
    data = {**about(slot), "means": means, "at": at, "by": asdict(by)}
    data |= {"arrive_due_at": came.arrive_due_at} if came.arrive_due_at else {}
    fact = (
        Fact("whistle.corrected.v1", data)
        if corrects
        else Fact("whistle.reported_in.v1", {**data, "late": late})
    )
    return settled(case, [came], [fact], timers, ended=clocks(slot, setting.rules))


def _means(case: Case, rules: WhistleRules) -> tuple[str, ...]:
    """Return how a department may report in."""
    return ("on_site",) if case.case_class in rules.on_site_only else rules.means


def _arriving(
    case: Case, slot: Slot, start: datetime, setting: Setting
) -> tuple[Slot, tuple[NewTimer, ...]]:
    """Start the clock for arriving, where there is one; who reports in on site is there."""
    if slot.means == "on_site":
        return _there(case, replace(slot, arrived_at=slot.reported_in_at), setting)
    rule = stage_rule(case, slot.department, "arrive", setting.rules)
    if rule is None:
        return slot, ()
    _, timers = start_clock(rule, start, setting.rules)
    return replace(slot, arrive_due_at=timers[-1].due_at), timers


def stage_rule(case: Case, department: str, stage: Stage, rules: Rules) -> DeadlineRule | None:
    """Return the rule of a stage after the report-in at a case, where there is one."""
    of_class = rules.whistle.release if stage == "release" else rules.whistle.arrival
    rule = of_class.get(case.case_class)
    return rule and replace(rule, id=clock_of(department, stage))


def _there(case: Case, slot: Slot, setting: Setting) -> tuple[Slot, tuple[NewTimer, ...]]:
    """Start the clock for letting a department go that has arrived, where there is one."""
    rule = stage_rule(case, slot.department, "release", setting.rules)
    start = slot.there_since
    if rule is None or start is None:
        return slot, ()
    _, timers = start_clock(rule, start, setting.rules)
    return replace(slot, release_due_at=timers[-1].due_at), timers


def arrive(case: Case, slot: Slot, by: Owner, at: datetime, setting: Setting) -> Settled | Refused:
    """Take a department's word that it is on the spot; a second one changes nothing."""
    if not slot.came or not slot.open:
        return Refused("not_reported_in", (slot.department,))
    if slot.arrived_at is not None:
        return Settled(case, (), ())
    late = slot.arrive_due_at is not None and at > slot.arrive_due_at
    fact = Fact("whistle.arrived.v1", {**about(slot), "at": at, "by": asdict(by), "late": late})
    there, timers = _there(case, replace(slot, arrived_at=at), setting)
    return settled(case, [there], [fact], timers, ended=clocks(slot, setting.rules))


def refuse(
    case: Case,
    slot: Slot,
    by: Owner,
    proposed: str,
    sealed: Mapping[str, object],
    at: datetime,
    setting: Setting,
) -> Settled | Refused:
    """Take a refusal with its basis and the owner it proposes; somebody above decides, once."""
    if not slot.awaited:
        return Refused("slot_ended", (slot.outcome or "released",))
    if slot.ruling is not None:
        return Refused("refusal_rejected", (slot.department,))
    arbiter = arbiter_of(setting)
    data: dict[str, object] = {"proposed": proposed, "arbiter": asdict(arbiter), "by": asdict(by)}
    data["sealed"] = sealed
    gone = replace(slot, outcome="refused", proposed=proposed)
    timers: tuple[NewTimer, ...] = ()
    if (ruling := setting.rules.whistle.ruling) is not None:
        rule = replace(ruling, id=clock_of(slot.department, "rule"))
        _, timers = start_clock(rule, at, setting.rules)
        gone = replace(gone, ruling_due_at=timers[-1].due_at)
        data["ruling_due_at"] = gone.ruling_due_at
    fact = Fact("whistle.refused.v1", {**about(slot), **data})
    return settled(case, [gone], [fact], timers, ended=clocks(slot, setting.rules))


def arbiter_of(setting: Setting) -> Owner:
    """Return who decides on a refusal: the first supervisor of the town on the roster."""
    town, rules = setting.town, setting.rules
    unit = town.root or rules.ladder[-1]
    found = ((role, town.first_on_roster(unit, role)) for role in rules.whistle.supervisors)
    role, staff = next((one for one in found if one[1]), (rules.fallback_town, None))
    return Owner(unit, role, staff or town.first_on_roster(unit, role))


def above(arbiter: Owner, setting: Setting) -> Owner | None:
    """Return who stands above the arbiter: the first supervisor of the nearest level above."""
    town, rules = setting.town, setting.rules
    for unit in town.path(arbiter.unit)[1:]:
        for role in rules.whistle.superiors:
            staff = town.first_on_roster(unit, role)
            if staff and rules.role_levels.get(role) == town.units[unit].level:
                return Owner(unit, role, staff)
    return None


def settled(
    case: Case,
    slots: Sequence[Slot],
    facts: Sequence[Fact],
    timers: Sequence[NewTimer] = (),
    *,
    ended: frozenset[str] = frozenset(),
    human: bool = False,
    upward: UpwardCall | None = None,
) -> Settled:
    """Count the facts in; an act by a person at the town is one that others must have seen."""
    seq = case.seq + len(facts)
    after = replace(case, seq=seq, human_seq=seq if human else case.human_seq)
    return Settled(after, tuple(slots), tuple(facts), tuple(timers), ended, upward)
