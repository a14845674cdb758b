"""Lines of a change set become records as they are kept: what is personal is sealed and indexed."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence

from services.chassis.seal import KeyRing
from services.ledger.checks import PERSONAL
from services.ledger.domain import blind
from services.ledger.lines import Line
from services.ledger.store.registry import Entry, Expected

PART = 5_000  # records that are sealed, and stored, at once


async def sealing(
    tenant_id: str, lines: Mapping[int, Line], keys: KeyRing
) -> AsyncGenerator[Sequence[Entry], None]:
    """Seal part by part, the next in a thread while the caller stores the one before."""
    numbered, loop = [*lines.items()], asyncio.get_running_loop()
    coming: asyncio.Future[list[Entry]] | None = None
    for start in range(0, len(numbered), PART):
        before, part = coming, numbered[start : start + PART]
        coming = loop.run_in_executor(None, sealed, tenant_id, part, keys)
        if before is not None:
            yield await before
    if coming is not None:
        yield await coming


def sealed(tenant_id: str, lines: Sequence[tuple[int, Line]], keys: KeyRing) -> list[Entry]:
    """Seal checked lines, each by its number."""
    return [_sealed_one(tenant_id, number, line, keys) for number, line in lines]


def _sealed_one(tenant_id: str, number: int, line: Line, keys: KeyRing) -> Entry:
    version = line.expected_version
    expected = None if version is None else Expected(version, number)
    if line.body is None:
        return Entry(line.kind, line.id, None, expected)
    body = dict(line.body)
    personal = {name: body.pop(name, None) for name in PERSONAL.get(line.kind, ())}
    texts = {name: text for name, text in personal.items() if text}
    found_by = frozenset[bytes]()
    if texts:
        kept = keys.seal(tenant_id, line.id, texts)
        body["sealed"] = {"kid": kept.kid, "key": kept.key, "fields": kept.fields}
        found_by = blind.tokens(keys.tenant(tenant_id).index, line.kind, texts)
    return Entry(line.kind, line.id, body, expected, found_by)
