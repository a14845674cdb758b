"""Makes the looks at one grid and at one household of what the store holds."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from contracts.profile import parse
from contracts.topics import INTAKE_EVENTS
from services.chassis.postgres import Connection
from services.ledger.coverage import rules_of, town_of
from services.ledger.domain.coverage import Finding, examine
from services.ledger.domain.links import looked_after
from services.ledger.domain.masks import HIDDEN
from services.ledger.domain.structure import Rules, Town
from services.ledger.opened import Body, Opener
from services.ledger.store import elements, history, pages
from services.ledger.store.history import Held, When
from services.ledger.told import told

_HOMES_MAX, _CASES_MAX, _VERSIONS_MAX = 1_000, 500, 300
# What is found by looking at one grid alone; the rest needs the whole town.
_OF_A_GRID = frozenset({"team", "role", "unlinked", "party", "head"})
_FINDING = tuple(one.name for one in fields(Finding))
_rules: dict[tuple[str, int], Rules] = {}  # a version of a profile never changes
_RULES_MAX = 64

Part = dict[str, Any]


async def look_at_grid(
    conn: Connection, tenant_id: str, grid: str, when: When, opener: Opener
) -> Part | None:
    """Return what is on the page of a grid; None if there is no such unit then."""
    kin = await pages.kin(conn, tenant_id, grid, when)
    if grid not in kin:
        return None
    path = _path(kin, grid)
    groups = sorted(kin.keys() - {one["id"] for one in path})
    held = await pages.homes(conn, tenant_id, grid, when, _HOMES_MAX + 1)
    homes = dict([*held.items()][:_HOMES_MAX])
    staff = await pages.staff_of(conn, tenant_id, [*kin], when)
    links = await pages.links_to(conn, tenant_id, [grid, *groups, *homes], when)
    staff += await _linkers(conn, tenant_id, staff, links, when)
    heads = [body["head"] for body in homes.values() if body.get("head")]
    people = await pages.heads(conn, tenant_id, heads, when)
    lodgers = await pages.live_in(conn, tenant_id, grid, when)
    persons = {name: lodgers[name] for name in homes.keys() & lodgers.keys()}
    open_cases = await pages.cases_of(conn, tenant_id, [grid], _CASES_MAX + 1)
    cases = await _cases(conn, tenant_id, open_cases[:_CASES_MAX])
    rules = await _rules_of(conn, tenant_id)
    party = await elements.records(conn, tenant_id, ["party_unit"], when.as_of)
    rows: dict[elements.Key, Body] = {("unit", name): body for name, body in kin.items()}
    rows |= {("staff", one.record_id): one.body or {} for one in staff}
    rows |= {("household", name): body for name, body in homes.items()}
    rows |= {("link", one.record_id): one.body or {} for one in links}
    town = town_of({**rows, **party}, persons)
    named = _names(opener, tenant_id, staff)
    after = _linked(town, rules, links, named)
    names = {one: opener.masked(tenant_id, one, body)["name"] for one, body in people.items()}
    counted = Counter(one["household"] for one in cases)
    late = Counter(one["household"] for one in cases if one["late"])
    here = {grid, *groups, *homes}
    return {
        "grid": path[-1],
        "path": path,
        "groups": [_unit(name, kin[name]) for name in groups],
        "staff": _posts(staff, here, named),
        "links": after.get(grid, []),
        "households": [
            {
                "id": name,
                "group": body.get("group"),
                "household_class": body.get("household_class"),
                "more_classes": body.get("more_classes", []),
                "watched": body.get("watched", False),
                "head": names.get(body["head"], HIDDEN) if body.get("head") else None,
                "persons": persons.get(name, 0),
                "links": after.get(name, []),
                "open": counted[name],
                "late": late[name],
            }
            for name, body in homes.items()
        ],
        "cases": cases,
        "findings": _findings(town, rules, here),
        "more": len(held) > _HOMES_MAX or len(open_cases) > _CASES_MAX,
    }


async def look_at_household(
    conn: Connection, tenant_id: str, household: str, when: When, opener: Opener
) -> Part | None:
    """Return what is on the page of a household; None if it was not there then."""
    home = await history.holds(conn, tenant_id, "household", household, when)
    if home is None or home.body is None:
        return None
    grid = home.body["grid"]
    kin = await pages.kin(conn, tenant_id, grid, when)
    members = await history.page_of_place(conn, tenant_id, "person", household, when, "", 200)
    to = [household, *(one.record_id for one in members)]
    links = await pages.links_to(conn, tenant_id, to, when)
    posts = await pages.staff_of(conn, tenant_id, [*kin], when)
    posts += await _linkers(conn, tenant_id, posts, links, when)
    rules = await _rules_of(conn, tenant_id)
    rows: dict[elements.Key, Body] = {("unit", name): body for name, body in kin.items()}
    rows |= {("staff", one.record_id): one.body or {} for one in posts}
    rows |= {("link", one.record_id): one.body or {} for one in links}
    rows[("household", household)] = home.body
    town = town_of(rows, {household: len(members)})
    after = _linked(town, rules, links, _names(opener, tenant_id, posts))
    versions = await pages.versions_about(
        conn, tenant_id, household, when.known_on, _VERSIONS_MAX + 1
    )
    ever = {row["body"]["grid"] for row in versions if row["kind"] == "household" and row["body"]}
    grids = sorted(ever | {grid})
    cases = await pages.cases_for(
        conn, tenant_id, household, grids, INTAKE_EVENTS.name, _CASES_MAX + 1
    )
    head = home.body.get("head")
    return {
        "id": household,
        "version": home.version,
        "valid_from": home.valid_from,
        "recorded_at": home.recorded_at,
        "body": opener.shown(tenant_id, household, home.body),
        "path": _path(kin, grid),
        "members": [
            {
                "id": one.record_id,
                "head": one.record_id == head,
                "body": opener.shown(tenant_id, one.record_id, one.body or {}),
            }
            for one in sorted(members, key=lambda one: (one.record_id != head, one.record_id))
        ],
        "links": [link for one in to for link in after.get(one, [])],
        "cases": [{**one, "household": household} for one in cases[:_CASES_MAX]],
        "history": told(tenant_id, household, versions[:_VERSIONS_MAX], opener),
        "more": len(versions) > _VERSIONS_MAX or len(cases) > _CASES_MAX,
    }


def _unit(name: str, body: Body) -> Part:
    return {"id": name, "level": body["level"], "zh": body["zh"]}


def _path(kin: Mapping[str, Body], unit: str) -> list[Part]:
    """Return the units from the town down to this one."""
    path: list[Part] = []
    seen: set[str] = set()
    at: str | None = unit
    while at is not None and at in kin and at not in seen:
        seen.add(at)
        path.append(_unit(at, kin[at]))
        at = kin[at].get("parent")
    return path[::-1]


async def _linkers(
    conn: Connection, tenant_id: str, known: Sequence[Held], links: Sequence[Held], when: When
) -> list[Held]:
    """Return who is linked to something here and has no post here."""
    wanted = {(one.body or {})["staff"] for one in links} - {one.record_id for one in known}
    keys = [("staff", name) for name in sorted(wanted)]
    return [*(await pages.held_many(conn, tenant_id, keys, when)).values()] if keys else []


async def _rules_of(conn: Connection, tenant_id: str) -> Rules:
    newest = await pages.profile_version(conn, tenant_id)
    if newest is not None and (tenant_id, newest) in _rules:
        return _rules[tenant_id, newest]
    written = await elements.newest_profile(conn, tenant_id)
    if written is None:
        return Rules(0, {}, ())
    version, body = written
    if len(_rules) >= _RULES_MAX:
        _rules.clear()
    _rules[tenant_id, version] = rules_of(parse(body), version)
    return _rules[tenant_id, version]


async def _cases(conn: Connection, tenant_id: str, rows: Sequence[Part]) -> list[Part]:
    """Give each case the household of which its report speaks."""
    ids = [row["case_id"] for row in rows]
    named = await pages.reported_for(conn, tenant_id, ids, INTAKE_EVENTS.name) if ids else {}
    return [{**row, "household": named.get(row["case_id"])} for row in rows]


def _names(opener: Opener, tenant_id: str, staff: Iterable[Held]) -> dict[str, dict[str, str]]:
    return {
        one.record_id: opener.masked(tenant_id, one.record_id, one.body or {}, "name", "phone")
        for one in staff
    }


def _posts(
    staff: Sequence[Held], units: set[str], named: Mapping[str, Mapping[str, str]]
) -> list[Part]:
    """Return the posts at these units, by role and rank."""
    posts = [
        {
            "id": one.record_id,
            "role": post["role"],
            "unit": post["unit"],
            "rank": post.get("rank", 1),
            "name": named[one.record_id].get("name", ""),
            "phone": named[one.record_id].get("phone", ""),
        }
        for one in staff
        for post in (one.body or {}).get("posts", ())
        if post["unit"] in units
    ]
    return sorted(posts, key=lambda one: (one["role"], one["unit"], one["rank"], one["id"]))


def _linked(
    town: Town, rules: Rules, links: Sequence[Held], named: Mapping[str, Mapping[str, str]]
) -> dict[str, list[Part]]:
    """Return who looks after what, by what is looked after: links first, then posts."""
    recorded = {
        (body["link"], body["staff"], body["to"]): body.get("primary", True)
        for body in (one.body or {} for one in links)
    }
    found: dict[str, list[Part]] = {}
    for rule in rules.links:
        for to, linkers in looked_after(town, rules, rule).items():
            for staff in linkers:
                primary = recorded.get((rule.id, staff, to))
                found.setdefault(to, []).append(
                    {
                        "link": rule.id,
                        "staff": staff,
                        "name": named.get(staff, {}).get("name", ""),
                        "primary": primary is not False,
                        "by": "post" if primary is None else "record",
                        "to_kind": rule.to_kind,
                        "to": to,
                    }
                )
    return found


def _findings(town: Town, rules: Rules, here: set[str]) -> list[Part]:
    return [
        {name: getattr(one, name) for name in _FINDING}
        for one in examine(town, rules).findings
        if one.code in _OF_A_GRID and one.subject in here
    ]
