"""Whom notify means to tell: each intent once, with its turns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from services.chassis.postgres import Connection
from services.notify.domain.progress import MessageState
from services.notify.domain.quiet import Quiet
from services.notify.domain.recipients import Owner
from services.notify.domain.turns import Plan

Key = tuple[str, UUID]  # tenant, intent
SlotKey = tuple[str, UUID, str]  # tenant, whistle, department


@dataclass(frozen=True, slots=True)
class Intent:
    """One message to one person. `words` and `due_at` fill its text when it is sent."""

    tenant_id: str
    intent_id: UUID
    case_id: UUID
    event_id: UUID
    traceparent: str
    notice: str
    rule: str
    recipient: str
    plan: Plan
    words: Mapping[str, str]
    due_at: datetime | None
    timezone: str
    whistle_id: UUID | None = None  # with `department`: of that slot, void once it is over
    department: str | None = None
    quiet: Quiet | None = None  # it is not begun in these hours
    clock: str | None = None  # of the case: the one that it tells of
    moot: bool = False  # what it tells is so no more
    called: Owner | None = None  # the place in which he is to answer; None: he is only told

    @property
    def key(self) -> Key:
        return self.tenant_id, self.intent_id

    @property
    def slot(self) -> SlotKey | None:
        """The slot that it hangs from."""
        if self.whistle_id is None or self.department is None:
            return None
        return self.tenant_id, self.whistle_id, self.department


@dataclass(frozen=True, slots=True)
class KeptIntent:
    """An intent with what became of it."""

    intent: Intent
    state: MessageState
    code: str | None
    created_at: datetime
    decided_at: datetime | None


INSERT = """
INSERT INTO intent (
    tenant_id, intent_id, case_id, event_id, traceparent, notice, rule, recipient, channels,
    tries_max, wait_s, words, due_at, timezone, whistle_id, department, quiet_from, quiet_to,
    clock, moot, called_unit, called_role, state, channel, next_at
)
SELECT
    tenant_id, intent_id, case_id, event_id, traceparent, notice, rule, recipient,
    string_to_array(channels, ','), tries_max, wait_s, words, due_at, timezone,
    whistle_id, department, quiet_from, quiet_to, clock, moot, called_unit, called_role, 'open',
    split_part(channels, ',', 1), now()
FROM unnest(
    $1::text[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::integer[], $11::double precision[], $12::jsonb[], $13::timestamptz[],
    $14::text[], $15::uuid[], $16::text[], $17::time[], $18::time[], $19::text[], $20::boolean[],
    $21::text[], $22::text[]
) AS given(
    tenant_id, intent_id, case_id, event_id, traceparent, notice, rule, recipient, channels,
    tries_max, wait_s, words, due_at, timezone, whistle_id, department, quiet_from, quiet_to,
    clock, moot, called_unit, called_role
)
ORDER BY tenant_id, intent_id
ON CONFLICT DO NOTHING
"""


async def insert(conn: Connection, intents: Sequence[Intent]) -> None:
    """Keep intents, each once, due at once."""
    rows = [
        (
            one.tenant_id, one.intent_id, one.case_id, one.event_id, one.traceparent, one.notice,
            one.rule, one.recipient, ",".join(one.plan.channels), one.plan.tries_max,
            one.plan.wait_s, dict(one.words), one.due_at, one.timezone, one.whistle_id,
            one.department, one.quiet.start if one.quiet else None,
            one.quiet.end if one.quiet else None, one.clock, one.moot,
            one.called.unit if one.called else None, one.called.role if one.called else None,
        )
        for one in intents
    ]  # fmt: skip
    await conn.execute(INSERT, *(list(column) for column in zip(*rows, strict=True)))


# The lease is the next turn: whoever dies leaves an intent that falls due again.
CLAIM = """
WITH due AS (
    SELECT found.tenant_id, found.intent_id
    FROM unnest($1::text[]) AS free(channel)
    CROSS JOIN LATERAL (
        SELECT tenant_id, intent_id
        FROM intent
        WHERE intent.channel = free.channel
            AND intent.state = 'open'
            AND intent.next_at <= now()
        ORDER BY intent.next_at
        LIMIT $2
        FOR UPDATE SKIP LOCKED
    ) AS found
    LIMIT $2
)
UPDATE intent
SET next_at = now() + $3
FROM due
WHERE intent.tenant_id = due.tenant_id AND intent.intent_id = due.intent_id
RETURNING intent.*
"""


async def claim(
    conn: Connection, channels: Sequence[str], limit: int, lease: timedelta
) -> list[KeptIntent]:
    """Take what is due by these channels and lease it; what others hold is passed over."""
    return [_kept(row) for row in await conn.fetch(CLAIM, channels, limit, lease)]


# Tried again now, they rest anew if these are still quiet hours.
STIR = """
UPDATE intent
SET next_at = now()
WHERE channel = ANY($1::text[])
    AND state = 'open'
    AND next_at > now()
    AND quiet_from IS NOT NULL
    AND tenant_id = ANY($2::text[])
    AND NOT EXISTS (
        SELECT
        FROM attempt
        WHERE attempt.tenant_id = intent.tenant_id
            AND attempt.intent_id = intent.intent_id
            AND attempt.state IN ('sending', 'unknown')
    )
"""


async def stir(conn: Connection, channels: Sequence[str], tenants: Sequence[str]) -> None:
    """Let what waits for the end of quiet hours look again: its tenants' clocks may have moved."""
    await conn.execute(STIR, channels, tenants)


LOCK = """
SELECT intent.*
FROM intent
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, intent_id) USING (tenant_id, intent_id)
ORDER BY intent.tenant_id, intent.intent_id
FOR UPDATE OF intent
"""


async def lock(conn: Connection, keys: Iterable[Key]) -> dict[Key, KeptIntent]:
    """Lock intents in key order; the caller holds the locks of their cases."""
    wanted = list(set(keys))
    rows = await conn.fetch(LOCK, [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted])
    return {(row["tenant_id"], row["intent_id"]): _kept(row) for row in rows}


@dataclass(frozen=True, slots=True)
class Turn:
    """What an intent has become, and whose turn is next; `wait_s` None leaves the time of it."""

    key: Key
    state: MessageState
    code: str | None
    channel: str
    wait_s: float | None


UPDATE = """
UPDATE intent
SET state = given.state, code = given.code, channel = given.channel,
    next_at = coalesce(now() + make_interval(secs => given.wait_s), intent.next_at),
    decided_at = CASE
        WHEN given.state = 'open' THEN NULL
        WHEN given.state = intent.state THEN intent.decided_at
        ELSE now()
    END
FROM unnest(
    $1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::double precision[]
) AS given(tenant_id, intent_id, state, code, channel, wait_s)
WHERE intent.tenant_id = given.tenant_id AND intent.intent_id = given.intent_id
"""


async def update(conn: Connection, turns: Sequence[Turn]) -> None:
    """Write what intents have become, each once; the caller holds their locks."""
    await conn.execute(
        UPDATE,
        [turn.key[0] for turn in turns],
        [turn.key[1] for turn in turns],
        [turn.state for turn in turns],
        [turn.code for turn in turns],
        [turn.channel for turn in turns],
        [turn.wait_s for turn in turns],
    )


PAUSED = """
SELECT channel
FROM channel_pause
WHERE until > now()
LIMIT 100
"""


async def paused(conn: Connection) -> set[str]:
    """Return the channels that are paused for all."""
    return {row["channel"] for row in await conn.fetch(PAUSED)}


PAUSE = """
INSERT INTO channel_pause AS kept (channel, until, code)
VALUES ($1, now() + make_interval(secs => $2), $3)
ON CONFLICT (channel) DO UPDATE
SET until = excluded.until, code = excluded.code
WHERE kept.until < excluded.until
"""


async def pause(conn: Connection, channel: str, wait_s: float, code: str) -> None:
    """Pause a channel for all; a longer pause stands."""
    await conn.execute(PAUSE, channel, wait_s, code)


OF_CASE = """
SELECT *
FROM intent
WHERE tenant_id = $1 AND case_id = $2
ORDER BY created_at, intent_id
LIMIT $3
"""


async def of_case(conn: Connection, tenant_id: str, case_id: UUID, limit: int) -> list[KeptIntent]:
    """Return a case's intents, the oldest first."""
    return [_kept(row) for row in await conn.fetch(OF_CASE, tenant_id, case_id, limit)]


def _kept(row: Record) -> KeptIntent:
    plan = Plan(tuple(row["channels"]), row["tries_max"], row["wait_s"])
    names = (
        "tenant_id", "intent_id", "case_id", "event_id", "traceparent", "notice", "rule",
        "recipient", "words", "due_at", "timezone", "whistle_id", "department", "clock", "moot",
    )  # fmt: skip
    start, end = row["quiet_from"], row["quiet_to"]
    quiet = Quiet(start, end) if start is not None else None
    called = Owner(row["called_unit"], row["called_role"]) if row["called_unit"] else None
    given = {name: row[name] for name in names}
    intent = Intent(plan=plan, quiet=quiet, called=called, **given)
    more = ("state", "code", "created_at", "decided_at")
    return KeptIntent(intent, **{name: row[name] for name in more})
