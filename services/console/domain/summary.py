"""The sentence that a leader reads in three seconds."""

from dataclasses import dataclass
from typing import Literal

from services.console.domain.words import Words

Tone = Literal["plain", "soon", "late", "missed", "calm"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How a town stands. `untold` are open cases whose clock counts time not to be told yet.

    `awaited` and `missed` are departments that have yet to report in: in time, and too late.
    """

    received: int  # on the town's present day, as is `closed`
    closed: int
    open: int
    untaken: int
    soon: int
    late: int
    untold: int
    awaited: int
    missed: int


def sentence(counts: Counts, words: Words) -> list[tuple[Tone, str]]:
    """Say how the town stands, part by part."""
    parts: list[tuple[Tone, str]] = [("plain", words.received_today.format(n=counts.received))]
    if not counts.open:
        return [*parts, ("calm", words.nothing_open)]
    parts.append(("plain", words.open_now.format(n=counts.open)))
    if counts.awaited:
        parts.append(("plain", words.awaited_now.format(n=counts.awaited)))
    if counts.missed:
        parts.append(("missed", words.missed_now.format(n=counts.missed)))
    if counts.untaken:
        parts.append(("plain", words.untaken_now.format(n=counts.untaken)))
    if counts.soon:
        parts.append(("soon", words.soon_now.format(n=counts.soon)))
    if counts.late:
        parts.append(("late", words.late_now.format(n=counts.late)))
    elif not counts.soon and not counts.missed:
        parts.append(("calm", words.calm_as_told if counts.untold else words.all_calm))
    return parts
