"""Whether a town hangs together once a set is recorded: what records name must be there.

Only what a set brings or takes away is judged, so that an old fault elsewhere stops nobody.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.chassis.postgres import Connection
from services.ledger import linked
from services.ledger.store import facts, registry
from services.ledger.store.registry import Entry

# The fields of a kind which name units: one, or a list of them.
_UNIT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "unit": ("parent",),
    "household": ("grid", "group"),
    "roster": ("unit",),
    "backup_pair": ("grids",),
    "staff": ("posts",),
}
_REFERRERS: Mapping[str, tuple[str, str]] = {
    "unit": ("个下级单位", "units below it"),
    "household": ("户", "households"),
    "roster": ("份排班", "rosters"),
    "backup_pair": ("个 AB 角", "backup pairs"),
    "staff": ("名人员", "staff"),
}
_FAULTS_MAX = 50
_NAMED_MAX = 50
Fault = dict[str, Any]


class SetUnfit(ValueError):  # noqa: N818 - a state of the set
    """A set after which a record would name what is not there, or a case would have no owner."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults[:_FAULTS_MAX]


async def check(
    conn: Connection, tenant_id: str, entries: Sequence[Entry], at: datetime, *, coming: bool
) -> None:
    """Judge the town as of a moment, after a set, within the transaction that has appended it.

    Who will own a case at a moment that is `coming`, nobody knows: that is not judged.

    Raises:
        SetUnfit: records which name an unknown unit or category, stand in a circle, or are still
            needed; each by kind, id and field.
    """
    faults: list[Fault] = []
    if any(entry.kind in _UNIT_FIELDS for entry in entries):
        parents = await registry.parents(conn, tenant_id, at)
        faults += unknown_units(entries, parents)
        faults += circles(entries, parents)
        faults += second_towns(entries, parents)
        faults += foreign_groups(entries, parents)
    removed = [one.record_id for one in entries if one.kind == "unit" and one.body is None]
    if removed:
        faults += _still_named(await registry.referrers(conn, tenant_id, removed, at))
    if removed and not coming:
        faults += _still_owning(await facts.open_of_units(conn, tenant_id, removed))
    if any(entry.kind == "front_end" and entry.body for entry in entries):
        faults += unknown_categories(entries, await registry.categories(conn, tenant_id))
    faults += await linked.check(conn, tenant_id, entries, at)
    if faults:
        raise SetUnfit(faults)


def unknown_units(entries: Sequence[Entry], units: Mapping[str, str | None]) -> Iterator[Fault]:
    """Yield what names a unit that is not among the town's."""
    for entry in entries:
        for field, unit in _units_named(entry):
            if unit not in units:
                zh = f"没有单位 {unit}：改这一项，或在同一变更集里登记它。"
                en = f"There is no unit {unit}: mend this, or record the unit in the same set."
                yield _fault(entry.kind, entry.record_id, field, zh, en)


def _units_named(entry: Entry) -> Iterator[tuple[str, str]]:
    body = entry.body or {}
    for field in _UNIT_FIELDS.get(entry.kind, ()):
        match body.get(field):
            case None:
                pass
            case str(unit):
                yield field, unit
            case several if field == "posts":
                yield from ((f"posts.{n}.unit", post["unit"]) for n, post in enumerate(several))
            case several:
                yield from ((f"{field}.{n}", unit) for n, unit in enumerate(several))


def circles(entries: Sequence[Entry], parents: Mapping[str, str | None]) -> Iterator[Fault]:
    """Yield the units of a set from which one comes back to where one was; each circle once."""
    done: set[str] = set()
    for entry in entries:
        if entry.kind != "unit":
            continue
        path: dict[str, None] = {}  # in the order walked
        at: str | None = entry.record_id
        while at is not None and at not in done and at not in path:
            path[at] = None
            at = parents.get(at)
        done.update(path)
        if at is not None and at in path:
            walked = list(path)
            ring = [*walked[walked.index(at) :], at][:_NAMED_MAX]
            shown = " → ".join(ring)
            zh, en = (
                f"上级绕成了圈：{shown}。改其中一个。",
                f"Parents in a circle: {shown}. Mend one.",
            )
            yield _fault("unit", entry.record_id, "parent", zh, en)


def second_towns(entries: Sequence[Entry], parents: Mapping[str, str | None]) -> Iterator[Fault]:
    """Yield the units of a set that stand below none, where another is the town already.

    Who holds a post at the town's own unit may see all of it.
    """
    tops = sorted(unit for unit, parent in parents.items() if parent is None)
    brought = [one.record_id for one in entries if one.kind == "unit" and one.record_id in tops]
    towns = [unit for unit in tops if unit not in brought] or tops[:1]
    for unit in brought:
        if unit != towns[0]:
            zh = f"没有上级单位的只能是镇本身（{towns[0]}）：写明它的上级。"
            en = f"The town itself ({towns[0]}) alone has no unit above it: name this one's."
            yield _fault("unit", unit, "parent", zh, en)


def foreign_groups(entries: Sequence[Entry], parents: Mapping[str, str | None]) -> Iterator[Fault]:
    """Yield the households whose group does not lie in their grid: both would show them."""
    for entry in entries:
        body = entry.body or {}
        grid, group = body.get("grid"), body.get("group")
        if entry.kind != "household" or grid not in parents or group not in parents:
            continue
        path: dict[str | None, None] = {}
        at: str | None = group
        while at is not None and at not in path:
            path[at] = None
            at = parents.get(at)
        if grid not in path:
            zh = f"户组 {group} 不在网格 {grid} 里：改其中一个。"
            en = f"Group {group} does not lie in grid {grid}: mend one of them."
            yield _fault(entry.kind, entry.record_id, "group", zh, en)


def unknown_categories(entries: Sequence[Entry], known: Sequence[str]) -> Iterator[Fault]:
    """Yield a front end's categories which no profile of the town has."""
    shown = ", ".join(known[:_NAMED_MAX])
    for entry in entries:
        if entry.kind == "front_end" and entry.body:
            for n, category in enumerate(entry.body.get("categories", ())):
                if category not in known:
                    zh = f"镇配置里没有类别 {category}。有：{shown or '（先登记镇配置）'}。"
                    en = f"No profile has category {category}; known: {shown or 'no profile yet'}."
                    yield _fault("front_end", entry.record_id, f"categories.{n}", zh, en)


def _still_named(found: Sequence[tuple[str, str, int]]) -> Iterator[Fault]:
    for unit, kind, count in found:
        zh, en = _REFERRERS[kind]
        yield _fault(
            "unit",
            unit,
            "body",
            f"还有 {count} {zh}属于它：先改挂别处或删除，同一变更集里也可以。",
            f"{count} {en} still name it: move or remove them first, or in the same set.",
        )


def _still_owning(found: Mapping[str, int]) -> Iterator[Fault]:
    for unit, count in found.items():
        zh = f"它还有 {count} 件没办结：先把 {count} 件移交给别的单位。"
        en = f"It owns {count} open cases: hand these {count} over to another unit first."
        yield _fault("unit", unit, "body", zh, en)


def _fault(kind: str, record_id: str, field: str, zh: str, en: str) -> Fault:
    return {"kind": kind, "id": record_id, "field": field, "message": f"{zh} {en}"}
