"""What a message learns: answers, look-ups and receipts, in any order, more than once.

A message goes from `open` to `accepted` to `delivered`, or to `failed`; a receipt that comes late
may still turn a failed or dropped one. What is known already changes nothing.
"""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, assert_never

from services.notify.domain.turns import (
    UNDER_WAY,
    Attempt,
    AttemptState,
    Drop,
    GiveUp,
    Plan,
    channel_after,
    tries,
)

MessageState = Literal["open", "accepted", "delivered", "failed", "void"]
FactName = Literal["accepted", "delivered", "failed", "acknowledged"]
_ARRIVING: frozenset[AttemptState] = frozenset({"accepted", "delivered"})


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider has it. `provider_id` is unknown where this was looked up."""

    provider_id: str | None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class RetryLater:
    """It was not sent; another try may help."""

    code: str


@dataclass(frozen=True, slots=True)
class RateLimited:
    """It was not sent: too much for this recipient, or for the whole account."""

    code: str
    scope: Literal["recipient", "account"]
    wait_s: float


@dataclass(frozen=True, slots=True)
class Permanent:
    """It was not sent and will not be by this channel."""

    code: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been sent: look it up before anything else."""

    code: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Looked up: the provider knows of no such message, now."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """By its receipt, or at once where nobody else carries it. `by_key`: he pressed the key."""

    by_key: bool = False


@dataclass(frozen=True, slots=True)
class Undelivered:
    """By its receipt."""

    code: str


Outcome: TypeAlias = Accepted | Delivered | RetryLater | RateLimited | Permanent | Unknown
News: TypeAlias = Outcome | Missing | Undelivered | GiveUp | Drop


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait; see the settings of the same names."""

    retry_wait_s_max: float
    park_s_max: float
    lookup_wait_s: float
    lost_after_s: float
    unresolved_after_s: float


@dataclass(frozen=True, slots=True)
class Moment:
    """How old the attempt is, and a number in [0, 1) that spreads the retries."""

    limits: Limits
    age_s: float
    chance: float


@dataclass(frozen=True, slots=True)
class Progress:
    """A message as it stands. Attempts are in order of their numbers."""

    state: MessageState
    plan: Plan
    attempts: tuple[Attempt, ...]

    @property
    def channel(self) -> str:
        """Whose turn it is."""
        last = self.attempts[-1] if self.attempts else None
        if last is not None and last.state in UNDER_WAY:
            return last.channel
        return channel_after(self.plan, self.attempts)

    def having(self, attempt: Attempt) -> "Progress":
        """Return it with an attempt in its new state."""
        others = self.attempts[: attempt.number - 1], self.attempts[attempt.number :]
        return replace(self, attempts=(*others[0], attempt, *others[1]))


@dataclass(frozen=True, slots=True)
class Learned:
    """What follows: the message as it is now, when its next turn is, and what to announce.

    `wait_s` None leaves the next turn when it was; `pause_s` pauses the channel for all.
    """

    progress: Progress
    wait_s: float | None = None
    facts: tuple[FactName, ...] = ()
    code: str | None = None
    pause_s: float = 0


def learn(known: Progress, number: int, news: News, moment: Moment) -> Learned:
    """Take in news of one attempt, or of the message as a whole."""
    if isinstance(news, GiveUp | Drop):
        return _ended(known, news)
    attempt = known.attempts[number - 1]
    if isinstance(news, Accepted):
        return _accepted(known, attempt)
    if isinstance(news, Delivered | Undelivered):
        return _reported(known, attempt, news, moment)
    if attempt.state not in UNDER_WAY:
        return Learned(known)  # its receipt was faster
    if isinstance(news, Unknown | Missing):
        return _doubted(known, attempt, news, moment)
    return _refused(known, attempt, news, moment)


def _ended(known: Progress, news: GiveUp | Drop) -> Learned:
    if known.state != "open":
        return Learned(known)
    if isinstance(news, Drop):
        return Learned(replace(known, state="void"))
    return Learned(replace(known, state="failed"), facts=("failed",), code=news.code)


def _accepted(known: Progress, attempt: Attempt) -> Learned:
    """Even one that was given up for lost may turn out to have been taken."""
    if attempt.state not in (*UNDER_WAY, "lost", "unresolved"):
        return Learned(known)
    after = known.having(replace(attempt, state="accepted", code=None))
    if known.state in ("accepted", "delivered"):
        return Learned(after)
    return Learned(replace(after, state="accepted"), facts=("accepted",))


def _reported(
    known: Progress, attempt: Attempt, news: Delivered | Undelivered, moment: Moment
) -> Learned:
    """Take in a receipt; it may come before the answer to the call."""
    if isinstance(news, Undelivered):
        return _undelivered(known, attempt, news.code, moment)
    after = known.having(replace(attempt, state="delivered", code=None))
    fresh = news.by_key and attempt.state != "delivered"
    pressed: tuple[FactName, ...] = ("acknowledged",) if fresh else ()
    if known.state == "delivered":
        return Learned(after, facts=pressed)
    first: tuple[FactName, ...] = () if known.state == "accepted" else ("accepted",)
    return Learned(replace(after, state="delivered"), facts=(*first, "delivered", *pressed))


def _undelivered(known: Progress, attempt: Attempt, code: str, moment: Moment) -> Learned:
    """A message that nobody got is open again, unless another attempt has arrived."""
    if attempt.state in ("delivered", "undelivered"):
        return Learned(known)
    after = _retry(known, replace(attempt, state="undelivered", code=code), moment)
    others = any(one.state in _ARRIVING for one in after.progress.attempts)
    if known.state == "accepted" and not others:
        return replace(after, progress=replace(after.progress, state="open"))
    latest = attempt.number == len(known.attempts)
    return after if known.state == "open" and latest else Learned(after.progress)


def _refused(
    known: Progress, attempt: Attempt, news: RetryLater | RateLimited | Permanent, moment: Moment
) -> Learned:
    match news:
        case RetryLater(code):
            return _retry(known, replace(attempt, state="retry", code=code), moment)
        case RateLimited(code, "account", wait_s):
            after = known.having(replace(attempt, state="paused", code=code))
            return Learned(after, wait_s=0, pause_s=wait_s)
        case RateLimited(code, _, wait_s) if wait_s <= moment.limits.park_s_max:
            after_wait = _retry(known, replace(attempt, state="retry", code=code), moment)
            if after_wait.progress.channel != attempt.channel:
                return after_wait
            return replace(after_wait, wait_s=wait_s + (after_wait.wait_s or 0))
        case RateLimited(code) | Permanent(code):
            return Learned(known.having(replace(attempt, state="refused", code=code)), wait_s=0)
        case _:
            assert_never(news)


def _retry(known: Progress, attempt: Attempt, moment: Moment) -> Learned:
    """Wait with full jitter, twice as long each time; not at all for another channel."""
    after = known.having(attempt)
    if after.channel != attempt.channel:
        return Learned(after, wait_s=0)
    doubled = known.plan.wait_s * 2 ** (tries(after.attempts, attempt.channel) - 1)
    return Learned(after, wait_s=min(doubled, moment.limits.retry_wait_s_max) * moment.chance)


def _doubted(known: Progress, attempt: Attempt, news: Unknown | Missing, moment: Moment) -> Learned:
    """Look it up soon, then ever less often; after too long the channel is done with.

    That it was never sent is believed only once a slow provider would have shown it.
    """
    limits, age_s = moment.limits, moment.age_s
    if isinstance(news, Unknown):
        attempt = replace(attempt, code=news.code)
    elif age_s >= limits.lost_after_s:
        return Learned(known.having(replace(attempt, state="lost")), wait_s=0)
    if age_s >= limits.unresolved_after_s:
        return Learned(known.having(replace(attempt, state="unresolved")), wait_s=0)
    wait_s = max(limits.lookup_wait_s, min(age_s, limits.lost_after_s))
    return Learned(known.having(replace(attempt, state="unknown")), wait_s=wait_s)
