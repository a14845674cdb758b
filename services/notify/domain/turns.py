"""Which channel comes next. An attempt whose outcome is open is looked up before anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

AttemptState = Literal[
    "sending",  # committed before the call
    "skipped",  # no call was made: no adapter, or no contact for it
    "accepted",
    "delivered",
    "undelivered",  # by its receipt
    "retry",  # refused for now
    "paused",  # refused for the account, whoever had asked: no try
    "refused",
    "unknown",  # the call was made, and nobody knows what came of it
    "lost",  # looked up: the provider never had it
    "unresolved",  # could not be looked up for too long
]
NOBODY = "none"  # no channel is left: the turn is over
# Every way that a profile may name, and that of messages which have none left.
CHANNELS = ("sms", "wechat", "app", "voice", "screen", "console", NOBODY)
STAFF = "staff"  # beside contacts: being somebody on the staff, which is all that an app needs
NO_ADAPTER = "no_adapter"
NO_CONTACT = "no_contact"
EXPIRED = "expired"

UNDER_WAY: frozenset[AttemptState] = frozenset({"sending", "unknown"})
_SPENT: frozenset[AttemptState] = frozenset({"skipped", "refused", "unresolved"})
_TRIED: frozenset[AttemptState] = frozenset({"retry", "lost", "undelivered"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The channels in order; how often each is tried, and how long one waits between."""

    channels: tuple[str, ...]
    tries_max: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try by one channel; numbered from 1."""

    number: int
    channel: str
    state: AttemptState
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What holds now. `needs` maps each channel that has an adapter to the contact it takes.

    `quiet_s` is how long to rest, since these are quiet hours.
    """

    needs: Mapping[str, str]
    contacts: frozenset[str]
    paused: frozenset[str] = frozenset()
    wanted: bool = True
    expired: bool = False
    quiet_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Send:
    """Make a new attempt."""

    channel: str


@dataclass(frozen=True, slots=True)
class LookUp:
    """Ask the provider what became of an attempt."""

    attempt: Attempt


@dataclass(frozen=True, slots=True)
class Wait:
    """The channel is paused."""

    channel: str


@dataclass(frozen=True, slots=True)
class Rest:
    """These are quiet hours, for so long yet."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No channel is left, or it is too late."""

    code: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody needs to be told any more."""


Action: TypeAlias = Send | LookUp | Wait | Rest | GiveUp | Drop


def next_turn(
    plan: Plan, attempts: Sequence[Attempt], now: Situation
) -> tuple[tuple[Attempt, ...], Action]:
    """Return the channels to be skipped, as attempts, and what to do then."""
    if attempts and attempts[-1].state in UNDER_WAY:
        paused = attempts[-1].channel in now.paused
        return (), Wait(attempts[-1].channel) if paused else LookUp(attempts[-1])
    if not now.wanted:
        return (), Drop()
    if now.expired:
        return (), GiveUp(EXPIRED)
    if now.quiet_s > 0:
        return (), Rest(now.quiet_s)
    every = list(attempts)
    while (channel := channel_after(plan, every)) != NOBODY:
        obstacle = _obstacle(channel, now)
        if obstacle is None:
            action = Wait(channel) if channel in now.paused else Send(channel)
            return tuple(every[len(attempts) :]), action
        every.append(Attempt(len(every) + 1, channel, "skipped", obstacle))
    return tuple(every[len(attempts) :]), GiveUp(_why(every, now))


def channel_after(plan: Plan, attempts: Sequence[Attempt]) -> str:
    """Return the first channel that is not used up."""
    for channel in plan.channels:
        mine = [attempt for attempt in attempts if attempt.channel == channel]
        spent = any(attempt.state in _SPENT for attempt in mine)
        if not spent and tries(mine, channel) < plan.tries_max:
            return channel
    return NOBODY


def tries(attempts: Sequence[Attempt], channel: str) -> int:
    """Count the tries by a channel that came to nothing."""
    return sum(one.channel == channel and one.state in _TRIED for one in attempts)


def _obstacle(channel: str, now: Situation) -> str | None:
    if channel not in now.needs:
        return NO_ADAPTER
    return None if now.needs[channel] in now.contacts else NO_CONTACT


def _why(attempts: Sequence[Attempt], now: Situation) -> str:
    """Name why it failed: the last real reason, before the lack of adapters."""
    if not now.contacts:
        return NO_CONTACT
    codes = [one.code or one.state for one in attempts if one.code != NO_ADAPTER]
    return codes[-1] if codes else NO_ADAPTER
