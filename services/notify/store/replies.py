"""Texts that can be answered: whom they went to, and what was answered."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from services.chassis.postgres import Connection
from services.notify.store.intents import SlotKey

DRAW = """
INSERT INTO slot_counter AS kept (tenant_id, last)
SELECT tenant_id, amount
FROM unnest($1::text[], $2::bigint[]) AS given(tenant_id, amount)
ORDER BY tenant_id
ON CONFLICT (tenant_id) DO UPDATE
SET last = kept.last + excluded.last
RETURNING tenant_id, last
"""


async def draw(conn: Connection, amounts: dict[str, int]) -> dict[str, int]:
    """Count so many new slots of each tenant; return the last number of each."""
    rows = await conn.fetch(DRAW, list(amounts), list(amounts.values()))
    return {row["tenant_id"]: row["last"] for row in rows}


@dataclass(frozen=True, slots=True)
class Texted:
    """Somebody who was texted about a slot, by the digest of his number."""

    phone_digest: str
    tenant_id: str
    whistle_id: UUID
    department: str
    staff: str
    case_id: UUID

    @property
    def slot(self) -> SlotKey:
        return self.tenant_id, self.whistle_id, self.department


PUT_TEXTED = """
INSERT INTO texted (phone_digest, tenant_id, whistle_id, department, staff, case_id)
SELECT phone_digest, tenant_id, whistle_id, department, staff, case_id
FROM unnest($1::text[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::uuid[])
    AS given(phone_digest, tenant_id, whistle_id, department, staff, case_id)
ORDER BY phone_digest, tenant_id, whistle_id, department, staff
ON CONFLICT DO NOTHING
"""


async def put_texted(conn: Connection, texted: Iterable[Texted]) -> None:
    """Keep, before the call, whom a text goes to: an answer may be fast."""
    rows = dict.fromkeys(texted)
    if rows:
        names = Texted.__dataclass_fields__
        await conn.execute(PUT_TEXTED, *([getattr(one, n) for one in rows] for n in names))


# The newest first: the last of them is whom an answer goes to where no slot is open.
KNOWN = """
SELECT DISTINCT ON (phone_digest)
    phone_digest, tenant_id, whistle_id, department, staff, case_id
FROM texted
WHERE phone_digest = ANY($1::text[])
ORDER BY phone_digest, texted_at DESC
"""


async def known(conn: Connection, digests: Sequence[str]) -> dict[str, Texted]:
    """Return what each number was texted last; one that never was is missing."""
    return {row["phone_digest"]: Texted(**row) for row in await conn.fetch(KNOWN, digests)}


AWAITED = """
SELECT texted.phone_digest, texted.tenant_id, texted.whistle_id, texted.department, texted.staff,
    texted.case_id
FROM texted
JOIN slot USING (tenant_id, whistle_id, department)
WHERE texted.phone_digest = ANY($1::text[]) AND slot.state <> 'over'
ORDER BY slot.due_at NULLS LAST, texted.whistle_id, texted.department, texted.staff
LIMIT 10000
"""


async def awaited(conn: Connection, digests: Sequence[str]) -> list[Texted]:
    """Return the slots still awaited that these numbers were texted about, the first due first."""
    return [Texted(**row) for row in await conn.fetch(AWAITED, digests)]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a provider has told of one answer; what it said is not kept."""

    provider: str
    phone_digest: str
    sequence_id: str


PUT = """
INSERT INTO reply (provider, phone_digest, sequence_id)
SELECT DISTINCT provider, phone_digest, sequence_id
FROM unnest($1::text[], $2::text[], $3::text[]) AS given(provider, phone_digest, sequence_id)
ORDER BY provider, phone_digest, sequence_id
ON CONFLICT DO NOTHING
RETURNING provider, phone_digest, sequence_id
"""


async def put(conn: Connection, replies: Iterable[Reply]) -> set[Reply]:
    """Keep that these came; return those that had not come before."""
    rows = list(replies)
    columns = ([getattr(one, name) for one in rows] for name in Reply.__dataclass_fields__)
    return {Reply(**row) for row in await conn.fetch(PUT, *columns)}


ANSWER = """
UPDATE reply
SET answered = true
WHERE provider = $1 AND phone_digest = $2 AND sequence_id = $3
    AND NOT EXISTS (
        SELECT
        FROM reply AS earlier
        WHERE earlier.provider = $1
            AND earlier.phone_digest = $2
            AND earlier.answered
            AND earlier.received_at > now() - $4::interval
    )
RETURNING true
"""


async def may_answer(conn: Connection, reply: Reply, wait: timedelta) -> bool:
    """Note that a reply is answered, unless its number got an answer lately."""
    key = (reply.provider, reply.phone_digest, reply.sequence_id)
    return await conn.fetchval(ANSWER, *key, wait) is not None
