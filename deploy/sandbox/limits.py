"""How often: what the provider remembers of earlier requests in order to refuse the next one.

The time is an argument; nothing here looks at a clock. Every memory has a bound.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy.sandbox.refusal import Refusal

SendKey = tuple[str, str]  # phone, template code
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Frequency:
    """How many texts of one template one phone may get; None is no limit."""

    per_minute_max: int | None
    per_hour_max: int | None
    per_day_max: int | None

    def windows(self) -> list[tuple[timedelta, int, str]]:
        """The limits that are set, the shortest first: its wait is over soonest."""
        every = (
            (timedelta(minutes=1), self.per_minute_max, "触发分钟级流控Permits"),
            (timedelta(hours=1), self.per_hour_max, "触发小时级流控Permits"),
            (DAY, self.per_day_max, "触发天级流控Permits"),
        )
        return [(span, limit, words) for span, limit, words in every if limit is not None]


class SendWindows:
    """Rolling windows: the real provider, too, counts a day as the last 24 hours."""

    def __init__(self, frequency: Frequency, keys_max: int) -> None:
        self._windows = frequency.windows()
        self._keep = max((limit for _, limit, _ in self._windows), default=0)
        self._keys_max = keys_max
        self._sent: OrderedDict[SendKey, deque[datetime]] = OrderedDict()

    def refusal(self, keys: Iterable[SendKey], now: datetime) -> Refusal | None:
        """Refuse all of a request if one of its numbers has had enough."""
        for key, wanted in Counter(keys).items():
            sent = self._sent.get(key, ())
            for span, limit, words in self._windows:
                inside = sum(1 for at in sent if at > now - span)
                if inside + wanted > limit:
                    return Refusal("isv.BUSINESS_LIMIT_CONTROL", f"{words}:{limit}")
        return None

    def count(self, key: SendKey, now: datetime) -> None:
        if not self._keep:
            return
        self._sent.setdefault(key, deque(maxlen=self._keep)).append(now)
        self._sent.move_to_end(key)
        while len(self._sent) > self._keys_max:
            self._sent.popitem(last=False)

    def forget(self) -> None:
        self._sent.clear()


class AccountThrottle:
    """All requests of the account within one second, whatever they ask."""

    def __init__(self, per_s_max: int) -> None:
        self._per_s_max = per_s_max
        self._passed: deque[datetime] = deque()

    def admits(self, now: datetime) -> bool:
        """Count the request in if there is room for it."""
        while self._passed and self._passed[0] <= now - timedelta(seconds=1):
            self._passed.popleft()
        if len(self._passed) >= self._per_s_max:
            return False
        self._passed.append(now)
        return True


class Nonces:
    """Those used lately; older ones need no memory, for their date is refused anyway."""

    def __init__(self, keep: timedelta, nonces_max: int) -> None:
        self._keep = keep
        self._nonces_max = nonces_max
        self._used: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def use(self, access_key_id: str, nonce: str, now: datetime) -> bool:
        """False if it has been used before."""
        if (access_key_id, nonce) in self._used:
            return False
        self._used[access_key_id, nonce] = now
        while self._used and self._is_spent(now):
            self._used.popitem(last=False)
        return True

    def _is_spent(self, now: datetime) -> bool:
        oldest = next(iter(self._used.values()))
        return len(self._used) > self._nonces_max or oldest < now - self._keep
