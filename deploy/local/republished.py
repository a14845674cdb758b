"""The registry's topic after a rotation: what readers keep of it, wrapped by the present key.

Read from the topic itself, so that exactly what readers know is said again, while the tenant's
turn in ledger is held and nothing newer is on its way.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from contracts.events import NAMESPACE, effect_id
from contracts.facts import Sealed
from contracts.registry import Change, read_change
from contracts.topics import LEDGER_REGISTRY, registry_partition
from deploy.local.lying import lying_on
from deploy.local.resealing import rewrapped
from deploy.local.set_aside import Conn, opened
from services.chassis import outbox
from services.chassis.outbox import Outgoing
from services.chassis.seal import KeyRing, SealedFields
from services.ledger.store.registry import take_turn

_SENT_S = 60.0
WAITING = """
SELECT EXISTS (
    SELECT
    FROM outbox
    WHERE topic = $1 AND headers ->> 'ce_tenant' = $2
)
"""


async def republish(bootstrap: str, ledger_dsn: str, ring: KeyRing, tenant: str) -> int:
    """Say again what lies on the registry's topic under older keys; return how many records.

    Raises:
        TimeoutError: ledger does not send what it has to say already.
    """
    async with opened(ledger_dsn) as conn, conn.transaction():
        await take_turn(conn, tenant)
        await _until_sent(conn, tenant)
        kept: dict[bytes, Change] = {}
        async for record in lying_on(bootstrap, LEDGER_REGISTRY):
            if record.key and record.key.startswith(f"{tenant}|".encode()):
                change = read_change(dict(record.headers), record.value)
                if change is not None:
                    kept[record.key] = change
        anew = [new for one in kept.values() if (new := _anew(one, ring))]
        rows = [_outgoing(one, last=one is anew[-1]) for one in anew]
        if rows:
            await outbox.write(conn, rows)
    return len(anew)


async def _until_sent(conn: Conn, tenant: str) -> None:
    async with asyncio.timeout(_SENT_S):
        while await conn.fetchval(WAITING, LEDGER_REGISTRY.name, tenant):  # noqa: ASYNC110 - another process sends
            await asyncio.sleep(0.2)


def _anew(one: Change, ring: KeyRing) -> Change | None:
    sealed: Sealed | None = getattr(one.data, "sealed", None)
    if one.data is None or sealed is None or sealed.kid == ring.tenant(one.tenant_id).kid:
        return None
    new = rewrapped(ring, one.tenant_id, {one.record_id}, SealedFields(**sealed.model_dump()))
    if new is None:
        return None
    name = f"~key-{new.kid}"  # no set through a door has such an id
    said = {"sealed": Sealed(kid=new.kid, key=new.key, fields=sealed.fields)}
    cause: UUID = effect_id(NAMESPACE, f"{one.tenant_id}|{name}|{new.key}")
    id_ = effect_id(cause, f"{one.kind}/{one.record_id}")
    return replace(one, event_id=id_, change_set=name, data=one.data.model_copy(update=said))


def _outgoing(one: Change, *, last: bool) -> Outgoing:
    change = replace(one, last=last)
    headers: Mapping[str, str] = change.headers
    return Outgoing(
        LEDGER_REGISTRY.name,
        change.key,
        headers,
        change.body,
        lane_key=one.tenant_id.encode(),
        partition=registry_partition(one.tenant_id),
    )
