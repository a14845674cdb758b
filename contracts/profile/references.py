"""Cross references: every id that a profile names exists, and stands only once in its list.

Which field refers to what is said by the field's own type (`Ref`), so that a new field needs no
line here.
"""

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel

from contracts.profile.notices import NOTICES, SCORES
from contracts.profile.parts import Part, Pool, Ref, item_key
from contracts.profile.problems import Problem, did_you_mean
from contracts.profile.whole import Profile

Place: TypeAlias = tuple[str, Part]

PSEUDO_ROLES = ("reporter", "handler", "system")

# What an id is called, and where the ids of its kind stand.
_WORDS: Mapping[Pool, tuple[str, str, str]] = {
    "level": ("层级", "level", "levels"),
    "party_level": ("党组织层级", "party level", "party_levels"),
    "role": ("角色", "role", "roles"),
    "actor": ("角色", "role", "roles, reporter, handler, system"),
    "recipient": ("角色", "role", "roles, reporter, handler"),
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
    "notice": ("通知事项", "notice", ", ".join(NOTICES)),
    "score": ("计分事项", "score", f"cadences, {', '.join(SCORES)}"),
}


def unknown_ids(profile: Profile) -> Iterator[Problem]:
    """Yield every id that names nothing."""
    pools = _pools(profile)
    for path, part in parts_of(profile):
        for name, key, pool in _references(type(part)):
            for word in _ids(getattr(part, name)):
                if word not in pools[pool]:
                    keyed = isinstance(getattr(part, name), Mapping)
                    at = f"{path}{key}.{word}" if keyed else f"{path}{key}"
                    yield unknown(at, pool, word, pools[pool])


def ids_used_twice(profile: Profile) -> Iterator[Problem]:
    """Yield every id which stands twice in one list."""
    for path, part in parts_of(profile):
        for name, field in type(part).model_fields.items():
            seen: set[str] = set()
            for key in _keys(getattr(part, name)):
                if key in seen:
                    yield Problem(
                        f"{path}{field.alias or name}.{key}",
                        f"{key!r} 在同一列表里出现两次，请改名或合并",
                        f"{key!r} stands twice in one list — rename one or join them",
                    )
                seen.add(key)


def unknown(path: str, pool: Pool, word: str, known: frozenset[str]) -> Problem:
    """Return the problem of an id that names nothing."""
    zh, en, where = _WORDS[pool]
    near_zh, near_en = did_you_mean(word, known)
    return Problem(
        path,
        f"没有{zh} {word!r}{near_zh or '，'}应取自 {where}",
        f"unknown {en} {word!r}{near_en or ';'} expected one of {where}",
    )


def parts_of(part: Part, path: str = "") -> Iterator[Place]:
    """Yield a part and every part within, each with its path by ids: empty, or ending in a dot."""
    yield path, part
    for name, field in type(part).model_fields.items():
        yield from _parts_in(getattr(part, name), f"{path}{field.alias or name}.")


def _parts_in(value: object, path: str) -> Iterator[Place]:
    if isinstance(value, Part):
        yield from parts_of(value, path)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parts_in(item, f"{path}{key}.")
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _parts_in(item, f"{path}{item_key(item) or position}.")


def _pools(profile: Profile) -> Mapping[Pool, frozenset[str]]:
    roles = frozenset(profile.roles_by_id)
    cadences = frozenset(item.id for item in profile.cadences)
    return {
        "level": frozenset(profile.levels_by_id),
        "party_level": frozenset(item.id for item in profile.party_levels),
        "role": roles,
        "actor": roles | set(PSEUDO_ROLES),
        "recipient": roles | {"reporter", "handler"},
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


@cache
def _references(model: type[Part]) -> tuple[tuple[str, str, Pool], ...]:
    """Return the fields of a model that hold ids of others: name, key in the profile, pool."""
    found = []
    for name, field in model.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, Ref)]
        marks += _marks(field.annotation)
        if marks:
            found.append((name, field.alias or name, marks[0].pool))
    return tuple(found)


def _marks(annotation: Any) -> list[Ref]:  # noqa: ANN401 - a type as Python writes it
    """Return the marks within a type, without looking into other parts of the profile."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return []
    marks = [mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, Ref)]
    for argument in get_args(annotation):
        marks += _marks(argument)
    return marks


def _ids(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | tuple):
        yield from (item for item in value if isinstance(item, str))


def _keys(value: object) -> Iterator[str]:
    if isinstance(value, tuple):
        for item in value:
            if isinstance(item, Part) and (key := item_key(item)):
                yield key
