"""The sheet of links: who looks after what, in the words of the town's profile.

A link's type tells the kind of what it leads to, so the sheet has no column for that.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256

from contracts.profile import Profile, parse
from contracts.profile.town import Link
from deploy.exchange.columns import ID
from deploy.exchange.named import missing
from deploy.exchange.rows import Row
from deploy.exchange.told import Fault
from deploy.exchange.town import Bodies, Key, Town
from services.ledger.faults import both
from services.ledger.linked import TO

KIND = "link"
_SAME = ("link", "staff", "to_kind", "to")


def rules_of(town: Town) -> Mapping[str, Link]:
    """Return a town's types of link by their ids, and by their names where these are unlike."""
    if town.profile is None:
        return {}
    rules = parse(town.profile).links
    names = [one.zh for one in rules]
    return {
        **{one.zh: one for one in rules if names.count(one.zh) == 1},
        **{one.id: one for one in rules},
    }


def words_of(town: Town) -> Mapping[str, str]:
    """Return the name of each type of link by its id."""
    return {one.id: said for said, one in rules_of(town).items() if said != one.id}


def completed(rows: Sequence[Row], town: Town) -> Iterator[Row]:
    """Give links the profile's id of their type, the kind of what they lead to, and an id."""
    if not any(row.kind == KIND for row in rows):
        yield from rows
        return
    rules = rules_of(town)
    known = {_said(body): name for (kind, name), body in town.records.items() if kind == KIND}
    for row in rows:
        if row.kind != KIND:
            yield row
            continue
        rule = rules.get(str(row.body.get("link")))
        found = {"link": rule.id, "to_kind": TO[rule.to]} if rule else {"to_kind": "unit"}
        body = {**found, **row.body, **({"link": rule.id} if rule else {})}
        same = known.get(_said(body)) or _new_id(_said(body))
        yield replace(row, record_id=row.record_id or same, body=body)


def _said(body: Mapping[str, object]) -> tuple[object, ...]:
    return tuple(body.get(name) for name in _SAME)


def _new_id(said: tuple[object, ...]) -> str:
    return "l-" + sha256("|".join(map(str, said)).encode()).hexdigest()[:24]


def faults(rows: Sequence[Row], town: Town, after: Bodies) -> Iterator[Fault]:
    """Yield what is wrong with new links: their type, who looks after, what is looked after."""
    links = [row for row in rows if row.kind == KIND]
    if not links:
        return
    there: Mapping[Key, Mapping[str, object]] = {**town.beside, **after}
    profile = parse(town.profile) if town.profile else None
    rules = {one.id: one for one in profile.links} if profile else {}
    for row in links:
        if town.records.get(row.key) == row.body:
            continue
        rule = rules.get(str(row.body.get("link")))
        if profile is None or rule is None:
            yield _unknown(row, profile)
            continue
        for field, kind in (("staff", "staff"), ("to", str(row.body["to_kind"]))):
            named = row.body.get(field)
            said = missing(town, kind, str(named), there) if named else None
            said = said or _unfit(field, row, rule, profile, there)
            if named and said:
                yield row.fault(field, said)
    yield from _twice(links, after)


def _unknown(row: Row, profile: Profile | None) -> Fault:
    if profile is None:
        none = both("还没有登记镇配置：先登记它。", "There is no profile yet: record it first.")
        return row.fault("link", none)
    shown = "、".join(one.zh for one in profile.links) or "（镇配置里没有关联）"
    return row.fault(
        "link", both(f"没有这种关联：改为 {shown}。", "No such link: take one of these.")
    )


def _unfit(
    field: str, row: Row, rule: Link, profile: Profile, there: Mapping[Key, Mapping[str, object]]
) -> str | None:
    """Tell what the profile has against who looks after, or what is looked after."""
    body = there.get(("staff" if field == "staff" else str(row.body["to_kind"]), row.body[field]))
    if body is None:
        return None
    posts = body.get("posts")
    if field == "staff" and isinstance(posts, list):
        if rule.from_role in {post["role"] for post in posts}:
            return None
        role = profile.role(rule.from_role).zh
        zh = f"此人没有“{role}”的岗位，“{rule.zh}”要有：换一个人，或先给他这个岗位。"
        return both(zh, f"Expected somebody with a post as {rule.from_role}.")
    if field == "to" and row.body["to_kind"] == "unit":
        fitting = [one for one in profile.levels if one.kind == rule.to]
        if body.get("level") in {one.id for one in fitting}:
            return None
        wanted = "、".join(one.zh for one in fitting) or rule.to
        return both(f"它不是{wanted}：“{rule.zh}”要填{wanted}的编号。", f"Expected a {rule.to}.")
    return None


def _twice(links: Sequence[Row], after: Bodies) -> Iterator[Fault]:
    """Links that say the same as another one, in the file or recorded."""
    at = {row.record_id: row.number for row in links}
    first: dict[tuple[object, ...], str] = {}
    for (kind, name), body in after.items():
        if kind == KIND and (name not in at or _said(body) not in first):
            first[_said(body)] = name
    for row in links:
        other = first.get(_said(row.body), row.record_id)
        if other != row.record_id:
            who = f"第 {at[other]} 行" if other in at else f"已登记的关联 {other} "
            zh = f"与{who}说的是同一件事：删去其一，或填上那一条的编号。"
            yield row.fault(ID, both(zh, "Another link says the same: remove one of them."))
