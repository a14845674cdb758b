"""Erasure: a record's personal texts become unreadable everywhere, and it is removed."""

from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.ledger import references
from services.ledger.acts import record_erased
from services.ledger.changes import record_set
from services.ledger.clock import town_now
from services.ledger.sensitive import Drawer
from services.ledger.store import audit, erasure, history, registry, search
from services.ledger.store.erasure import Erasure
from services.ledger.store.registry import ChangeSet, Entry


async def erase(
    conn: Connection,
    keys: KeyRing,
    tenant_id: str,
    kind: str,
    record_id: str,
    by: str,
    reason: str,
) -> tuple[Erasure | None, bool]:
    """Erase a record in the caller's transaction: destroy its data keys, remove it, say so.

    Of a person, what is kept of sensitive groups goes too. Returns the erasure, None where there
    never was such a record, and whether it is a new one.

    Raises:
        SetUnfit: others still name it.
        CannotOpen: the key file knows nothing of the town.
    """
    await registry.take_turn(conn, tenant_id)
    if kind == "person":
        await Drawer(keys, tenant_id, record_id).forget(conn)
    there, sealed = await erasure.versions(conn, tenant_id, kind, record_id)
    known = await erasure.last(conn, tenant_id, kind, record_id)
    if not there or (known and not sealed):
        return known, False
    now = await town_now(conn, tenant_id)
    await erasure.destroy(conn, tenant_id, kind, record_id, now)
    await search.forget(conn, tenant_id, kind, record_id)
    # No set through a door has such an id; a record that came back is erased by another.
    set_id = f"~erase-{kind}-{record_id}-{there}"
    one = ChangeSet(tenant_id, set_id, by, now, None, reason)
    removal = [Entry(kind, record_id, None)]
    await record_set(conn, one, removal, now)
    for moment in await history.later(conn, tenant_id, now):  # what was to come of it is gone too
        await references.check(conn, tenant_id, removal, moment, coming=True)
    await audit.write(conn, record_erased(one, kind, record_id))
    await erasure.note(conn, tenant_id, set_id, kind, record_id, by, reason)
    return await erasure.last(conn, tenant_id, kind, record_id), True
