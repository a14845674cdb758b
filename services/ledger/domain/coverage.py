"""Whether a town runs on the structure that its profile gives it: what is missing, and the way out.

Pure: a registry's state and a profile's rules in, findings out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from services.ledger.domain.links import led_units, looked_after
from services.ledger.domain.structure import (
    Check,
    Declared,
    HomeNow,
    LinkRule,
    Rules,
    Town,
)

Level = Literal["error", "warn"]
_ABOUT = 0.1


@dataclass(frozen=True, slots=True)
class Finding:
    """What is missing where: `subject` is the record, `field` what to mend in it."""

    code: str
    level: Level
    kind: str
    subject: str
    name: str
    field: str
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that the profile declares beside the one that the registry holds."""

    of: str
    zh: str
    declared: int | None
    kind: str
    held: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Whole:
    """How many units of a level have the whole of a team."""

    team: str
    zh: str
    level: str
    units: int
    complete: int


@dataclass(frozen=True, slots=True)
class Coverage:
    figures: tuple[Figure, ...]
    teams: tuple[Whole, ...]
    findings: tuple[Finding, ...]


def examine(town: Town, rules: Rules) -> Coverage:
    """Hold a town's registry against its profile's rules."""
    figures, teams = list[Figure](), list[Whole]()
    findings = [*_counts(town, rules, figures), *_teams(town, rules, teams), *_roles(town, rules)]
    for rule in rules.links:
        findings += _links(town, rules, rule, figures)
    findings += [*_party(town, rules), *_heads(town)]
    findings.sort(key=lambda one: (one.level, one.code, one.kind, one.subject))
    return Coverage(tuple(figures), tuple(teams), tuple(findings))


def _level(check: Check) -> Level:
    return "error" if check == "strict" else "warn"


def _counts(town: Town, rules: Rules, figures: list[Figure]) -> Iterator[Finding]:
    held = Counter(f"level/{unit.level}" for unit in town.units.values())
    held.update(f"party/{unit.level}" for unit in town.party)
    held.update(f"role/{role}" for _, role in {(post.staff, post.role) for post in town.posts})
    held["households"], held["persons"] = len(town.homes), town.persons
    for one in rules.counts:
        there = held[one.of]
        fits = one.check == "off" or _fits(one, there)
        figures.append(Figure(one.of, one.zh, one.count, one.kind, there, fits))
        if not fits:
            zh = f"镇配置说 {one.count}，登记的是 {there}：补登记，或改镇配置。"
            en = f"The profile says {one.count}, recorded are {there}: record, or mend the profile."
            kind, _, name = one.of.partition("/")
            yield Finding("count", _level(one.check), kind, name or one.of, one.zh, "count", zh, en)
    for name, zh in rules.classes.items():
        homes = [home for home in town.homes if name in _classes(home)]
        people = sum(home.persons for home in homes)
        figures.append(Figure(f"class/{name}", zh, None, "unknown", len(homes), fits=True))
        figures.append(Figure(f"persons/{name}", f"{zh}人口", None, "unknown", people, fits=True))


def _classes(home: HomeNow) -> tuple[str | None, ...]:
    return (home.household_class, *home.more_classes)


def _fits(one: Declared, there: int) -> bool:
    match one.kind:
        case "exact":
            return there == one.count
        case "at_least":
            return there >= one.count
        case "about":
            return abs(there - one.count) <= one.count * _ABOUT
        case "unknown":
            return True


def _teams(town: Town, rules: Rules, teams: list[Whole]) -> Iterator[Finding]:
    for team in rules.teams:
        units = [unit for unit in town.units.values() if unit.level == team.level]
        complete = 0
        for unit in units:
            lacking = [role for role in team.roles if town.team(unit.id, role) < team.each]
            complete += not lacking
            for role in lacking:
                called = rules.roles[role].zh
                zh = f"“{team.zh}”缺“{called}”：给一名人员加上这里的岗位。"
                en = f"Its {team.id} lacks a {role}: give somebody a post here."
                yield Finding("team", "warn", "unit", unit.id, unit.zh, role, zh, en)
        teams.append(Whole(team.id, team.zh, team.level, len(units), complete))


def _roles(town: Town, rules: Rules) -> Iterator[Finding]:
    for role in rules.roles.values():
        if not role.least and role.most is None:
            continue
        for unit in town.units.values():
            count = len(town.holders.get((unit.id, role.id), ()))
            most = role.most if role.most is not None else count
            if unit.level == role.level and not role.least <= count <= most:
                bounds = f"{role.least}–{'' if role.most is None else role.most}"
                zh = f"“{role.zh}”有 {count} 名，应为 {bounds} 名：调整人员的岗位。"
                en = f"{count} hold {role.id}, expected {bounds}: change the posts of staff."
                yield Finding("role", "warn", "unit", unit.id, unit.zh, role.id, zh, en)


def _links(town: Town, rules: Rules, rule: LinkRule, figures: list[Figure]) -> Iterator[Finding]:
    linked = looked_after(town, rules, rule)
    load = Counter(staff for linkers in linked.values() for staff in linkers)
    first = Counter(linkers[0] for linkers in linked.values())
    mean = round(sum(first.values()) / len(first), 1) if first else 0.0
    figures.append(
        Figure(f"link/{rule.id}", f"{rule.zh}（平均）", None, "unknown", mean, fits=True)
    )
    if rule.check == "off":
        return
    if rule.active is not None:
        fits = len(load) == rule.active
        name = f"{rule.zh}（在联）"
        figures.append(Figure(f"active/{rule.id}", name, rule.active, "exact", len(load), fits))
    yield from _bounds(town, rule, load)
    yield from _unlinked(town, rules, rule, linked)


def _unlinked(
    town: Town, rules: Rules, rule: LinkRule, linked: Mapping[str, tuple[str, ...]]
) -> Iterator[Finding]:
    wanted: list[tuple[str, str]] = []
    if rule.to_kind == "unit":
        wanted = [(one.id, one.zh) for one in led_units(town, rules, rule)]
    elif rule.to_kind == "household" and rule.full:
        wanted = [(home.id, home.grid) for home in town.homes]
    for subject, name in wanted:
        if subject not in linked:
            zh = f"没有人负责（{rule.zh}）：登记一条联系，或在所属单位给一名人员加上岗位。"
            en = f"Nobody looks after it ({rule.id}): record a link, or give somebody a post there."
            yield Finding(
                "unlinked", _level(rule.check), rule.to_kind, subject, name, rule.id, zh, en
            )


def _bounds(town: Town, rule: LinkRule, load: Mapping[str, int]) -> Iterator[Finding]:
    idle = rule.active is None and bool(rule.least)
    holders = {post.staff for post in town.posts if post.role == rule.role}
    for staff in sorted(holders | load.keys() if idle else load.keys()):
        count = load.get(staff, 0)
        least, most = rule.least or 0, count if rule.most is None else rule.most
        if not least <= count <= most:
            bounds = f"{least}–{'' if rule.most is None else rule.most}"
            zh = f"“{rule.zh}”联系 {count} 个，应为 {bounds} 个：把联系分给别人，或补登记。"
            en = f"{count} linked by {rule.id}, expected {bounds}: share with others, or record."
            level = _level(rule.check)
            yield Finding("load", level, "staff", staff, staff, rule.id, zh, en)


def _party(town: Town, rules: Rules) -> Iterator[Finding]:
    spanned: dict[str, Counter[str]] = {}
    for one in town.party:
        rule = rules.party.get(one.level)
        if rule is None:
            continue
        spanned.setdefault(rule.attaches_to or "", Counter()).update(one.units)
        if rule.most_units is not None and len(one.units) > rule.most_units:
            zh = f"联了 {len(one.units)} 个单位，最多 {rule.most_units} 个：分出一部分。"
            en = f"It spans {len(one.units)} units, {rule.most_units} at most: divide it."
            yield Finding("span", "error", "party_unit", one.id, one.zh, "units", zh, en)
        if one.members is not None and one.members < (rule.least_members or 0):
            zh = f"党员 {one.members} 名，至少 {rule.least_members} 名：并入联合组织。"
            en = f"{one.members} members, {rule.least_members} at least: let it join a joint one."
            yield Finding("members", "error", "party_unit", one.id, one.zh, "members", zh, en)
    for unit in town.units.values():
        if unit.level in spanned and not spanned[unit.level][unit.id]:
            zh, en = (
                "没有党组织：请登记到一个党组织名下。",
                "No party unit: name it in one's `units`.",
            )
            yield Finding("party", "warn", "unit", unit.id, unit.zh, "units", zh, en)


def _heads(town: Town) -> Iterator[Finding]:
    for home in town.homes:
        if home.head is None:
            zh, en = "没有户主：请登记哪一位是户主。", "No head: name one of its persons."
            yield Finding("head", "warn", "household", home.id, home.grid, "head", zh, en)
