"""Who may read what is attached to a case: routing's rule of who may see it, from its facts."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reach:
    """In whose hands a case is: units, and the departments that were ever called to it.

    `place` is its grid, else its village; None: the town as a whole.
    """

    owner: str
    place: str | None = None
    joint: frozenset[str] = field(default_factory=frozenset)
    called: frozenset[str] = field(default_factory=frozenset)
    offered: frozenset[str] = field(default_factory=frozenset)
    upward: frozenset[str] = field(default_factory=frozenset)
    departments: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Reader:
    """What somebody may read: cases in the hands of `units` or `department`, and in `places`.

    `whole_town`: also those of no place.
    """

    units: frozenset[str]
    department: str | None
    places: frozenset[str]
    whole_town: bool


def reader_of(
    units: AbstractSet[str], department: str | None, parents: Mapping[str, str | None]
) -> Reader:
    """Tell what somebody of these units, or of this department, may read.

    `parents` holds each unit of the town and the unit above it.
    """
    return Reader(
        units=frozenset(units),
        department=department,
        places=frozenset(unit for unit in parents if not units.isdisjoint(_path(unit, parents))),
        whole_town=any(above is None and unit in units for unit, above in parents.items()),
    )


def _path(place: str, parents: Mapping[str, str | None]) -> set[str]:
    """Return a unit and those above it."""
    found: set[str] = set()
    unit: str | None = place
    while unit is not None and unit in parents and unit not in found:
        found.add(unit)
        unit = parents[unit]
    return found
