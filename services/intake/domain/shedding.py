"""Who waits when there is too much: the least worth first, emergencies last."""

import math
from enum import Enum


class Rank(Enum):
    """What a request is worth in a crowd: the share of all places that those of its kind may fill.

    The last tenth is kept for emergencies.
    """

    LOOK = 0.25  # somebody looks where his report is: he can look again
    SOFTWARE = 0.6  # cameras and other systems keep what they have and send it again
    PERSON = 0.9
    EMERGENCY = 1.0


# Front ends behind which no person waits, by the kind that their record tells.
_SOFTWARE = frozenset({"camera", "video_link", "platform", "big_screen"})
_KEY_LEAST = 2
_SLOW_S = 0.5  # above it what waits is too much for the broker, or for us
_LEAST = 32  # in a flood each turn of the loop takes long: fewer would leave it without work
_FEWER, _MORE = 0.98, 0.25  # at each answer: a crowd is cut fast, and let grow slowly


def rank_of(kind: str) -> Rank:
    """Return what a front end's ordinary requests are worth."""
    return Rank.SOFTWARE if kind in _SOFTWARE else Rank.PERSON


def places_for(rank: Rank, places: int) -> int:
    """Return how many of all places may be taken when one of this rank comes in; at least one."""
    return math.ceil(places * rank.value)


def places_for_key(free: int) -> int:
    """Return how many places one key may hold while so many are free: as many again.

    So any number of floods leave room for one more key, and two for each however full it is.
    """
    return max(_KEY_LEAST, free)


def places_after(places: float, took_s: float, most: int) -> float:
    """Return how many places there are to be, after an answer of the broker that took so long.

    Who is let in waits for all that are inside: so many as are answered within half a second.
    """
    if took_s > _SLOW_S:
        return max(min(_LEAST, most), places * _FEWER)
    return min(most, places + _MORE)
