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
_KEY_SHARE = 0.75  # of the places, for one key: a flood leaves room for the others


def rank_of(kind: str) -> Rank:
    """Return what a front end's ordinary requests are worth."""
    return Rank.SOFTWARE if kind in _SOFTWARE else Rank.PERSON


def places_for(rank: Rank, places: int) -> int:
    """Return how many of all places may be taken when one of this rank comes in; at least one."""
    return math.ceil(places * rank.value)


def places_for_key(places: int) -> int:
    """Return how many places one key may fill."""
    return math.ceil(places * _KEY_SHARE)
