"""The gate before the counter: how many are let in at once, and whose requests wait in a crowd.

All of it is this process's own and bounded: places, and a bucket for each key that the registry
knows.
"""

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from contracts.registry import FrontEnd
from services.chassis.http import Problem
from services.intake.domain.quota import Bucket, take
from services.intake.domain.shedding import Rank, places_after, places_for, places_for_key, rank_of

_KEY = "chuishao.key"  # in a request's scope: whose it is


class Gate:
    """Lets requests in, up to so many at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._adjusted: float = most
        self._inside = 0
        self._by_key: Counter[str] = Counter()
        self._buckets: dict[str, Bucket] = {}

    @property
    def places(self) -> int:
        return int(self._adjusted)

    def took(self, seconds: float) -> None:
        """Note how long the broker took: the slower it is, the fewer are let in."""
        self._adjusted = places_after(self._adjusted, seconds, self._most)

    def full(self, rank: Rank = Rank.EMERGENCY) -> bool:
        """Tell whether one more of this rank would find no place."""
        return self._inside >= places_for(rank, self.places)

    @contextmanager
    def visit(self, request: Request) -> Iterator[None]:
        """Hold a place while the block lasts.

        Raises:
            Problem: 429, there is none.
        """
        if self.full():
            raise overloaded()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            key = request.scope.get(_KEY)
            if key is not None:
                self._by_key[key] -= 1

    @contextmanager
    def look(self) -> Iterator[None]:
        """Hold a place while somebody looks where his report is.

        Raises:
            Problem: 429, too crowded for that.
        """
        if self.full(Rank.LOOK):
            raise overloaded()
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    def count(self, request: Request, digest: str, front_end: FrontEnd) -> None:
        """Count a request against its key's quota.

        Raises:
            Problem: 429, over the quota.
        """
        self._buckets[digest], wait_s = take(
            self._buckets.get(digest), time.monotonic(), front_end.quota_per_s, front_end.burst
        )
        if wait_s is not None:
            zh = f"发送太快，请稍后重发。{_CALL_ZH}"
            en = f"Over this front end's quota: send again later. {_CALL_EN}"
            headers = {"Retry-After": str(max(1, math.ceil(wait_s)))}
            raise Problem(429, "quota_exceeded", zh, en, headers)
        if _KEY not in request.scope:  # a batch is counted line by line, and holds one place
            request.scope[_KEY] = digest
            self._by_key[digest] += 1

    def crowded(self, rank: Rank) -> bool:
        """Tell whether more are inside than one of this rank may add to."""
        return self._inside > places_for(rank, self.places)

    def strained(self, request: Request, front_end: FrontEnd) -> bool:
        """Tell whether only an emergency may still go on: by the crowd, or by its own key's."""
        mine = self._by_key[request.scope.get(_KEY, "")]
        return self.crowded(rank_of(front_end.kind)) or mine > places_for_key(
            self.places - self._inside + 1
        )


_CALL_ZH = "人身危险请直接拨打 110、119、120。"
_CALL_EN = "In danger call 110, 119 or 120."


def overloaded() -> Problem:
    zh = f"此刻太忙，请稍后再来；上报用同一幂等键重发。{_CALL_ZH}"
    en = f"Too busy: come again later; send reports again with the same key. {_CALL_EN}"
    return Problem(429, "overloaded", zh, en, {"Retry-After": "1"})
