"""Who answers for a case. Somebody always does: a person on the roster, or at least a role."""

from collections.abc import Container, Iterable, Mapping

from services.routing.domain.rules import Flow, Step
from services.routing.domain.town import Setting
from services.routing.domain.values import Case, Owner, Tried

_ASIDE = ("cancel", "reopen")  # steps that lead off the way


def main_steps(flow: Flow, state: str) -> tuple[Step, ...]:
    """Return the steps that lead on from a state, in the profile's order."""
    return tuple(step for step in flow.onward(state) if step.means not in _ASIDE)


def barred_from(step: Step, case: Case, flow: Flow) -> Mapping[str, set[str]]:
    """Return who must leave a step to somebody else, and because of which steps of his own."""
    apart = {other for group in flow.distinct if step.id in group for other in group - {step.id}}
    found: dict[str, set[str]] = {}
    for done, staff in case.done:
        if done in apart:
            found.setdefault(staff, set()).add(done)
    return found


def skipped_rung(case: Case, step: Step, setting: Setting) -> str | None:
    """Return the level that a step upward would pass over, where the town lets none be skipped.

    The system itself goes up rung by rung; who stands on no rung is not on the way.
    """
    rules, units = setting.rules, setting.town.units
    onward = main_steps(rules.flows[case.flow], step.to)
    roles = next((one.roles for one in onward if one.roles), ())
    if rules.skip_allowed or step.means != "move_up" or not roles or onward[0].by_system:
        return None
    start = units[case.owner.unit].level if case.owner.unit in units else ""
    aim = rules.role_levels[roles[0]]
    if start not in rules.ladder or aim not in rules.ladder:
        return None
    between = rules.ladder[rules.ladder.index(start) + 1 : rules.ladder.index(aim)]
    return between[0] if between else None


def first_able(
    roles: Iterable[str],
    grid: str | None,
    village: str | None,
    setting: Setting,
    barred: Container[str] = (),
) -> tuple[Owner | None, tuple[Tried, ...]]:
    """Give it to the first role, in the given order, that has somebody on the roster.

    Whoever is `barred` is passed over. Without any, the first role that has a unit at all;
    without that, nobody.
    """
    tried: list[Tried] = []
    reserve: Owner | None = None
    for role in roles:
        unit = setting.unit_for(role, grid, village)
        staff = setting.town.first_on_roster(unit, role, barred) if unit is not None else None
        tried.append(Tried(f"owner.{role}", bool(staff), "on_roster" if staff else "nobody"))
        if unit is not None and staff is not None:
            return Owner(unit, role, staff), tuple(tried)
        if unit is not None and reserve is None:
            reserve = Owner(unit, role)
    return reserve, tuple(tried)


def fallback_owner(village: str | None, setting: Setting, barred: Container[str] = ()) -> Owner:
    """Return the profile's role for what is unclear: at the village if it is known, or the town."""
    town, rules = setting.town, setting.rules
    role = rules.fallback_village if village is not None else rules.fallback_town
    unit = village or town.root or rules.ladder[-1]
    return Owner(unit, role, town.first_on_roster(unit, role, barred))


def opening_owner(
    flow: Flow,
    grid: str | None,
    village: str | None,
    setting: Setting,
    barred: Container[str] = (),
) -> tuple[Owner, str, tuple[Tried, ...]]:
    """Choose the first owner; return him, the rule that held, and what was tried.

    A grid without anybody on its roster goes to the fallback role, like an unclear place.
    """
    tried: tuple[Tried, ...] = ()
    if grid is not None:
        roles = next((step.roles for step in main_steps(flow, flow.start) if step.roles), ())
        owner, tried = first_able(roles, grid, village, setting, barred)
        if owner is not None and owner.staff is not None:
            return owner, "roster", tried
    owner = fallback_owner(village, setting, barred)
    rule = "fallback.village_known" if village is not None else "fallback.else"
    held = Tried(f"owner.{rule}", held=True, because=owner.role)
    return owner, rule, (*tried, held)


def owner_after(case: Case, step: Step, mover: Owner, setting: Setting) -> Owner | None:
    """Return the owner once `mover` has taken a step; `case` has its new state already.

    He keeps it if the handler, or his role, leads on from there and he may; else it goes to the
    first role that does. None: the system chooses. What is taken up again by a handler goes back
    to whom it would go at the opening.
    """
    flow = setting.rules.flows[case.flow]
    onward = main_steps(flow, case.state)
    leading = next((one for one in onward if one.roles), None)
    if _stays(case, step, mover):
        return case.owner
    if any(one.by_system for one in onward):
        return None
    if any(one.by_handler for one in onward):
        again = step.means == "reopen"
        return opening_owner(flow, case.grid, case.village, setting)[0] if again else mover
    if case.closed or leading is None:
        return case.owner
    barred = barred_from(leading, case, flow)
    if mover.role in leading.roles and mover.staff not in barred:
        return mover
    owner, _ = first_able(leading.roles, case.grid, case.village, setting, barred)
    return owner or fallback_owner(case.village, setting)


def _stays(case: Case, step: Step, mover: Owner) -> bool:
    """Tell whether the owner keeps it whoever takes a step beside him.

    He who was asked first keeps it until it is taken over; he who leads others keeps the lead.
    What the flow itself moves, up or down, moves on.
    """
    if step.means is not None or case.closed or mover.staff == case.owner.staff:
        return False
    first = case.first_asked is not None and case.owner.staff == case.first_asked
    return first or any(mover.staff == one.staff for one in case.joint)


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
