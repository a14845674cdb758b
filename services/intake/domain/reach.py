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


def may_read(
    reach: Reach, units: AbstractSet[str], department: str | None, parents: Mapping[str, str | None]
) -> bool:
    """Tell whether somebody of these units, or of this department, may read.

    `parents` holds each unit of the town and the unit above it.
    """
    near = {reach.owner, *reach.joint, *reach.called, *reach.offered, *reach.upward}
    near |= _path(reach.place, parents)
    return bool(near & units) or department in reach.departments


def _path(place: str | None, parents: Mapping[str, str | None]) -> set[str]:
    """Return a unit and those above it; of no place, those that have none above them."""
    if place is None:
        return {unit for unit, above in parents.items() if above is None}
    found: set[str] = set()
    unit: str | None = place
    while unit is not None and unit in parents and unit not in found:
        found.add(unit)
        unit = parents[unit]
    return found
