"""Whose turn it is: what is due is leased, and each attempt is committed before its call."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts.events import effect_id
from services.chassis.clock import database_now
from services.chassis.postgres import Connection, Pool
from services.chassis.seal import KeyRing
from services.notify.domain.quiet import quiet_until
from services.notify.domain.recipients import REPORTER, is_staff
from services.notify.domain.turns import (
    CHANNELS,
    STAFF,
    Action,
    Attempt,
    Drop,
    GiveUp,
    LookUp,
    Rest,
    Send,
    Situation,
    Wait,
    channel_after,
    next_turn,
)
from services.notify.domain.whistle import wanted
from services.notify.domain.wording import UNKNOWN_DUE, due_words
from services.notify.phones import digest_of
from services.notify.settings import NotifySettings
from services.notify.store import attempts, cases, intents, registry, replies, slots
from services.notify.store.attempts import KeptAttempt, NewAttempt
from services.notify.store.intents import Intent, KeptIntent, Turn
from services.notify.store.replies import Texted
from services.notify.towns import Towns

# However long quiet hours last, it is looked again meanwhile: a clock may be moved as we look.
_REST_S_MAX = 300.0
_CONTACTS = frozenset({"phone", "openid"})


@dataclass(frozen=True, slots=True)
class Job:
    """A call to be made for an attempt that has been committed. `sealed` opens for `subject`."""

    intent: Intent
    number: int
    attempt_id: UUID
    channel: str
    begun_at: datetime | None  # None: a new attempt; else one to be looked up
    subject: str
    sealed: Mapping[str, Any] | None = field(repr=False)
    words: Mapping[str, str]
    late_at: float  # monotonic: from then on somebody else may soon take it up


@dataclass(frozen=True, slots=True)
class Ending:
    """A message that ends without a call."""

    intent: Intent
    news: GiveUp | Drop


@dataclass(frozen=True, slots=True)
class _Claimed:
    """An intent in hand, with what its turn depends on, and what came of that."""

    kept: KeptIntent
    tried: Sequence[KeptAttempt]
    sealed: Mapping[str, Any] | None
    skipped: tuple[Attempt, ...]
    action: Action
    words: Mapping[str, str]

    def new_attempts(self) -> Iterator[NewAttempt]:
        every = [*self.skipped]
        if isinstance(self.action, Send):
            number = len(self.tried) + len(every) + 1
            every.append(Attempt(number, self.action.channel, "sending"))
        intent = self.kept.intent
        for one in every:
            attempt_id = effect_id(intent.intent_id, f"attempt/{one.number}")
            yield NewAttempt(intent.key, attempt_id, one)

    def turn(self) -> Turn | None:
        """What the claim itself changes: the channel, and no lease where it has to wait."""
        intent = self.kept.intent
        match self.action:
            case Rest(wait_s):
                return Turn(intent.key, "open", None, self.channel, wait_s)
            case Wait(channel):
                return Turn(intent.key, "open", None, channel, 0.0)
            case Send(channel):
                return Turn(intent.key, "open", None, channel, None)
            case _:
                return None

    @property
    def channel(self) -> str:
        """Whose turn it is."""
        return channel_after(self.kept.intent.plan, [one.attempt for one in self.tried])

    def texted(self, keys: KeyRing) -> Texted | None:
        """Return whom a text goes to that can be answered."""
        intent = self.kept.intent
        if self.action != Send("sms") or intent.slot is None or not intent.words.get("code"):
            return None
        number = digest_of(keys, intent.tenant_id, intent.recipient, self.sealed)
        return Texted(number, *intent.slot, intent.recipient, intent.case_id) if number else None

    def task(self, late_at: float) -> Job | Ending | None:
        match self.action:
            case Wait() | Rest():
                return None
            case GiveUp() | Drop():
                return Ending(self.kept.intent, self.action)
            case Send():
                new = list(self.new_attempts())[-1]
                return self._job(new.attempt, new.attempt_id, None, late_at)
            case LookUp(attempt):
                kept = self.tried[attempt.number - 1]
                return self._job(attempt, kept.attempt_id, kept.started_at, late_at)

    def _job(
        self, attempt: Attempt, attempt_id: UUID, begun_at: datetime | None, late_at: float
    ) -> Job:
        intent = self.kept.intent
        at_home = intent.recipient == REPORTER
        return Job(
            intent,
            attempt.number,
            attempt_id,
            attempt.channel,
            begun_at,
            subject=str(intent.case_id) if at_home else intent.recipient,
            sealed=self.sealed,
            words=self.words,
            late_at=late_at,
        )


class Claims:
    """Hands out what is due; any number of processes may ask."""

    def __init__(
        self,
        settings: NotifySettings,
        pool: Pool,
        towns: Towns,
        needs: Mapping[str, str],
        keys: KeyRing,
    ) -> None:
        self._settings, self._pool, self._towns, self._needs = settings, pool, towns, needs
        self._keys = keys

    async def take(self, limit: int) -> list[Job | Ending]:
        """Lease what is due and commit its attempts; return what is to be done then."""
        late_at = time.monotonic() + self._settings.send_lease_s / 2
        async with self._pool.acquire() as conn, conn.transaction():
            paused = await intents.paused(conn)
            free = [channel for channel in CHANNELS if channel not in paused]
            lease = timedelta(seconds=self._settings.send_lease_s)
            due = await intents.claim(conn, free, limit, lease)
            if not due:
                return []
            claimed = await self._decide(conn, due, frozenset(paused))
            await attempts.insert(conn, [new for one in claimed for new in one.new_attempts()])
            await intents.update(conn, [turn for one in claimed if (turn := one.turn())])
            await replies.put_texted(
                conn, [texted for one in claimed if (texted := one.texted(self._keys))]
            )
        return [task for one in claimed if (task := one.task(late_at))]

    async def _decide(
        self, conn: Connection, due: Sequence[KeptIntent], paused: frozenset[str]
    ) -> list[_Claimed]:
        now = await database_now(conn)
        every = [kept.intent for kept in due]
        tried = await attempts.of_intents(conn, [one.key for one in every])
        parts = await slots.share(conn, {one.slot for one in every if one.slot})
        known = await cases.some(conn, {(one.tenant_id, one.case_id) for one in every})
        people = {(one.tenant_id, one.recipient) for one in every if is_staff(one.recipient)}
        staff = await registry.staff_contacts(conn, people)
        offsets = await self._towns.offsets(conn, {one.tenant_id for one in every})
        claimed = []
        for kept in due:
            one = kept.intent
            case, tenant_now = (
                known[one.tenant_id, one.case_id],
                offsets[one.tenant_id].tenant_time(now),
            )
            at_home = one.recipient == REPORTER
            sealed = case.reporter if at_home else staff.get((one.tenant_id, one.recipient))
            situation = Situation(
                needs=self._needs,
                contacts=_contacts(sealed, on_staff=(one.tenant_id, one.recipient) in staff),
                paused=paused,
                wanted=not one.moot
                and wanted(
                    one.notice,
                    parts.get(one.slot) if one.slot else None,
                    closed=case.case.closed,
                    overdue=one.due_at is not None and one.due_at <= tenant_now,
                ),
                expired=(now - kept.created_at).total_seconds() > self._settings.message_age_s_max,
                quiet_s=self._quiet_s(one, tenant_now),
            )
            done = tried[one.key]
            skipped, action = next_turn(one.plan, [a.attempt for a in done], situation)
            words = _words(one, tenant_now)
            claimed.append(_Claimed(kept, done, sealed, skipped, action, words))
        return claimed

    def _quiet_s(self, intent: Intent, now: datetime) -> float:
        """Return how long to rest in quiet hours; the clocks of all towns run at one pace."""
        until = quiet_until(intent.quiet, now, intent.timezone)
        if until is None or not self._settings.quiet_hours:
            return 0.0
        return min((until - now).total_seconds(), _REST_S_MAX)


def _contacts(sealed: Mapping[str, Any] | None, *, on_staff: bool) -> frozenset[str]:
    known = _CONTACTS.intersection(sealed["fields"] if sealed else ())
    return known | {STAFF} if on_staff else known


def _words(intent: Intent, now: datetime) -> Mapping[str, str]:
    """Return what the text names; `today` is the day of sending."""
    if intent.due_at is None:
        return {**intent.words, "due": UNKNOWN_DUE}
    return {**intent.words, "due": due_words(intent.due_at, now, intent.timezone)}
