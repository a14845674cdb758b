"""Who owns a case at the moment it comes in: on duty, after hours, or in somebody's stead.

Rules are tried in order, and each is told of; the last one always holds.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from services.routing.domain import duty
from services.routing.domain.calls import after, of_roles, unreachable
from services.routing.domain.owners import (
    fallback_owner,
    first_able,
    main_steps,
    opening_owner,
)
from services.routing.domain.rules import Flow, Rules
from services.routing.domain.town import Setting
from services.routing.domain.values import (
    OpenCall,
    Owner,
    Tried,
)
from services.routing.domain.worktime import WorkCalendar


@dataclass(frozen=True, slots=True)
class Assignment:
    """The owner and the rule that held. `fallback` names why nobody of the grid could take it.

    `joint` are assigned beside him. `call` waits for an answer; `told` are to know of it.
    `sheet_due_at`: it is filed, to be signed for by then.
    """

    owner: Owner
    rule: str
    tried: tuple[Tried, ...]
    fallback: str | None = None
    joint: tuple[Owner, ...] = ()
    call: OpenCall | None = None
    told: tuple[Owner, ...] = ()
    sheet_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Moment:
    """Where and when a case comes in. `hours`: the place has its hours."""

    flow: Flow
    grid: str | None
    village: str | None
    urgent: bool
    now: datetime
    setting: Setting
    calendar: WorkCalendar
    hours: bool

    @property
    def rules(self) -> Rules:
        return self.setting.rules

    def leading(self, grid: str) -> tuple[str, ...]:
        """The roles that come first: where workers back each other, the worker's alone."""
        roles = opening_roles(self.flow)
        rostered = [role for role in roles if self.setting.town.posts.get((grid, role))]
        return tuple(rostered[:1]) if self.rules.duty.backup.enabled and rostered else roles

    def on_duty(self, grid: str, roles: tuple[str, ...]) -> tuple[Owner | None, tuple[Tried, ...]]:
        """Return the first who is on duty for a grid, with a person or not at all."""
        town, now = self.setting.town, self.now
        village = town.at_level(grid, town.village_level)
        places = ((role, self.setting.unit_for(role, grid, village)) for role in roles)
        absent = frozenset(
            staff
            for role, unit in places
            for staff in town.posts.get((unit or "", role), ())
            if not duty.present(staff, town.rosters, self.calendar, now, hours=self.hours)
        )
        owner, tried = first_able(roles, grid, village, self.setting, absent)
        return (owner if owner is not None and owner.staff is not None else None), tried


def opening_roles(flow: Flow) -> tuple[str, ...]:
    """Return the roles that lead on from the flow's start."""
    return next((step.roles for step in main_steps(flow, flow.start) if step.roles), ())


def assign(
    flow: Flow,
    grid: str | None,
    village: str | None,
    case_class: str,
    now: datetime,
    setting: Setting,
) -> Assignment:
    """Choose who owns a case that comes in `now`.

    Without a known calendar nobody's duty can be told: whoever comes first on the roster has it,
    at any hour, unless he is away.
    """
    rules, town = setting.rules, setting.town
    calendar, rosters = rules.work_calendar, town.rosters
    if calendar is None:
        told = Tried("duty", held=False, because="no_calendar")
        return _by_roster(flow, grid, village, setting, rosters.away(now), (told,))
    path = town.path(setting.lowest(grid, village))
    hours = duty.in_hours(path, rosters, calendar, now)
    urgent = case_class in rules.duty.urgent
    here = _Moment(flow, grid, village, urgent, now, setting, calendar, hours)
    tried: tuple[Tried, ...] = (Tried("duty", hours, "within_duty" if hours else "after_hours"),)
    if grid is not None:
        owner, asked = here.on_duty(grid, here.leading(grid))
        tried += asked
        if owner is not None:
            return _with_partner(here, owner, tried)
    if not hours:
        return _after_hours(here, tried)
    return _stood_in(here, tried)


def _by_roster(
    flow: Flow,
    grid: str | None,
    village: str | None,
    setting: Setting,
    away: frozenset[str],
    before: tuple[Tried, ...],
) -> Assignment:
    """Choose as if it were always duty time, passing over who is away."""
    owner, rule, tried = opening_owner(flow, grid, village, setting, away)
    fallback = None
    if rule != "roster" and grid is not None:
        fallback = _why_nobody(flow, grid, setting)
    return Assignment(owner, rule, (*before, *tried), fallback)


def _why_nobody(flow: Flow, grid: str, setting: Setting) -> str:
    rostered = any(setting.town.posts.get((grid, role)) for role in opening_roles(flow))
    return "nobody_on_duty" if rostered else "nobody_on_roster"


def _fallen_back(here: _Moment, tried: tuple[Tried, ...]) -> Assignment:
    away = here.setting.town.rosters.away(here.now)
    owner = fallback_owner(here.village, here.setting, away)
    rule = "fallback.village_known" if here.village is not None else "fallback.else"
    held = Tried(f"owner.{rule}", held=True, because=owner.role)
    why = _why_nobody(here.flow, here.grid, here.setting) if here.grid is not None else None
    return Assignment(owner, rule, (*tried, held), why)


# --- backup --------------------------------------------------------------------------------------


def _partner(here: _Moment, beside: str | None = None) -> Owner | None:
    """Return the first of those who back the grid that is on duty, and is somebody else."""
    backup, rosters = here.rules.duty.backup, here.setting.town.rosters
    if not backup.enabled or here.grid is None:
        return None
    partners = rosters.partners(here.grid, symmetric=backup.symmetric)
    found = (here.on_duty(grid, here.leading(grid))[0] for grid in partners)
    return next((one for one in found if one is not None and one.staff != beside), None)


def _with_partner(here: _Moment, owner: Owner, tried: tuple[Tried, ...]) -> Assignment:
    """Assign the grid's own worker; to something urgent both, and he leads."""
    backup = here.rules.duty.backup
    if not (here.urgent and backup.enabled and backup.joint):
        return Assignment(owner, "roster", tried)
    partner = _partner(here, owner.staff)
    joint = () if partner is None else (partner,)
    told = Tried("backup.joint", bool(joint), _named(partner))
    return Assignment(owner, "roster", (*tried, told), joint=joint)


def _named(partner: Owner | None) -> str:
    return partner.staff if partner is not None and partner.staff else "nobody_on_duty"


def _stood_in(here: _Moment, tried: tuple[Tried, ...]) -> Assignment:
    """Let a partner stand in for who is away; to something urgent he is called and must answer."""
    backup, grid = here.rules.duty.backup, here.grid
    if grid is None or not backup.enabled:
        return _fallen_back(here, tried)
    if not backup.replaces and (roles := here.leading(grid)):
        held = Tried("backup.queue", held=True, because=roles[0])
        return Assignment(Owner(grid, roles[0]), "backup.queue", (*tried, held))
    partner = _partner(here)
    tried = (*tried, Tried("backup.replace", partner is not None, _named(partner)))
    if partner is None:
        owner, asked = here.on_duty(grid, opening_roles(here.flow))
        tried += asked
        return Assignment(owner, "roster", tried) if owner else _fallen_back(here, tried)
    if not here.urgent:
        return Assignment(partner, "backup", tried)
    call = OpenCall("backup_called", 1, (partner,), after(here.now, backup.ack_within, here.rules))
    told = of_roles(backup.guided_by, here.grid, here.village, here.now, here.setting)
    return Assignment(partner, "backup", tried, call=call, told=told)


# --- after hours ---------------------------------------------------------------------------------


def _after_hours(here: _Moment, tried: tuple[Tried, ...]) -> Assignment:
    """Hand it to those who have the night, where the town names any."""
    rules, town, now = here.rules.duty, here.setting.town, here.now
    away = town.rosters.away(now)
    if not rules.hand_to:
        return _by_roster(here.flow, here.grid, here.village, here.setting, away, tried)
    off = unreachable(rules.hand_to, here.grid, here.village, now, here.setting)
    owner, asked = first_able(rules.hand_to, here.grid, here.village, here.setting, off)
    tried += asked
    given = (
        Assignment(owner, "after_hours", tried)
        if owner is not None and owner.staff is not None
        else _fallen_back(here, tried)
    )
    if here.urgent:
        return _calling(here, given)
    if here.grid is None or not rules.files:
        return given
    due_at = duty.morning(here.calendar, now, rules.hand_over_by)
    return replace(given, sheet_due_at=due_at)


def _calling(here: _Moment, given: Assignment) -> Assignment:
    """Call who is to be called at night; where nobody can be, at once who comes after him."""
    rules = here.rules.duty
    where = (here.grid, here.village, here.now, here.setting)
    called, number = of_roles(rules.call, *where), 1
    if not any(one.staff for one in called):
        called, number = of_roles(rules.then_call, *where) or called, 2
    if not called:
        return given
    due_at = after(here.now, rules.ack_within, here.rules) if number == 1 else None
    call = OpenCall("urgent_after_hours", number, called, due_at)
    return replace(given, call=call, told=(given.owner,))
