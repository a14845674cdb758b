"""The blind index made for what was recorded before there was one. Repeatable at any time."""

from collections.abc import AsyncIterator

from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.ledger.domain.blind import INDEXED, tokens
from services.ledger.store import registry, search
from services.ledger.store.registry import Entry

_PER_TRANSACTION = 1_000


async def reindex(conn: Connection, tenant_id: str, keys: KeyRing) -> AsyncIterator[int]:
    """Index all versions of a town's records; yields how many are done.

    Each part waits for the town's turn, so what is erased meanwhile does not come back.

    Raises:
        CannotOpen: the key file knows nothing of the town.
    """
    kinds, key, done = sorted(INDEXED), keys.tenant(tenant_id).index, 0
    after: search.Version = ("", "", 0)
    while True:
        async with conn.transaction():
            await registry.take_turn(conn, tenant_id)
            rows = await search.versions(conn, tenant_id, kinds, after, _PER_TRANSACTION)
            entries = [
                Entry(kind, name, None, tokens=_tokens(tenant_id, kind, name, sealed, key, keys))
                for (kind, name, _), sealed in rows
            ]
            await search.put(conn, tenant_id, entries)
        if not rows:
            return
        after, done = rows[-1][0], done + len(rows)
        yield done


def _tokens(
    tenant_id: str, kind: str, record_id: str, body: dict[str, object], key: bytes, keys: KeyRing
) -> frozenset[bytes]:
    sealed = SealedFields(**body)  # type: ignore[arg-type]  # as it was sealed
    try:
        texts = keys.open(tenant_id, record_id, sealed, set(INDEXED[kind]))
    except CannotOpen:  # its key is gone: nobody is to find it
        return frozenset()
    return tokens(key, kind, texts)
