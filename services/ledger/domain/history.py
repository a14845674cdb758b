"""What a record was, as of one moment and as known on another.

A version holds from its `valid_from` until the next later one that is known; of two from the same
moment the later recorded holds. `HOLDS` in store/history.py says the same in SQL.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar


class Dated(Protocol):
    """Whatever is told by versions."""

    @property
    def version(self) -> int: ...

    @property
    def valid_from(self) -> datetime: ...

    @property
    def recorded_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Version:
    """One version's place in time; versions count up in the order in which they were recorded."""

    version: int
    valid_from: datetime
    recorded_at: datetime


V = TypeVar("V", bound=Dated)


def fold(versions: Iterable[V], as_of: datetime, known_on: datetime) -> V | None:
    """Return the version that holds as of a moment, as far as was known on another."""
    there = [one for one in versions if one.valid_from <= as_of and one.recorded_at <= known_on]
    return max(there, key=lambda one: (one.valid_from, one.version), default=None)
