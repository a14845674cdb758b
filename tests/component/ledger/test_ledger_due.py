"""Sets that hold from a moment to come, or from one that is past: who is told what, and when."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from contracts.registry import TenantClock
from services.chassis import kafka
from services.chassis.http import Work
from services.chassis.outbox import Relay
from services.ledger.changes import record_set
from services.ledger.due import publish_due_until_stopped
from services.ledger.settings import LedgerSettings
from services.ledger.store import registry
from services.ledger.store.registry import ChangeSet, Entry
from tests import factories
from tests.component.ledger.office import Office, fact
from tests.component.ledger.test_ledger_facts import OPENED, OWNER
from tests.component.ledger.test_ledger_records import PROFILE, ask, ids, line, removed, unit
from tests.waiting import until

MONDAY = datetime(2025, 3, 3, 0, 30, tzinfo=UTC)
OLD, TUESDAY, FRIDAY = ((MONDAY + timedelta(days=days)).isoformat() for days in (-60, 1, 4))
TOWN = [PROFILE, unit("town"), unit("v1", "town"), unit("v2", "town"),
        line("household", "h1", grid="v1")]  # fmt: skip
MERGER = [unit("v2", "town", "合村"), line("household", "h1", grid="v2"), removed("unit", "v1")]


@pytest.fixture
async def town(office: Office) -> Office:
    """Ledger, with a town on a Monday, of which everybody has been told."""
    assert (await office.clock(set_to=MONDAY.isoformat())).status_code == 200
    assert (await office.post_set("town", TOWN, valid_from=OLD)).status_code == 200
    await office.pool.execute("DELETE FROM outbox")
    return office


async def told(town: Office) -> list[tuple[str, str, bool, bool]]:
    """Return what is announced: set, record, whether it is there, whether it ends its set."""
    changes = [one for one in await town.published() if one.kind != "clock"]
    return [(one.change_set, one.record_id, one.data is not None, one.last) for one in changes]


MERGED = [
    ("merger", "v2", True, False),
    ("merger", "h1", True, False),
    ("merger", "v1", False, True),
]


async def test_a_set_to_come_is_seen_by_nobody_until_then_and_then_whole(town: Office) -> None:
    assert (await town.post_set("merger", MERGER, valid_from=TUESDAY)).status_code == 200
    assert await told(town) == []
    assert await ids(town, "unit") == ["town", "v1", "v2"]
    assert await ids(town, "unit", as_of=TUESDAY) == ["town", "v2"]
    assert (await town.get("/v1/registry/counts")).json()["unit"] == 3
    seen = await ask(town, "household/h1", "village_cadre", units=["v1"])
    assert seen.status_code == 200
    await town.clock(set_to=TUESDAY)
    assert await told(town) == MERGED
    assert await ids(town, "unit") == ["town", "v2"]
    assert await ids(town, "household", unit="v2") == ["h1"]
    assert await ids(town, "household", unit="v1", as_of=MONDAY.isoformat()) == ["h1"]
    await town.clock(advance_s=5)
    assert len(await told(town)) == 3
    assert await town.rows("change_due") == []


async def test_the_service_tells_by_itself_when_the_moment_comes(town: Office) -> None:
    await town.post_set("merger", MERGER, valid_from=TUESDAY)
    tuesday = datetime.fromisoformat(TUESDAY)
    async with town.pool.acquire() as conn, conn.transaction():
        await registry.take_turn(conn, town.tenant)
        (first,) = TenantClock.model_validate(
            await registry.newest(conn, town.tenant, "clock", "clock")
        ).offsets
        moved = {"from_at": first.from_at.isoformat(), "seconds": first.seconds + 86_400}
        one = ChangeSet(town.tenant, "~clock", "test", tuesday)
        await record_set(conn, one, [Entry("clock", "clock", {"offsets": [moved]})], tuesday)
    assert await told(town) == []

    async def announced() -> bool:
        return await told(town) == MERGED

    await in_the_background(town, announced)
    assert await town.rows("change_due") == []


async def test_what_holds_by_another_set_then_is_not_told(town: Office) -> None:
    await town.post_set("merger", MERGER, valid_from=FRIDAY)
    names = [unit("v2", "town", "另名")]
    await town.post_set("again", names, valid_from=FRIDAY)
    await town.clock(set_to=FRIDAY)
    assert await told(town) == [
        ("merger", "h1", True, False), ("merger", "v1", False, True), ("again", "v2", True, True),
    ]  # fmt: skip


async def test_a_correction_of_the_past_is_kept_and_told_to_nobody(town: Office) -> None:
    await town.post_set("now", [unit("v1", "town", "今名")])
    late = [unit("v1", "town", "旧名"), line("household", "h2", grid="v1")]
    await town.post_set("late", late, valid_from=(MONDAY - timedelta(days=30)).isoformat())
    assert await told(town) == [("now", "v1", True, True), ("late", "h2", True, True)]
    assert (await ask(town, "unit/v1")).json()["body"]["zh"] == "今名"


async def test_a_set_is_judged_at_each_moment_to_come(town: Office) -> None:
    orphan = [removed("unit", "v1")]
    early = await town.post_set("early", orphan, valid_from=TUESDAY)
    assert (early.status_code, early.json()["code"]) == (409, "change_set_unfit")
    assert (await town.post_set("merger", MERGER, valid_from=FRIDAY)).status_code == 200
    for valid_from in (TUESDAY, MONDAY.isoformat()):
        late = await town.post_set(
            "late", [line("household", "h2", grid="v1")], valid_from=valid_from
        )
        assert late.status_code == 409
        (fault,) = late.json()["errors"]
        assert (fault["id"], fault["field"]) == ("h2", "grid")
    moving = [line("household", "h2", grid="v1")]
    leaving = [line("household", "h2", grid="v2")]
    assert (await town.post_set("leaving", leaving, valid_from=FRIDAY)).status_code == 200
    assert (await town.post_set("moving", moving)).status_code == 200


async def test_a_unit_that_ends_with_open_cases_is_told_of_when_its_moment_comes(
    town: Office,
) -> None:
    await town.post_set("merger", MERGER, valid_from=TUESDAY)
    owned = {**OPENED, "owner": {**OWNER, "unit": "v1"}}
    with capture_logs() as logs:
        await town.hear(fact(town.tenant, "case.opened.v1", UUID(int=8), owned))
        assert [one for one in logs if one["event"] == "unit_ended_owning"] == []
        await town.clock(set_to=TUESDAY)
    (told_of,) = [one for one in logs if one["event"] == "unit_ended_owning"]
    assert (told_of["tenant_id"], told_of["unit"], told_of["count"]) == (town.tenant, "v1", 1)
    assert await told(town) == MERGED


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_moment_that_no_zone_could_tell_is_refused(town: Office, moment: str) -> None:
    answer = await town.post_set("s1", MERGER, valid_from=moment)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["valid_from"]


async def test_whoever_changes_what_a_set_to_come_changes_too_is_told(town: Office) -> None:
    await town.post_set("merger", MERGER, valid_from=FRIDAY)
    answer = await town.post_set("mended", [unit("v2", "town", "今名"), unit("v3", "town")])
    (remark,) = answer.json()["warnings"]
    assert remark.startswith("unit/v2：")
    assert "2025-03-07" in remark
    assert (await town.post_set("later", [unit("v2", "town", "再名")], valid_from=FRIDAY)).json()[
        "warnings"
    ] == []


async def in_the_background(town: Office, wanted: Callable[[], Awaitable[bool]]) -> None:
    settings = factories.settings(LedgerSettings, town.secrets)
    relay, work = Relay(settings, town.served, kafka.make_broker(settings, "ledger")), Work()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(publish_due_until_stopped(work, town.served, relay))
        await until(wanted, "the sets are announced")
        work.stopping.set()


async def test_a_town_that_is_busy_or_faulty_stops_no_other(town: Office) -> None:
    """The first town records something all the while; what the second kept no longer reads."""
    now = datetime.now(UTC)
    names = ["town994", "town995", "town996"]
    for name in names:
        other = town.of(name)
        assert (await other.post_set("town", TOWN, valid_from=OLD)).status_code == 200
        soon = (now + timedelta(days=1)).isoformat()
        assert (await other.post_set("merger", MERGER, valid_from=soon)).status_code == 200
    for table in ("change_set", "registry_record", "change_due"):
        await town.pool.execute(
            f"UPDATE {table} SET valid_from = $1"  # noqa: S608 - tables of ours
            " WHERE tenant_id = ANY($2) AND change_set_id = 'merger'",
            now,
            names,
        )
    await town.pool.execute(
        "UPDATE registry_record SET body = $1"
        " WHERE tenant_id = $2 AND change_set_id = 'merger' AND body IS NOT NULL",
        {"level": 7},
        names[1],
    )
    busy, faulty, third = (town.of(name) for name in names)
    before = len(await third.published())

    async def told_of_it() -> bool:
        return len(await third.published()) > before

    async with town.pool.acquire() as conn, conn.transaction():
        await registry.take_turn(conn, busy.tenant)
        await in_the_background(town, told_of_it)
    assert len(await busy.rows("change_due")) == len(await faulty.rows("change_due")) == 3
    assert await third.rows("change_due") == []
    await town.pool.execute("DELETE FROM change_due WHERE tenant_id = $1", faulty.tenant)
