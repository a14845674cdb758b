"""Data keys are wrapped anew in every table, beside those who work there, and no text changes."""

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.local.keys import forget, rotate
from deploy.local.resealing import reseal, used_in
from deploy.local.secrets import ensure_secrets
from services.chassis.seal import KeyRing, SealedFields
from tests.conftest import Database

TOWN, OTHER, CASE = "yihe", "gucheng", "6f1d5c0e-3a0b-5f5e-9c1a-c71f5a0ca5e5"
PEOPLE = 2_500  # beyond one batch
SET = """
INSERT INTO change_set (tenant_id, change_set_id, recorded_by, valid_from, entries)
VALUES ($1, 's', 'test', now(), 1)
"""
RECORD = """
INSERT INTO registry_record (tenant_id, kind, record_id, version, body, change_set_id, valid_from)
VALUES ($1, 'person', $2, 1, $3, 's', now())
"""
FACT = """
INSERT INTO case_ledger (
    tenant_id, event_id, topic, partition, record_offset, at, type, subject, seq, occurred_at,
    headers, body
)
VALUES ($1, gen_random_uuid(), 't', 0, 0, now(), 'x', $2, 1, '', '{}', $3)
"""
ASIDE = """
INSERT INTO quarantine (topic, partition, record_offset, at, headers, body, state, reason)
VALUES ('t', 0, $1, now(), $2, $3, 'rejected', 'test')
"""
HELD = "SELECT FROM registry_record WHERE tenant_id = $1 AND record_id = 'p-7' FOR UPDATE"
BODIES = "SELECT record_id, body FROM registry_record WHERE tenant_id = $1"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return ensure_secrets(tmp_path, [TOWN, OTHER]).key_file


def sealed(ring: KeyRing, town: str, subject: str, **texts: str) -> dict[str, Any]:
    return asdict(ring.seal(town, subject, texts))


async def filled(dsn: str, ring: KeyRing) -> None:
    """Fill ledger's tables with two towns' people, a fact and what was set aside."""
    conn = await asyncpg.connect(dsn)
    for town in (TOWN, OTHER):
        await conn.execute(SET, town)
        people = [
            (town, f"p-{n}", json.dumps({"sealed": sealed(ring, town, f"p-{n}", name=f"人{n}")}))
            for n in range(PEOPLE if town == TOWN else 1)
        ]
        await conn.executemany(RECORD, people)
    said = {"at": 1.5, "zh": "井盖", "sealed": sealed(ring, TOWN, CASE, summary="响")}
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    await conn.execute(FACT, TOWN, CASE, body)
    headers = json.dumps({"ce_tenant": TOWN, "ce_subject": f"case/{CASE}"})
    await conn.execute(ASIDE, 1, headers, body)
    await conn.execute(ASIDE, 2, headers, b'\xff\x00 no JSON, though "kid" stands in it')
    await conn.close()


async def used(dsn: str) -> Counter[tuple[str, str]]:
    return sum((await used_in(dsn)).values(), Counter[tuple[str, str]]())


async def test_all_of_a_town_is_wrapped_anew_in_batches_and_opens_without_the_old_key(
    database: Database, key_file: Path
) -> None:
    dsn, ring, batches = await database("ledger"), KeyRing(key_file), list[int]()
    await filled(dsn, ring)
    rotate(key_file, [TOWN])
    done, lost = await reseal(dsn, ring, TOWN, batches.append)
    assert (done, sum(batches), lost) == (PEOPLE + 2, PEOPLE + 2, Counter())
    assert max(batches) < PEOPLE
    assert await used(dsn) == {(TOWN, "k2"): PEOPLE + 2, (OTHER, "k1"): 1}
    forget(key_file, TOWN, "k1")
    conn = await asyncpg.connect(dsn)
    for row in await conn.fetch(BODIES, TOWN):
        given = SealedFields(**json.loads(row["body"])["sealed"])
        opened = ring.open(TOWN, row["record_id"], given, {"name"})
        assert opened == {"name": row["record_id"].replace("p-", "人")}
    fact = json.loads(await conn.fetchval("SELECT body FROM case_ledger"))
    assert (fact["at"], fact["zh"]) == (1.5, "井盖")
    assert ring.open(TOWN, CASE, SealedFields(**fact["sealed"]), {"summary"}) == {"summary": "响"}
    await conn.close()
    assert (await reseal(dsn, ring, TOWN, batches.append))[0] == 0


async def test_a_row_that_somebody_holds_is_passed_over_and_comes_next_time(
    database: Database, key_file: Path
) -> None:
    dsn, ring, batches = await database("ledger"), KeyRing(key_file), list[int]()
    await filled(dsn, ring)
    rotate(key_file, [TOWN])
    conn = await asyncpg.connect(dsn)
    async with conn.transaction():
        await conn.execute(HELD, TOWN)
        assert (await reseal(dsn, ring, TOWN, batches.append))[0] == PEOPLE + 1
    await conn.close()
    assert (await used(dsn))[TOWN, "k1"] == 1
    assert (await reseal(dsn, ring, TOWN, batches.append))[0] == 1
    assert (await used(dsn))[TOWN, "k1"] == 0


async def test_what_no_key_opens_is_counted_by_its_key_and_left_as_it_is(
    database: Database, key_file: Path
) -> None:
    dsn, ring, batches = await database("ledger"), KeyRing(key_file), list[int]()
    await filled(dsn, ring)
    rotate(key_file, [TOWN])
    forget(key_file, TOWN, "k1")
    done, lost = await reseal(dsn, KeyRing(key_file), TOWN, batches.append)
    assert (done, lost) == (0, {"k1": PEOPLE + 2})
    assert await used(dsn) == {(TOWN, "k1"): PEOPLE + 2, (OTHER, "k1"): 1}
