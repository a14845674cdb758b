"""Whether what a set's elements, links and party units name is there, and is the profile's.

As in `references`, only what a set brings or takes away is judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from contracts.profile import Profile, parse
from contracts.profile.town import PartyLevel
from services.chassis.postgres import Connection
from services.ledger.elements import NAMED
from services.ledger.store import elements
from services.ledger.store.elements import Key
from services.ledger.store.registry import Entry

Fault = dict[str, Any]
_ZH: Mapping[str, str] = {
    "unit": "单位",
    "household": "户",
    "person": "人",
    "staff": "工作人员",
    "place": "地点",
    "thing": "物品",
    "matter": "事项",
    "organisation": "组织",
    "link": "联系",
    "party_unit": "党组织",
}
_OF_PROFILE = {
    "household",
    "person",
    "place",
    "thing",
    "matter",
    "organisation",
    "link",
    "party_unit",
}
# What a profile's link may lead to, and the kind of record that this is here.
TO: Mapping[str, str] = {
    "grid": "unit",
    "microgrid": "unit",
    "village": "unit",
    "household_group": "unit",
    "household": "household",
    "person": "person",
    "voter": "person",
    "enterprise": "organisation",
    "role": "staff",
}
_FIELDS = [(kind, field, of) for kind, fields in NAMED.items() for field, of in fields.items()]
_NAMED_MAX = 50


async def check(
    conn: Connection, tenant_id: str, entries: Sequence[Entry], at: datetime
) -> list[Fault]:
    """Return the faults, as of a moment, of a set that the transaction has appended."""
    wanted = {key for entry in entries for _, key in named_by(entry)}
    wanted |= {("unit", grid) for entry in entries if (grid := _grid_of(entry))}
    there = await elements.bodies(conn, tenant_id, sorted(wanted), at) if wanted else {}
    faults = [*_missing(entries, there), *_heads(entries, there)]
    homes = {
        one.record_id: one.body.get("household")
        for one in entries
        if one.kind == "person" and one.body is not None
    }
    if homes:
        faults += _left(await elements.left_behind(conn, tenant_id, homes, at))
    removed = [(one.kind, one.record_id) for one in entries if one.body is None]
    gone = [key for key in removed if key[0] in _ZH]
    if gone:
        faults += _still_named(await elements.naming(conn, tenant_id, _FIELDS, gone, at))
    if any(entry.kind in _OF_PROFILE and entry.body for entry in entries):
        written = await elements.newest_profile(conn, tenant_id)
        profile = parse(written[1]) if written else None
        for entry in entries:
            faults += _by_profile(entry, profile, there)
    return faults


def named_by(entry: Entry) -> Iterator[tuple[str, Key]]:
    """Yield what a record names: the field, and the kind and id of what stands there."""
    body = entry.body or {}
    for field, kind in NAMED.get(entry.kind, {}).items():
        match body.get(field):
            case None:
                pass
            case str(one):
                yield field, (kind, one)
            case several:
                yield from ((f"{field}.{n}", (kind, one)) for n, one in enumerate(several))
    if entry.kind == "link" and body:
        yield "to", (body["to_kind"], body["to"])


def _grid_of(entry: Entry) -> str | None:
    return entry.body["grid"] if entry.kind == "household" and entry.body else None


def _missing(entries: Sequence[Entry], there: Mapping[Key, Any]) -> Iterator[Fault]:
    for entry in entries:
        for field, (kind, name) in named_by(entry):
            if (kind, name) not in there:
                zh = f"没有{_ZH[kind]} {name}：改这一项，或在同一变更集里登记。"
                en = f"There is no {kind} {name}: mend this, or record it in the same set."
                yield _fault(entry, field, zh, en)


def _heads(entries: Sequence[Entry], there: Mapping[Key, Mapping[str, Any]]) -> Iterator[Fault]:
    for entry in entries:
        head = (entry.body or {}).get("head") if entry.kind == "household" else None
        lives = there.get(("person", head), {}).get("household") if head else entry.record_id
        if head and ("person", head) in there and lives != entry.record_id:
            zh = f"户主 {head} 不住在这一户：改 head，或改这个人的 household。"
            en = f"The head {head} does not live here: mend `head`, or the person's `household`."
            yield _fault(entry, "head", zh, en)


def _left(found: Sequence[tuple[str, str]]) -> Iterator[Fault]:
    for person, home in found:
        zh = f"他搬走了，仍是户 {home} 的户主：在同一变更集里改那一户的 head，或去掉。"
        en = f"Stays head of {home}, which is left: mend or remove its `head` in the same set."
        said = {"kind": "person", "id": person, "field": "household"}
        yield {**said, "message": f"{zh} {en}"}


def _still_named(found: Sequence[tuple[Key, str, int]]) -> Iterator[Fault]:
    for (kind, name), by, count in found:
        zh = f"还有 {count} 条{_ZH[by]}记录用到它：先改挂别处或删除，同一变更集里也可以。"
        en = f"{count} records of kind {by} still name it: move or remove them first, or here."
        yield {"kind": kind, "id": name, "field": "body", "message": f"{zh} {en}"}


def _by_profile(
    entry: Entry, profile: Profile | None, there: Mapping[Key, Mapping[str, Any]]
) -> Iterator[Fault]:
    body = entry.body
    if body is None or entry.kind not in _OF_PROFILE:
        return
    if profile is None:
        if entry.kind in ("link", "party_unit"):
            zh, en = "先登记镇配置。", "Record the town's profile first."
            yield _fault(entry, "link" if entry.kind == "link" else "level", zh, en)
        return
    match entry.kind:
        case "link":
            yield from _link(entry, body, profile, there)
        case "party_unit":
            yield from _party_unit(entry, body, profile, there)
        case "household":
            known = [one.id for one in profile.registry.household_classes]
            classes = [("household_class", body.get("household_class"))]
            classes += [
                (f"more_classes.{n}", c) for n, c in enumerate(body.get("more_classes", ()))
            ]
            yield from _unknown(entry, classes, known)
            yield from _no_grid(entry, profile, there)
        case "person":
            flags = [(f"flags.{n}", flag) for n, flag in enumerate(body.get("flags", ()))]
            yield from _unknown(entry, flags, profile.registry.person_flags)
        case kind:
            known = [s for one in profile.registry.elements if one.id == kind for s in one.subtypes]
            yield from _unknown(entry, [("subtype", body.get("subtype"))], known)


def _no_grid(
    entry: Entry, profile: Profile, there: Mapping[Key, Mapping[str, Any]]
) -> Iterator[Fault]:
    """Yield a household whose grid is a unit of another kind; its group lies in the grid anyway."""
    unit = there.get(("unit", _grid_of(entry) or ""))
    said = unit and not_a_grid(profile, unit["level"])
    if said:
        yield _fault(entry, "grid", *said)


def not_a_grid(profile: Profile, level: str) -> tuple[str, str] | None:
    """Tell that a unit of this level takes no households, in both languages; None if it does.

    A level that the profile does not know tells nothing.
    """
    known = profile.levels_by_id.get(level)
    if known is None or known.kind == "grid":
        return None
    grids = "、".join(f"{one.zh} {one.id}" for one in profile.levels if one.kind == "grid")
    zh = f"它是{known.zh}，户要登记在{grids or '网格'}一级的单位：改填网格编号。"
    return zh, "A household belongs to a unit of kind grid: name its grid."


def _unknown(
    entry: Entry, given: Sequence[tuple[str, str | None]], known: Sequence[str]
) -> Iterator[Fault]:
    shown = ", ".join(known[:_NAMED_MAX]) or "-"
    for field, value in given:
        if value is not None and value not in known:
            zh, en = f"镇配置里没有 {value}。有：{shown}。", f"The profile has: {shown}."
            yield _fault(entry, field, zh, en)


def _link(
    entry: Entry,
    body: Mapping[str, Any],
    profile: Profile,
    there: Mapping[Key, Mapping[str, Any]],
) -> Iterator[Fault]:
    rule = next((one for one in profile.links if one.id == body["link"]), None)
    if rule is None:
        yield from _unknown(entry, [("link", body["link"])], [one.id for one in profile.links])
        return
    staff = there.get(("staff", body["staff"]))
    if staff and rule.from_role not in {post["role"] for post in staff["posts"]}:
        role = profile.role(rule.from_role).zh
        zh = f"{body['staff']} 没有“{role}”的岗位：换人，或先给岗位。"
        yield _fault(entry, "staff", zh, f"Expected somebody with a post as {rule.from_role}.")
    if body["to_kind"] != TO[rule.to]:
        zh, en = f"应为 {TO[rule.to]}。", f"Expected {TO[rule.to]}."
        yield _fault(entry, "to_kind", zh, en)
    elif body["to_kind"] == "unit" and (unit := there.get(("unit", body["to"]))):
        level = profile.levels_by_id.get(unit["level"])
        if level is None or level.kind != rule.to:
            zh, en = f"应为 {rule.to} 一级的单位。", f"Expected a unit of kind {rule.to}."
            yield _fault(entry, "to", zh, en)


def _party_unit(
    entry: Entry,
    body: Mapping[str, Any],
    profile: Profile,
    there: Mapping[Key, Mapping[str, Any]],
) -> Iterator[Fault]:
    levels = {one.id: one for one in profile.party_levels}
    level = levels.get(body["level"])
    if level is None:
        yield from _unknown(entry, [("level", body["level"])], [*levels])
        return
    above = there.get(("party_unit", body.get("parent") or ""))
    if above and above["level"] != level.parent:  # the profile's levels have no circle
        zh, en = f"上级应为 {level.parent} 一级。", f"Expected a party unit of {level.parent}."
        yield _fault(entry, "parent", zh, en)
    for n, name in enumerate(body.get("units", ())):
        unit = there.get(("unit", name))
        if unit and level.attaches_to and unit["level"] != level.attaches_to:
            zh = f"应为 {level.attaches_to} 一级的单位。"
            yield _fault(entry, f"units.{n}", zh, f"Expected a unit of {level.attaches_to}.")
    yield from _too_few(entry, body.get("members"), level, profile)


def _too_few(
    entry: Entry, members: int | None, level: PartyLevel, profile: Profile
) -> Iterator[Fault]:
    least = level.min_members or 0
    if members is None or members >= least:
        return
    beside = [one for one in profile.party_levels if one.attaches_to == level.attaches_to]
    joint = "、".join(f"{one.zh} {one.id}" for one in beside if (one.parents_max or 1) > 1)
    zh = f"党员 {members} 名，至少要 {least} 名：改设{joint or '联合组织'}，配指导员。"
    en = f"{members} members are too few, {least} are needed: make it joint, with an instructor."
    yield _fault(entry, "members", zh, en)


def _fault(entry: Entry, field: str, zh: str, en: str) -> Fault:
    return {"kind": entry.kind, "id": entry.record_id, "field": field, "message": f"{zh} {en}"}
