"""Cross references: every id that a profile names exists, and stands only once in its list.

Which field refers to what is said by the field's own type (`Ref`), so that a new field needs no
line here.
"""

from collections.abc import Iterator, Mapping

from contracts.profile.notices import NOTICES, SCORES
from contracts.profile.parts import Part, Pool, item_key
from contracts.profile.problems import Problem, did_you_mean, listed
from contracts.profile.walking import fields_of, parts_of
from contracts.profile.whole import Profile

PSEUDO_ROLES = ("reporter", "handler", "system")

# What an id is called, and where ids of its kind are taken from.
_WORDS: Mapping[Pool, tuple[str, str, str]] = {
    "level": ("层级", "level", "levels"),
    "party_level": ("党组织层级", "party level", "party_levels"),
    "role": ("角色", "role", "roles"),
    "actor": ("角色", "role", "roles + reporter, handler, system"),
    "recipient": ("角色", "role", "roles + reporter, handler, superior"),
    "department": ("部门", "department", "departments"),
    "team": ("队伍", "team", "teams"),
    "flow": ("流程", "flow", "flows"),
    "category": ("类别", "category", "cases.categories"),
    "class": ("紧急程度", "class", "cases.classes"),
    "severity": ("严重程度", "severity", "cases.severities"),
    "field": ("领域", "field", "cases.fields"),
    "cadence": ("常规工作", "cadence", "cadences"),
    "channel": ("渠道", "channel", "notifications.channels"),
    "front_end": ("前端", "front end", "front_ends"),
    "person_flag": ("人员标记", "person flag", "registry.person_flags"),
    "notice": ("通知事项", "notice", "docs/profile.md § notices"),
    "score": ("计分事项", "score", f"cadences + {', '.join(SCORES)}"),
}


def unknown_ids(profile: Profile) -> Iterator[Problem]:
    """Yield every id that names nothing."""
    pools = _pools(profile)
    for path, part in parts_of(profile):
        for field in fields_of(type(part)):
            if field.pool is None:
                continue
            known = pools[field.pool]
            for where, word in _ids(getattr(part, field.name)):
                if word not in known:
                    yield _unknown(f"{path}{field.key}{where}", field.pool, word, known)


def ids_used_twice(profile: Profile) -> Iterator[Problem]:
    """Yield every id which stands twice in one list."""
    for path, part in parts_of(profile):
        for field in fields_of(type(part)):
            seen: set[str] = set()
            for key in _keys(getattr(part, field.name)):
                if key in seen:
                    yield Problem(
                        f"{path}{field.key}.{key}",
                        f"{key!r} 在同一列表里出现两次，请改名或合并",
                        f"{key!r} stands twice in one list — rename one or join them",
                    )
                seen.add(key)


def _unknown(path: str, pool: Pool, word: str, known: frozenset[str]) -> Problem:
    """Return the problem of an id that names nothing."""
    zh, en, where = _WORDS[pool]
    near_zh, near_en = did_you_mean(word, known)
    names = listed(sorted(known)) or "–"
    return Problem(
        path,
        f"没有{zh} {word!r}{near_zh or f'，现有：{names}；'}应取自 {where}",
        f"unknown {en} {word!r}{near_en or f'; known: {names};'} take one from {where}",
    )


def _pools(profile: Profile) -> Mapping[Pool, frozenset[str]]:
    roles = frozenset(profile.roles_by_id)
    cadences = frozenset(item.id for item in profile.cadences)
    return {
        "level": frozenset(profile.levels_by_id),
        "party_level": frozenset(item.id for item in profile.party_levels),
        "role": roles,
        "actor": roles | set(PSEUDO_ROLES),
        "recipient": roles | {"reporter", "handler", "superior"},
        "department": frozenset(profile.departments_by_id),
        "team": frozenset(item.id for item in profile.teams),
        "flow": frozenset(profile.flows_by_id),
        "category": frozenset(profile.categories_by_id),
        "class": frozenset(profile.classes_by_id),
        "severity": frozenset(profile.severities_by_id),
        "field": frozenset(item.id for item in profile.cases.fields),
        "cadence": cadences,
        "channel": frozenset(item.id for item in profile.notifications.channels),
        "front_end": frozenset(item.id for item in profile.front_ends),
        "person_flag": frozenset(profile.registry.person_flags),
        "notice": frozenset(NOTICES),
        "score": cadences | set(SCORES),
    }


def _ids(value: object) -> Iterator[tuple[str, str]]:
    """Yield each id in a field's value, after the rest of its path: ids may be keys."""
    if isinstance(value, str):
        yield "", value
    elif isinstance(value, tuple):
        yield from (("", item) for item in value)
    elif isinstance(value, Mapping):
        yield from ((f".{key}", key) for key in value)


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, tuple):
        for item in value:
            if isinstance(item, Part) and (key := item_key(item)):
                yield key
