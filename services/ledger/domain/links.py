"""Who looks after whom: what the links say, and what the posts say where no link does. Pure."""

from collections.abc import Iterator, Mapping

from services.ledger.domain.structure import LinkRule, Rules, Town, UnitNow


def looked_after(town: Town, rules: Rules, rule: LinkRule) -> Mapping[str, tuple[str, ...]]:
    """Tell linkers by what is linked, the primary one first.

    Beside the links, whoever holds the role at a unit looks after it; a household without a link
    is looked after by the first holder at its group, or else at its grid.
    """
    found: dict[str, list[str]] = {}
    for link in sorted(town.links, key=lambda one: (not one.primary, one.id)):
        if link.link == rule.id:
            found.setdefault(link.to, []).append(link.staff)
    if rule.to_kind == "household":
        _by_group(town, rule, found)
    elif rule.to_kind == "unit":
        for unit in led_units(town, rules, rule):
            linked = found.setdefault(unit.id, [])
            posts = town.holders.get((unit.id, rule.role), ())
            linked += [one.staff for one in posts if one.staff not in linked]
    return {to: tuple(staff) for to, staff in found.items() if staff}


def _by_group(town: Town, rule: LinkRule, found: dict[str, list[str]]) -> None:
    for home in town.homes:
        for unit in (home.group, home.grid):
            posts = town.holders.get((unit, rule.role), ()) if unit else ()
            if posts and home.id not in found:
                found[home.id] = [posts[0].staff]


def led_units(town: Town, rules: Rules, rule: LinkRule) -> Iterator[UnitNow]:
    """Yield the units of the kind to which a link leads."""
    for unit in town.units.values():
        if rules.level_kinds.get(unit.level) == rule.level_kind:
            yield unit
