"""Record what became of messages, together with the facts that announce it.

Whoever records holds the locks of the cases first, in order, then those of the intents: facts of
one case go out in the order in which they were written.
"""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from contracts.events import Event, Fact, effect_id
from contracts.facts import (
    Actor,
    Message,
    MessageAcceptedV1,
    MessageAcknowledgedV1,
    MessageDeliveredV1,
    MessageFailedV1,
)
from contracts.topics import NOTIFY_EVENTS
from services.chassis import outbox
from services.chassis.clock import database_now
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.notify.domain.progress import (
    Accepted,
    FactName,
    Learned,
    Limits,
    Moment,
    News,
    Progress,
    learn,
)
from services.notify.domain.recipients import Owner
from services.notify.settings import NotifySettings
from services.notify.store import attempts, cases, intents
from services.notify.store.attempts import AttemptNow, KeptAttempt
from services.notify.store.intents import KeptIntent, Key, Turn
from services.notify.towns import Towns
from services.telemetry.metrics import count

SOURCE = "/notify"
_random = random.Random()  # noqa: S311 - jitter, no secret


@dataclass(frozen=True, slots=True)
class Told:
    """News of one attempt of a message; number 0 is the message as a whole."""

    key: Key
    case_id: UUID
    number: int
    news: News
    contact: str | None = None  # masked


@dataclass(frozen=True, slots=True)
class _Step:
    """One message before and after its news."""

    told: Told
    kept: KeptIntent
    tried: Sequence[KeptAttempt]
    learned: Learned

    @property
    def turn(self) -> Turn:
        after = self.learned.progress
        code = (self.learned.code or self.kept.code) if after.state == "failed" else None
        return Turn(self.told.key, after.state, code, after.channel, self.learned.wait_s)

    @property
    def attempt(self) -> AttemptNow | None:
        told = self.told
        if not told.number:
            return None
        attempt = self.learned.progress.attempts[told.number - 1]
        if isinstance(told.news, Accepted):
            ids = (told.news.provider_id, told.news.segments)
            return AttemptNow(told.key, attempt, told.contact, *ids)
        return AttemptNow(told.key, attempt, told.contact)

    def facts(self) -> Iterator[tuple[UUID, Fact]]:
        """Yield (id, fact) of what is to be announced; a fact's id hangs from what caused it."""
        intent = self.kept.intent
        last = self.learned.progress.attempts[-1:]
        number = self.told.number or (last[0].number if last else 0)
        cause = self.tried[number - 1].attempt_id if number else intent.intent_id
        channel = self.tried[number - 1].attempt.channel if number else intent.plan.channels[0]
        message = Message(
            message_id=str(intent.intent_id),
            rule=intent.rule,
            recipient=intent.recipient,
            channel=channel,
        )
        for name in self.learned.facts:
            fact = _fact(name, message, self.learned.code or "", intent.called)
            if fact is not None:
                yield effect_id(cause, fact.TYPE), fact


def _fact(name: FactName, message: Message, code: str, called: Owner | None) -> Fact | None:
    """Return what is announced; that somebody has heard matters where he is called to answer."""
    match name:
        case "accepted":
            return MessageAcceptedV1(message=message)
        case "delivered":
            return MessageDeliveredV1(message=message)
        case "failed":
            return MessageFailedV1(message=message, code=code)
        case "acknowledged" if called is not None:
            by = Actor(staff=message.recipient, role=called.role, unit=called.unit)
            return MessageAcknowledgedV1(message=message, by=by)
        case "acknowledged":
            return None


class Recorder:
    """Takes in news, in the caller's transaction."""

    def __init__(self, settings: NotifySettings, towns: Towns) -> None:
        names = Limits.__dataclass_fields__
        self._limits = Limits(**{name: getattr(settings, name) for name in names})
        self._towns = towns

    async def record(self, conn: Connection, told: Sequence[Told]) -> None:
        """Record news in the order given; what is known already changes nothing."""
        await cases.hold(conn, [(one.key[0], one.case_id) for one in told])
        while told:
            wave = {one.key: one for one in reversed(told)}  # the first of each message
            told = [one for one in told if wave[one.key] is not one]
            await self._record_wave(conn, wave)

    async def _record_wave(self, conn: Connection, wave: dict[Key, Told]) -> None:
        now = await database_now(conn)
        kept = await intents.lock(conn, wave)
        tried = await attempts.of_intents(conn, wave)
        steps = [
            self._step(one, kept[key], tried[key], now) for key, one in wave.items() if key in kept
        ]
        await intents.update(conn, [step.turn for step in steps])
        await attempts.update(conn, [one for step in steps if (one := step.attempt)])
        for step in steps:
            if step.learned.pause_s and (paused := step.attempt):
                wait_s, code = step.learned.pause_s, paused.attempt.code or ""
                await intents.pause(conn, paused.attempt.channel, wait_s, code)
        await self._announce(conn, [step for step in steps if step.learned.facts], now)

    def _step(
        self, told: Told, kept: KeptIntent, tried: Sequence[KeptAttempt], now: datetime
    ) -> _Step:
        before = Progress(kept.state, kept.intent.plan, tuple(one.attempt for one in tried))
        age_s = (now - tried[told.number - 1].started_at).total_seconds() if told.number else 0.0
        moment = Moment(self._limits, age_s, _random.random())
        learned = learn(before, told.number, told.news, moment)
        if learned.progress.state != kept.state:
            count("chuishao_messages_total", state=learned.progress.state)
        return _Step(told, kept, tried, learned)

    async def _announce(self, conn: Connection, steps: Iterable[_Step], now: datetime) -> None:
        steps = list(steps)
        if not steps:
            return
        offsets = await self._towns.offsets(conn, {step.told.key[0] for step in steps})
        events = [
            Event(
                event_id=event_id,
                tenant_id=step.told.key[0],
                subject_id=step.told.case_id,
                occurred_at=offsets[step.told.key[0]].tenant_time(now),
                source=SOURCE,
                data=fact,
                traceparent=step.kept.intent.traceparent,
            )
            for step in steps
            for event_id, fact in step.facts()
        ]
        rows = [
            Outgoing(NOTIFY_EVENTS.name, e.key, e.headers, e.body, lane_key=e.key) for e in events
        ]
        await outbox.write(conn, rows)
