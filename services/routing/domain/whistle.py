"""The whistle: departments are called to one case, each answerable alone, by a clock of its own.

A slot is one department's part in one whistle. It has at most one outcome at a time; nothing that
one department does or leaves undone touches another's slot.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.routing.domain.deadlines import add, start_clock
from services.routing.domain.rules import Rules, Rung, WhistleRules
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Case, Fact, NewTimer, Owner, Refused

Outcome = Literal["reported", "reported_late", "corrected", "missed", "refused", "withdrawn"]
Means = Literal["app_ack", "on_site", "remote"]
CAME: frozenset[Outcome] = frozenset(("reported", "reported_late", "corrected"))
_ENDED: frozenset[Outcome] = frozenset(("refused", "withdrawn"))


@dataclass(frozen=True, slots=True)
class Slot:
    """One department's part in one whistle. Without `due_at` its clock cannot be told yet."""

    whistle_id: UUID
    department: str
    lead: bool
    blown_at: datetime
    due_at: datetime | None
    outcome: Outcome | None = None
    means: Means | None = None
    reported_in_at: datetime | None = None
    arrived_at: datetime | None = None
    released_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the department still has a part in the case."""
        return self.released_at is None and self.outcome not in _ENDED

    @property
    def awaited(self) -> bool:
        """Whether the department is still expected to report in."""
        return self.open and self.outcome not in CAME


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

    `ended` names the clocks whose open timers no longer matter.
    """

    case: Case
    slots: tuple[Slot, ...]
    facts: tuple[Fact, ...]
    timers: tuple[NewTimer, ...] = ()
    ended: frozenset[str] = frozenset()


def clock_of(department: str) -> str:
    """Name the clock by which a department reports in."""
    return f"report_in/{department}"


def rung_of(department: str, rung: int) -> str:
    """Name the moment of a rung of the ladder."""
    return f"rung.{rung}/{department}"


def department_of(clock: str) -> str | None:
    """Return whose clock it is; None: it is the case's own."""
    name, _, department = clock.partition("/")
    return department if name == "report_in" or name.startswith("rung.") else None


# --- calling -----------------------------------------------------------------------------------


def blow(
    case: Case, slots: Sequence[Slot], call: Call, now: datetime, setting: Setting
) -> Settled | Refused:
    """Call departments to a case, or tell why not; who is called already keeps his clock."""
    rules = setting.rules.whistle
    blower = _blower(case, call.actor, setting)
    refused = _unfit(case, call, rules) or (blower if isinstance(blower, Refused) else None)
    if refused is not None:
        return refused
    named = tuple(dict.fromkeys(call.departments))
    there = {slot.department for slot in slots if slot.open}
    merged = tuple(one for one in named if one in there)
    if merged and rules.duplicate == "reject":
        return Refused("already_called", merged)
    fresh = [one for one in named if one not in there]
    leading = call.lead or named[0]
    new: list[Slot] = []
    called: list[Mapping[str, object]] = []
    timers: list[NewTimer] = []
    for department in fresh:
        slot, mine, about = _called(call.whistle_id, department, case, now, setting)
        lead = department == leading and not any(s.open and s.lead for s in slots)
        new.append(replace(slot, lead=lead))
        called.append({"department": department, "lead": lead, **about})
        timers += mine
    data = {
        "whistle_id": call.whistle_id,
        "departments": tuple(called),
        "merged": merged,
        "by": asdict(blower),
    }
    more = {"kind": call.kind, "sealed": call.sealed}
    data |= {name: value for name, value in more.items() if value is not None}
    return _settled(case, new, [Fact("whistle.blown.v1", data)], timers, human=True)


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
    if not case.human_seq <= call.expected_seq <= case.seq:
        return Refused("stale", (str(case.seq),))
    return None


def _blower(case: Case, actor: Actor, setting: Setting) -> Owner | Refused:
    """Return as whom somebody may blow the whistle on this case."""
    rules = setting.rules.whistle
    held = [role for role in rules.blowers if role in actor.roles]
    for role in held:
        unit = setting.unit_for(role, case.grid, case.village)
        if unit is not None and unit in actor.units:
            return Owner(unit, role, actor.staff)
    return Refused("unit_not_allowed" if held else "role_not_allowed", rules.blowers)


def _called(
    whistle_id: UUID, department: str, case: Case, now: datetime, setting: Setting
) -> tuple[Slot, tuple[NewTimer, ...], dict[str, object]]:
    rule = setting.rules.whistle.report_in[case.case_class]
    rule = replace(rule, id=clock_of(department))
    set_, timers = start_clock(rule, now, setting.rules)
    about = {name: set_.data[name] for name in ("due_at", "warn_at") if set_.data.get(name)}
    slot = Slot(whistle_id, department, lead=False, blown_at=now, due_at=timers[-1].due_at)
    return slot, timers, about


# --- what a department does ----------------------------------------------------------------------


def report_in(
    case: Case, slot: Slot, means: Means, by: Owner, at: datetime, setting: Setting
) -> Settled | Refused:
    """Take a report-in that was handed in `at`: that moment alone tells whether it is late.

    A second one changes nothing; one that surfaces after its miss but was punctual corrects it.
    """
    if slot.outcome in CAME:
        return Settled(case, (), ())
    if not slot.open:
        return Refused("slot_ended", (slot.outcome or "released",))
    if means not in setting.rules.whistle.means:
        return Refused("means_not_allowed", setting.rules.whistle.means)
    late = slot.due_at is not None and at > slot.due_at
    corrects = slot.outcome == "missed" and not late
    outcome: Outcome = "reported_late" if late else "corrected" if corrects else "reported"
    came = replace(slot, outcome=outcome, means=means, reported_in_at=at)
    data = {**_about(slot), "means": means, "at": at, "by": asdict(by)}
    fact = (
        Fact("whistle.corrected.v1", data)
        if corrects
        else Fact("whistle.reported_in.v1", {**data, "late": late})
    )
    return _settled(case, [came], [fact], ended=_clocks(slot, setting.rules))


def arrive(case: Case, slot: Slot, by: Owner, at: datetime) -> Settled | Refused:
    """Take a department's word that it is on the spot; a second one changes nothing."""
    if slot.outcome not in CAME or not slot.open:
        return Refused("not_reported_in", (slot.department,))
    if slot.arrived_at is not None:
        return Settled(case, (), ())
    fact = Fact("whistle.arrived.v1", {**_about(slot), "at": at, "by": asdict(by)})
    return _settled(case, [replace(slot, arrived_at=at)], [fact])


def refuse(
    case: Case,
    slot: Slot,
    by: Owner,
    proposed: str,
    sealed: Mapping[str, object],
    setting: Setting,
) -> Settled | Refused:
    """Take a refusal with its basis and the owner it proposes; somebody above decides."""
    if not slot.awaited:
        return Refused("slot_ended", (slot.outcome or "released",))
    arbiter = _arbiter(setting)
    data = {"proposed": proposed, "arbiter": asdict(arbiter), "by": asdict(by), "sealed": sealed}
    fact = Fact("whistle.refused.v1", {**_about(slot), **data})
    gone = replace(slot, outcome="refused")
    return _settled(case, [gone], [fact], ended=_clocks(slot, setting.rules))


def _arbiter(setting: Setting) -> Owner:
    """Return who decides on a refusal: the first supervisor of the town on the roster."""
    town, rules = setting.town, setting.rules
    unit = town.root or rules.ladder[-1]
    found = ((role, town.first_on_roster(unit, role)) for role in rules.whistle.supervisors)
    role, staff = next((one for one in found if one[1]), (rules.fallback_town, None))
    return Owner(unit, role, staff or town.first_on_roster(unit, role))


# --- letting go ----------------------------------------------------------------------------------


def let_go(
    case: Case, slots: Iterable[Slot], actor: Actor, now: datetime, setting: Setting
) -> Settled | Refused:
    """Release departments that have come, and withdraw the call of those that have not."""
    blower = _blower(case, actor, setting)
    if isinstance(blower, Refused):
        return blower
    going = [slot for slot in slots if slot.open]
    if any(slot.awaited for slot in going) and not setting.rules.whistle.withdrawable:
        return Refused("not_withdrawable", tuple(s.department for s in going if s.awaited))
    return release(case, going, blower, now, setting.rules, human=True)


def release(
    case: Case,
    slots: Iterable[Slot],
    by: Owner,
    now: datetime,
    rules: Rules,
    *,
    human: bool = False,
) -> Settled:
    """Let departments go: released where they came, withdrawn where they did not."""
    gone, facts, ended = [], [], frozenset[str]()
    for slot in slots:
        if slot.awaited:
            gone.append(replace(slot, outcome="withdrawn"))
        else:
            gone.append(replace(slot, released_at=now))
        name = "whistle.withdrawn.v1" if slot.awaited else "whistle.released.v1"
        facts.append(Fact(name, {**_about(slot), "by": asdict(by)}))
        ended |= _clocks(slot, rules)
    return _settled(case, gone, facts, ended=ended, human=human and bool(facts))


# --- clocks --------------------------------------------------------------------------------------


def strike(
    case: Case, slot: Slot, clock: str, kind: str, now: datetime, setting: Setting
) -> Settled | None:
    """Let a moment of a slot come; None: it no longer matters."""
    if not slot.awaited or slot.due_at is None or case.closed:
        return None
    if kind == "warn":
        if slot.outcome is not None or slot.due_at <= now:
            return None
        fact = Fact("whistle.warned.v1", {**_about(slot), "due_at": slot.due_at})
        return _settled(case, [], [fact])
    if clock == clock_of(slot.department):
        if slot.outcome is not None:
            return None
        missed = replace(slot, outcome="missed")
        fact = Fact("whistle.missed.v1", {**_about(slot), "due_at": slot.due_at})
        facts, timers = _climb(missed, 0, now, setting)
        return _settled(case, [missed], [fact, *facts], timers)
    rung = int(clock.partition("/")[0].removeprefix("rung."))
    facts, timers = _climb(slot, rung, now, setting)
    return _settled(case, [], facts, timers)


def _climb(
    slot: Slot, first: int, now: datetime, setting: Setting
) -> tuple[list[Fact], list[NewTimer]]:
    """Take rungs from `first` on: those whose time has come, then keep the moment of the next.

    A rung without anybody on it is told of, and the next follows at once.
    """
    rungs = setting.rules.whistle.on_miss
    facts: list[Fact] = []
    hurried = False
    for n, rung in enumerate(rungs[first:], first):
        at = add(slot.due_at or now, rung.after, setting.rules)
        if at > now and not hurried:
            return facts, [NewTimer(rung_of(slot.department, n), "rung", at, slot.due_at)]
        hurried = not _somebody(rung, slot.department, setting)
        facts.append(_rung_taken(slot, n, rung, nobody=hurried))
    return facts, []


def _rung_taken(slot: Slot, n: int, rung: Rung, *, nobody: bool) -> Fact:
    data = {**_about(slot), "rung": n, "do": rung.do, "nobody": nobody}
    if rung.to is not None:
        data["to_level"] = rung.to
    return Fact("case.escalated.v1", data)


def _somebody(rung: Rung, department: str, setting: Setting) -> bool:
    """Tell whether a rung has somebody to turn to."""
    rules, town = setting.rules.whistle, setting.town
    match rung.do:
        case "remind":
            return True
        case "notify_head":
            staff = town.departments.get(department, {})
            return any(staff.get(role) for role in rules.heads)
        case "escalate":
            unit = town.root or ""
            return any(town.first_on_roster(unit, role) for role in rules.supervisors)
        case _:
            return True


# --- the gate ------------------------------------------------------------------------------------


def holding(slots: Iterable[Slot], rules: WhistleRules) -> tuple[str, ...]:
    """Return the departments for which settling the case must wait."""
    open_ = [slot for slot in slots if slot.open]
    awaited = tuple(slot.department for slot in open_ if slot.awaited)
    match rules.close_gate:
        case "all":
            return awaited
        case "quorum":
            came = len(open_) - len(awaited)
            return awaited if came < min(rules.quorum, len(open_)) else ()
        case _:
            return tuple(slot.department for slot in open_ if slot.awaited and slot.lead)


def _clocks(slot: Slot, rules: Rules) -> frozenset[str]:
    """Name every clock that a slot can have."""
    rungs = range(len(rules.whistle.on_miss))
    mine = (rung_of(slot.department, n) for n in rungs)
    return frozenset((clock_of(slot.department), *mine))


def _about(slot: Slot) -> dict[str, object]:
    return {"whistle_id": slot.whistle_id, "department": slot.department}


def _settled(
    case: Case,
    slots: Sequence[Slot],
    facts: Sequence[Fact],
    timers: Sequence[NewTimer] = (),
    *,
    ended: frozenset[str] = frozenset(),
    human: bool = False,
) -> Settled:
    seq = case.seq + len(facts)
    after = replace(case, seq=seq, human_seq=seq if human else case.human_seq)
    return Settled(after, tuple(slots), tuple(facts), tuple(timers), ended)
