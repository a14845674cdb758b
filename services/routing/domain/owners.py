"""Who answers for a case. Somebody always does: a person on the roster, or at least a role."""

from collections.abc import Iterable

from services.routing.domain.rules import Flow, Step
from services.routing.domain.town import Setting
from services.routing.domain.values import Case, Owner, Tried

_ASIDE = ("cancel", "reopen")  # steps that lead off the way


def main_steps(flow: Flow, state: str) -> tuple[Step, ...]:
    """Return the steps that lead on from a state, in the profile's order."""
    return tuple(step for step in flow.onward(state) if step.means not in _ASIDE)


def first_able(
    roles: Iterable[str], grid: str | None, village: str | None, setting: Setting
) -> tuple[Owner | None, tuple[Tried, ...]]:
    """Give it to the first role, in the given order, that has somebody on the roster.

    Without any, the first role that has a unit at all; without that, nobody.
    """
    tried: list[Tried] = []
    reserve: Owner | None = None
    for role in roles:
        unit = setting.unit_for(role, grid, village)
        staff = setting.town.first_on_roster(unit, role) if unit is not None else None
        tried.append(Tried(f"owner.{role}", bool(staff), "on_roster" if staff else "nobody"))
        if unit is not None and staff is not None:
            return Owner(unit, role, staff), tuple(tried)
        if unit is not None and reserve is None:
            reserve = Owner(unit, role)
    return reserve, tuple(tried)


def fallback_owner(village: str | None, setting: Setting) -> Owner:
    """Return the profile's role for what is unclear: at the village if it is known, or the town."""
    town, rules = setting.town, setting.rules
    role = rules.fallback_village if village is not None else rules.fallback_town
    unit = village or town.root or rules.ladder[-1]
    return Owner(unit, role, town.first_on_roster(unit, role))


def opening_owner(
    flow: Flow, grid: str | None, village: str | None, setting: Setting
) -> tuple[Owner, str, tuple[Tried, ...]]:
    """Choose the first owner; return him, the rule that held, and what was tried.

    A grid without anybody on its roster goes to the fallback role, like an unclear place.
    """
    tried: tuple[Tried, ...] = ()
    if grid is not None:
        roles = next((step.roles for step in main_steps(flow, flow.start) if step.roles), ())
        owner, tried = first_able(roles, grid, village, setting)
        if owner is not None and owner.staff is not None:
            return owner, "roster", tried
    owner = fallback_owner(village, setting)
    rule = "fallback.village_known" if village is not None else "fallback.else"
    held = Tried(f"owner.{rule}", held=True, because=owner.role)
    return owner, rule, (*tried, held)


def owner_after(case: Case, mover: Owner, state: str, setting: Setting) -> Owner | None:
    """Return the owner once `mover` has brought the case to `state`; None: the system chooses.

    He keeps it if the handler, or his role, leads on from there; else it goes to the first role
    that does.
    """
    flow = setting.rules.flows[case.flow]
    onward = main_steps(flow, state)
    leading = next((step for step in onward if step.roles), None)
    if any(step.by_system for step in onward):
        return None
    if any(step.by_handler for step in onward):
        return mover
    if state in flow.end or leading is None:
        return case.owner
    if mover.role in leading.roles:
        return mover
    owner, _ = first_able(leading.roles, case.grid, case.village, setting)
    return owner or fallback_owner(case.village, setting)


def system_owner(case: Case, *, moved_up: bool, setting: Setting) -> Owner:
    """Choose the owner where the flow leaves it to the system: as at the opening, or a rung up."""
    town, rules = setting.town, setting.rules
    flow = rules.flows[case.flow]
    if not moved_up:
        return opening_owner(flow, case.grid, case.village, setting)[0]
    level = town.units[case.owner.unit].level if case.owner.unit in town.units else ""
    above = rules.ladder[rules.ladder.index(level) + 1 :] if level in rules.ladder else ()
    roles = [role for step in main_steps(flow, flow.start) for role in step.roles]
    for rung in above:
        on_rung = [role for role in roles if rules.role_levels[role] == rung]
        owner, _ = first_able(on_rung, case.grid, case.village, setting)
        if owner is not None:
            return owner
    return fallback_owner(None, setting)
