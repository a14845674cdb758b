"""Laying a town's file over the one it extends. Nothing is checked here, and nothing is lost."""

from collections.abc import Mapping
from typing import Any

from contracts.profile.parts import item_key


def merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a town's own values over those it extends.

    Maps merge deeply; lists whose items all have an `id` (or `when`) merge by it, other lists are
    replaced; `null` removes a key, and an item `{id: …, remove: true}` removes an item.
    """
    merged = {key: _without_nulls(value) for key, value in base.items() if value is not None}
    for key, value in own.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_values(merged.get(key), value)
    return merged


def _merge_values(base: Any, own: Any) -> Any:  # noqa: ANN401 - whatever the files hold
    if isinstance(own, Mapping):
        return merge(base if isinstance(base, Mapping) else {}, own)
    if isinstance(base, list) and isinstance(own, list) and _keyed(base) and _keyed(own):
        return _merge_lists(base, own)
    return _without_nulls(own)


def _merge_lists(base: list[Any], own: list[Any]) -> list[Any]:
    """An id that stands twice in one list stays twice: the check must see it."""
    merged: list[Any] = [_without_nulls(item) for item in base]
    positions = {item_key(item): position for position, item in enumerate(merged)}
    removed = set()
    for item in own:
        position = positions.pop(item_key(item), None)
        if position is None:
            merged.append(_without_nulls(item))
        elif item.get("remove") is True:
            removed.add(position)
        else:
            merged[position] = merge(merged[position], item)
    return [item for position, item in enumerate(merged) if position not in removed]


def _without_nulls(value: object) -> object:
    if isinstance(value, Mapping):
        return merge({}, value)
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _keyed(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) and item_key(item) for item in items)
