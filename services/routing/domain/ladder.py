"""The ladder: what follows, rung by rung, when a department does not report in, or not arrive."""

from dataclasses import asdict, replace
from datetime import datetime

from services.routing.domain.deadlines import add
from services.routing.domain.rules import Rules, Rung
from services.routing.domain.slot import Slot, Stage, about, rung_number, rung_of, stage_of
from services.routing.domain.town import Setting
from services.routing.domain.upward import call_by_rule
from services.routing.domain.values import Case, Fact, NewTimer, UpwardCall
from services.routing.domain.whistle import Settled, above, arbiter_of, settled, stage_rule


def strike(
    case: Case,
    slot: Slot,
    clock: str,
    kind: str,
    now: datetime,
    setting: Setting,
    upward: UpwardCall | None = None,
) -> Settled | None:
    """Let a moment of a slot come; None: it no longer matters.

    `upward` is the case's call to the level above that is still open: there is never a second.
    """
    stage = stage_of(clock)
    due_at = _due_at(slot, stage)
    if due_at is None or case.closed:
        return None
    if kind == "warn":
        if slot.outcome is not None or due_at <= now:
            return None
        return settled(case, [], [Fact("whistle.warned.v1", {**about(slot), "due_at": due_at})])
    missed, first = [], 0
    if (rung := rung_number(clock)) is not None:
        first = rung
    elif slot.outcome == "missed":
        return None
    else:
        missed = [_missed(slot, stage, due_at, setting)]
    version = _calendar_version(case, slot, stage, setting.rules)
    rungs, timers = _climb(case, slot, stage, due_at, first, now, setting)
    timers = [replace(one, calendar_version=version) for one in timers]
    turned = [replace(slot, outcome="missed")] if missed and stage == "report_in" else []
    done = settled(case, turned, [*missed, *rungs], timers)
    if upward is None and any(fact.data["do"] == "call_upward" for fact in rungs):
        return call_by_rule(done, now, setting)
    return done


def _due_at(slot: Slot, stage: Stage) -> datetime | None:
    """Return by when the stage is still awaited; None: it is not, or its clock is not known."""
    if stage == "report_in":
        return slot.due_at if slot.awaited else None
    if stage == "release":
        return slot.release_due_at if slot.open and slot.arrived_at is not None else None
    if stage == "rule":
        return slot.ruling_due_at if slot.undecided else None
    arriving = slot.open and slot.came and slot.arrived_at is None
    return slot.arrive_due_at if arriving else None


def _missed(slot: Slot, stage: Stage, due_at: datetime, setting: Setting) -> Fact:
    data = {**about(slot), "due_at": due_at}
    if stage == "report_in":
        return Fact("whistle.missed.v1", data)
    if stage == "rule":
        return _unruled(slot, due_at, setting)
    if stage == "release":
        return Fact("whistle.unreleased.v1", data)
    return Fact("whistle.stage_missed.v1", {**data, "stage": stage})


def _unruled(slot: Slot, due_at: datetime, setting: Setting) -> Fact:
    arbiter = arbiter_of(setting)
    superior = above(arbiter, setting)
    data = {**about(slot), "due_at": due_at, "arbiter": asdict(arbiter)}
    return Fact("whistle.unruled.v1", data | ({"superior": asdict(superior)} if superior else {}))


def _climb(
    case: Case,
    slot: Slot,
    stage: Stage,
    due_at: datetime,
    first: int,
    now: datetime,
    setting: Setting,
) -> tuple[list[Fact], list[NewTimer]]:
    """Take rungs from `first` on: those whose time has come, then keep the moment of the next.

    A rung without anybody on it is told of, and the next follows at once. Where a department has
    not been let go, or its refusal not ruled on, it is not late itself: nothing climbs.
    """
    facts: list[Fact] = []
    hurried = False
    ladder = setting.rules.whistle.on_miss[first:] if stage in ("report_in", "arrive") else ()
    for n, rung in enumerate(ladder, first):
        at = add(due_at, rung.after, setting.rules)
        if at > now and not hurried:
            name = rung_of(slot.department, n, stage)
            return facts, [NewTimer(name, "rung", at, due_at)]
        hurried = not _somebody(rung, case, slot.department, setting)
        facts.append(_rung_taken(slot, stage, n, rung, nobody=hurried))
    return facts, []


def _calendar_version(case: Case, slot: Slot, stage: Stage, rules: Rules) -> int | None:
    """Return by which table a stage was reckoned; for arriving that is the newest once it fires."""
    if stage == "rule":
        return None
    if stage == "report_in":
        return slot.calendar_version
    rule, calendar = stage_rule(case, slot.department, stage, rules), rules.work_calendar
    return calendar.version if rule and rule.clock == "duty" and calendar else None


def _rung_taken(slot: Slot, stage: Stage, n: int, rung: Rung, *, nobody: bool) -> Fact:
    data = {**about(slot), "rung": n, "do": rung.do, "nobody": nobody, "stage": stage}
    if rung.to is not None:
        data["to_level"] = rung.to
    return Fact("case.escalated.v1", data)


def _somebody(rung: Rung, case: Case, department: str, setting: Setting) -> bool:
    """Tell whether a rung has somebody to turn to."""
    rules, town = setting.rules.whistle, setting.town
    match rung.do:
        case "notify_head":
            staff = town.departments.get(department, {})
            return any(staff.get(role) for role in rules.heads)
        case "escalate":
            levels = setting.rules.role_levels
            roles = [role for role in rules.superiors if levels.get(role) == rung.to]
            unit = town.at_level(setting.lowest(case.grid, case.village), rung.to or "") or ""
            return any(town.first_on_roster(unit, role) for role in roles)
        case _:
            return True
