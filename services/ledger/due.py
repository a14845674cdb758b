"""Sets that hold from a moment to come: when it has come, their readers are told, set by set."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime

import structlog

from services.chassis.http import Work
from services.chassis.outbox import Relay
from services.chassis.postgres import Connection, Pool, is_outage
from services.ledger.changes import publish
from services.ledger.clock import town_now
from services.ledger.store import due, facts, registry, wall
from services.ledger.store.registry import Entry

log = structlog.get_logger()

_LOOK_S, _OUTAGE_WAIT_S = 1.0, 5.0


async def publish_due(conn: Connection, tenant_id: str, now: datetime) -> int:
    """Announce all sets of a town that hold by now; the caller holds the tenant's turn."""
    told = 0
    while (one := await due.next_set(conn, tenant_id, now)) is not None:
        held = await due.take(conn, one, now)
        await publish(conn, one, held)
        await _tell_of_owners(conn, tenant_id, held)
        told += 1
    return told


async def _tell_of_owners(conn: Connection, tenant_id: str, held: Sequence[Entry]) -> None:
    """Tell of units that end now and still own open cases: nobody could know when it was recorded.

    They end all the same, and `chuishao doctor` names the cases.
    """
    ended = [one.record_id for one in held if one.kind == "unit" and one.body is None]
    owning = await facts.open_of_units(conn, tenant_id, ended) if ended else {}
    for unit, cases in owning.items():
        log.warning("unit_ended_owning", tenant_id=tenant_id, unit=unit, count=cases)


async def publish_due_until_stopped(work: Work, pool: Pool, relay: Relay) -> None:
    """Announce what falls due in any town, until the service stops."""
    while not work.stopping.is_set():
        wait_s = _LOOK_S
        try:
            await _publish_all(pool, relay)
        except Exception as error:
            if not is_outage(error):
                raise
            wait_s = _OUTAGE_WAIT_S
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(work.stopping.wait(), wait_s)


async def _publish_all(pool: Pool, relay: Relay) -> None:
    """Announce what falls due, town by town: one that is busy, or has a fault, stops no other."""
    async with wall.across(pool) as conn:
        tenants = await due.tenants(conn)
    for tenant_id in tenants:
        try:
            told = await _publish_of(pool, tenant_id)
        except Exception as error:
            if is_outage(error):
                raise
            log.error("sets_not_published", tenant_id=tenant_id, error=type(error).__name__)  # noqa: TRY400 - a traceback may repeat what a record holds
            continue
        if told:
            log.info("sets_published", tenant_id=tenant_id, count=told)
            relay.wake()


async def _publish_of(pool: Pool, tenant_id: str) -> int:
    async with wall.within(pool, tenant_id) as conn, conn.transaction():
        if not await registry.try_turn(conn, tenant_id):
            return 0  # whoever has it records something just now: next time
        return await publish_due(conn, tenant_id, await town_now(conn, tenant_id))
