"""The party's units beside the tree, and the links and organisations that posts do not tell."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal

from contracts.profile import Profile
from contracts.profile.town import PartyLevel
from deploy.seed.homes import Home
from deploy.seed.plan import Body, Plan
from deploy.seed.shares import apportion
from deploy.seed.tree import Tree

Record = tuple[str, Body]
_TO_UNITS = ("grid", "microgrid", "village", "household_group")


def party_units(profile: Profile, plan: Plan, tree: Tree) -> Iterator[Record]:
    """Yield the party's units, each under the one of its parent's level that is above it."""
    at: dict[str, dict[str, str]] = {}  # by level: the party unit of each unit
    left = list(profile.party_levels)
    while left:
        level = next(one for one in left if one.parent is None or one.parent in at)
        left.remove(level)
        beside = [one for one in profile.party_levels if one.attaches_to == level.attaches_to]
        known = at[level.id] = {}
        units = tree.at.get(level.attaches_to or "", [])
        for spanned in _spans(level, beside, units, plan):
            name = f"{level.id}-{spanned[0]}"
            known.update(dict.fromkeys(spanned, name))
            zh = f"{tree.units[spanned[0]].zh}{level.zh}"
            body: Body = {"level": level.id, "zh": zh, "units": [*spanned]}
            over = at.get(level.parent or "", {})
            parent = next((over[u.id] for u in tree.above(spanned[0]) if u.id in over), None)
            yield name, {**body, "parent": parent} if parent else body


def _spans(
    level: PartyLevel, beside: Sequence[PartyLevel], units: Sequence[str], plan: Plan
) -> list[Sequence[str]]:
    """Share units among the levels that attach to them: first those alone, then joint ones."""
    joint = (level.parents_max or 1) > 1
    together = next((one for one in beside if (one.parents_max or 1) > 1), None)
    scale = plan.scales.get(level.attaches_to or "", 1.0)
    groups = round((together.count or 0) * scale) if together else 0
    alone = [one for one in beside if one is not together]
    own = len(units) - groups * (together.parents_max or 1) if together else len(units)
    if together and alone and alone[0].count:
        own = min(max(round(alone[0].count * scale), 0), len(units))
    if not joint:
        return [units[n : n + 1] for n in range(max(own, 0))]
    rest = units[max(own, 0) :]
    least = -(-len(rest) // (level.parents_max or 1))
    shares = apportion(len(rest), [1] * max(groups, least)) if rest else []
    starts = [sum(shares[:n]) for n in range(len(shares))]
    return [rest[at : at + share] for at, share in zip(starts, shares, strict=True) if share]


def links(
    profile: Profile, tree: Tree, rostered: Sequence[Record]
) -> Iterator[tuple[Literal["link", "organisation"], str, Body]]:
    """Yield kind, id and body: links of roles that have no post at what they look after."""
    levels = {level.id: level for level in profile.levels}
    grid = next(tree.at[level.id][0] for level in profile.levels if level.kind == "grid")
    for rule in profile.links:
        linkers = [name for name, body in rostered if body["posts"][0]["role"] == rule.from_role]
        held = levels[profile.role(rule.from_role).level].kind
        if not linkers or held == rule.to:
            continue
        if rule.to in _TO_UNITS:
            units = [
                u
                for level in profile.levels
                if level.kind == rule.to
                for u in tree.at.get(level.id, ())
            ]
            for n, unit in enumerate(units):
                body = {"link": rule.id, "staff": linkers[n % len(linkers)], "to_kind": "unit"}
                yield "link", f"{rule.id}-{unit}", {**body, "to": unit}
        elif rule.to == "enterprise":
            for n, staff in enumerate(linkers, 1):
                firm = f"o{n:04d}"
                about = {"unit": grid, "subtype": "enterprise"}
                yield "organisation", firm, {**about, "name": f"{profile.town.zh}{n}号企业"}
                body = {"link": rule.id, "staff": staff, "to_kind": "organisation", "to": firm}
                yield "link", f"{rule.id}-{firm}", body


def household_links(
    profile: Profile, tree: Tree, rostered: Sequence[Record], built: Sequence[Home]
) -> Iterator[Record]:
    """Yield id and body: each household with whoever is nearest and has room for one more."""
    for rule in (one for one in profile.links if one.to == "household"):
        nearby: defaultdict[str, list[str]] = defaultdict(list)
        for staff, held in rostered:
            for post in held["posts"]:
                if post["role"] == rule.from_role:
                    nearby[post["unit"]].append(staff)
        linked: Counter[str] = Counter()
        room = rule.max if rule.full_coverage else rule.min or 1
        for home in built:
            above = tree.above(home.body.get("group") or home.body["grid"])
            near = next((nearby[unit.id] for unit in above if unit.id in nearby), [])
            staff = min(near, key=linked.__getitem__, default="")
            if not staff or (room is not None and linked[staff] >= room):
                continue
            linked[staff] += 1
            body: Body = {"link": rule.id, "staff": staff, "to_kind": "household", "to": home.id}
            yield f"{rule.id}-{home.id}", body
