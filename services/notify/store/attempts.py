"""Every try by a channel. A row is there before the call, so no call is ever forgotten."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from services.chassis.postgres import Connection
from services.notify.domain.turns import Attempt
from services.notify.store.intents import Key


@dataclass(frozen=True, slots=True)
class KeptAttempt:
    """An attempt as it is kept. `contact` is masked."""

    key: Key
    attempt_id: UUID
    attempt: Attempt
    contact: str | None
    provider_id: str | None
    segments: int | None
    started_at: datetime
    decided_at: datetime | None
    crossed: bool  # under way when its slot was over


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """An attempt that is about to be made, or that is skipped."""

    key: Key
    attempt_id: UUID
    attempt: Attempt


INSERT = """
INSERT INTO attempt (
    tenant_id, intent_id, number, attempt_id, channel, state, code, decided_at
)
SELECT
    tenant_id, intent_id, number, attempt_id, channel, state, code,
    CASE WHEN state <> 'sending' THEN now() END
FROM unnest(
    $1::text[], $2::uuid[], $3::integer[], $4::uuid[], $5::text[], $6::text[], $7::text[]
) AS given(tenant_id, intent_id, number, attempt_id, channel, state, code)
"""


async def insert(conn: Connection, attempts: Sequence[NewAttempt]) -> None:
    """Keep attempts before they are made; the caller holds the locks of their intents."""
    await conn.execute(
        INSERT,
        [one.key[0] for one in attempts],
        [one.key[1] for one in attempts],
        [one.attempt.number for one in attempts],
        [one.attempt_id for one in attempts],
        [one.attempt.channel for one in attempts],
        [one.attempt.state for one in attempts],
        [one.attempt.code for one in attempts],
    )


OF_INTENTS = """
SELECT attempt.*
FROM attempt
JOIN unnest($1::text[], $2::uuid[]) AS wanted(tenant_id, intent_id) USING (tenant_id, intent_id)
ORDER BY tenant_id, intent_id, number
"""


async def of_intents(conn: Connection, keys: Iterable[Key]) -> dict[Key, list[KeptAttempt]]:
    """Return all attempts of intents, in order."""
    wanted = list(set(keys))
    tenants, ids = [tenant for tenant, _ in wanted], [id_ for _, id_ in wanted]
    found: dict[Key, list[KeptAttempt]] = defaultdict(list)
    for row in await conn.fetch(OF_INTENTS, tenants, ids):
        found[row["tenant_id"], row["intent_id"]].append(_kept(row))
    return found


@dataclass(frozen=True, slots=True)
class Found:
    """Where a reference leads."""

    key: Key
    case_id: UUID
    number: int


BY_REFERENCE = """
SELECT attempt.attempt_id, attempt.tenant_id, attempt.intent_id, attempt.number, intent.case_id
FROM attempt
JOIN intent USING (tenant_id, intent_id)
WHERE attempt.attempt_id = ANY($1::uuid[])
"""


async def by_reference(conn: Connection, references: Sequence[UUID]) -> dict[UUID, Found]:
    """Find attempts by what providers give back; an unknown one is missing."""
    rows = await conn.fetch(BY_REFERENCE, references)
    return {
        row["attempt_id"]: Found(
            (row["tenant_id"], row["intent_id"]), row["case_id"], row["number"]
        )
        for row in rows
    }


# Ids are compared byte by byte, so that all which begin alike lie together.
BY_SHORT = """
SELECT given.short, attempt.attempt_id
FROM unnest($1::text[]) AS given(short)
JOIN attempt ON attempt.attempt_id
    BETWEEN rpad(given.short, 32, '0')::uuid AND rpad(given.short, 32, 'f')::uuid
WHERE attempt.channel = 'voice'
"""


async def by_short(conn: Connection, shorts: Sequence[str]) -> dict[str, UUID]:
    """Find attempts by the first hexadecimal digits of their ids; an unknown one is missing."""
    if not shorts:
        return {}
    return {row["short"]: row["attempt_id"] for row in await conn.fetch(BY_SHORT, shorts)}


@dataclass(frozen=True, slots=True)
class AttemptNow:
    """What an attempt has become; what is None leaves what is known."""

    key: Key
    attempt: Attempt
    contact: str | None = None
    provider_id: str | None = None
    segments: int | None = None


UPDATE = """
UPDATE attempt
SET state = given.state, code = given.code,
    contact = coalesce(given.contact, attempt.contact),
    provider_id = coalesce(given.provider_id, attempt.provider_id),
    segments = coalesce(given.segments, attempt.segments),
    decided_at = CASE
        WHEN given.state IN ('sending', 'unknown') THEN NULL
        WHEN given.state = attempt.state THEN attempt.decided_at
        ELSE now()
    END
FROM unnest(
    $1::text[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::integer[]
) AS given(tenant_id, intent_id, number, state, code, contact, provider_id, segments)
WHERE attempt.tenant_id = given.tenant_id
    AND attempt.intent_id = given.intent_id
    AND attempt.number = given.number
"""


async def update(conn: Connection, attempts: Sequence[AttemptNow]) -> None:
    """Write what attempts have become, each once; the caller holds their intents' locks."""
    await conn.execute(
        UPDATE,
        [one.key[0] for one in attempts],
        [one.key[1] for one in attempts],
        [one.attempt.number for one in attempts],
        [one.attempt.state for one in attempts],
        [one.attempt.code for one in attempts],
        [one.contact for one in attempts],
        [one.provider_id for one in attempts],
        [one.segments for one in attempts],
    )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a provider has told of one message to one phone, whose number is kept as a digest."""

    provider: str
    provider_id: str
    phone_digest: str
    reference: str
    success: bool
    code: str


PUT_RECEIPTS = """
INSERT INTO receipt (provider, provider_id, phone_digest, reference, success, code)
SELECT DISTINCT ON (provider, provider_id, phone_digest)
    provider, provider_id, phone_digest, reference, success, code
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[])
    WITH ORDINALITY AS given(provider, provider_id, phone_digest, reference, success, code, n)
ORDER BY provider, provider_id, phone_digest, n
ON CONFLICT DO NOTHING
RETURNING provider, provider_id, phone_digest, reference, success, code
"""


async def put_receipts(conn: Connection, receipts: Sequence[Receipt]) -> list[Receipt]:
    """Keep receipts; return those that were not there: the first that is told stands."""
    names = tuple(Receipt.__dataclass_fields__)
    columns = ([getattr(one, name) for one in receipts] for name in names)
    return [Receipt(**row) for row in await conn.fetch(PUT_RECEIPTS, *columns)]


def _kept(row: Record) -> KeptAttempt:
    names = (
        "attempt_id", "contact", "provider_id", "segments", "started_at", "decided_at", "crossed",
    )  # fmt: skip
    attempt = Attempt(row["number"], row["channel"], row["state"], row["code"])
    key = (row["tenant_id"], row["intent_id"])
    return KeptAttempt(key=key, attempt=attempt, **{name: row[name] for name in names})
