"""Walking through a profile, part by part, each under its path by ids."""

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, get_args

from contracts.profile.parts import Part, Pool, Ref, item_key

Place: TypeAlias = tuple[str, Part]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a part: its name in code, its key in a profile, and what it holds."""

    name: str
    key: str
    pool: Pool | None
    holds_parts: bool


def parts_of(part: Part, path: str = "") -> Iterator[Place]:
    """Yield a part and every part within, each with its path: empty, or ending in a dot."""
    yield path, part
    for field in fields_of(type(part)):
        if field.holds_parts:
            yield from _parts_in(getattr(part, field.name), f"{path}{field.key}.")


def _parts_in(value: object, path: str) -> Iterator[Place]:
    if isinstance(value, Part):
        yield from parts_of(value, path)
    elif isinstance(value, tuple):
        for position, item in enumerate(value):
            yield from _parts_in(item, f"{path}{item_key(item) or position}.")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _parts_in(item, f"{path}{key}.")


@cache
def fields_of(model: type[Part]) -> tuple[Field, ...]:
    """Return the fields that hold parts or ids of others; all other fields are passed by."""
    fields = []
    for name, info in model.model_fields.items():
        within = [*info.metadata, *_within(info.annotation)]
        pools = [mark.pool for mark in within if isinstance(mark, Ref)]
        parts = any(inspect.isclass(leaf) and issubclass(leaf, Part) for leaf in within)
        if pools or parts:
            fields.append(Field(name, info.alias or name, pools[0] if pools else None, parts))
    return tuple(fields)


def _within(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - a type as Python writes it
    """Yield the leaves of a type and the marks on the way to them."""
    yield from getattr(annotation, "__metadata__", ())
    arguments = get_args(annotation)
    if not arguments:
        yield annotation
    for argument in arguments:
        yield from _within(argument)
