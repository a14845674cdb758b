"""Looks at a registry of a million persons, through ledger's doors, beside a bare read by key."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import aiohttp
import asyncpg

from deploy.bench.registry_fill import Person, Target, fill, person, shape_of
from deploy.bench.rows import Row, percentiles
from deploy.local.load import sender
from deploy.local.usage import usage
from deploy.local.whole import OPERATOR, Running

PART = "登记查阅 · registry, reading"
CLIENTS, EACH, WARM = 2, 300, 20
MUST, AIM, GRID_MUST = "50 ms", "10 ms", "100 ms"
OK = 200
_SEARCH = "/v1/registry/search"
BARE = """
SELECT body
FROM registry_record
WHERE tenant_id = $1 AND kind = 'person' AND record_id = $2 AND version = 1
"""


@dataclass(frozen=True, slots=True)
class Look:
    """One kind of look: where, and what is asked there about somebody."""

    what: str
    path: Callable[[Person], str]
    query: Callable[[Person], dict[str, str]] = lambda _: {}
    must: str = MUST
    finds: bool = True  # the one who is asked for is among those that are found


def _by(name: str, of: Callable[[Person], str]) -> tuple[Any, Any]:
    return (lambda _: _SEARCH), (lambda one: {name: of(one)})


LOOKS = (
    Look("证件号码 · by id number", *_by("id_number", lambda one: one.texts["id_number"])),
    Look("电话 · by phone", *_by("phone", lambda one: one.texts["phone"])),
    Look("姓名 · by name", *_by("name", lambda one: one.texts["name"])),
    Look("姓加一字 · name begins, two", *_by("begins", lambda one: one.texts["name"][:2])),
    Look("大姓 · name begins, one", *_by("begins", lambda _: "王"), finds=False),
    Look("拼音首字母 · initials", *_by("initials", lambda _: "wj"), finds=False),
    Look(
        "住址 · by address",
        lambda _: _SEARCH,
        lambda one: {"kind": "household", "address": one.address},
    ),
    Look(
        "一格的人 · persons of a grid, a page",
        lambda _: "/v1/registry/person",
        lambda one: {"unit": one.grid},
    ),
    Look("一个人 · a person by id", lambda one: f"/v1/registry/person/{one.id}"),
    Look("户的页面 · page of a household", lambda one: f"/v1/households/{one.household}"),
    Look(
        "网格的页面，500 户 · page of a grid",
        lambda one: f"/v1/grids/{one.grid}",
        must=GRID_MUST,
    ),
)


async def registry_reads(running: Running, persons: int, say: Callable[[str], None]) -> list[Row]:
    """Fill in so many persons, then look them up as an operator and as a grid's worker."""
    tenant = running.tenants[0]
    target = Target(running.dsn("ledger"), running.secrets.key_file, tenant)
    began = time.monotonic()
    await fill(target, shape_of(running.towns[tenant]), persons)
    say(f"登记了 {persons} 人，{time.monotonic() - began:.0f} 秒 · persons are filled in")
    draw = Random(3)  # noqa: S311 - no secret
    asked = [person(draw.randrange(persons)) for _ in range(EACH + WARM)]
    floor = await _bare(running, tenant, asked)
    rows = [
        Row(PART, "按主键直读 · a bare read by key, p50", floor["p50"], "ms"),
        Row(PART, "按主键直读 · a bare read by key, p99", floor["p99"], "ms"),
    ]
    operator = running.token(tenant, OPERATOR)
    workers = [(o, running.token(tenant, "grid_worker", units=[o.grid])) for o in asked]
    for look in LOOKS:
        rows += await _look(running, look, "运维 · operator", [(o, operator) for o in asked], floor)
    for look in LOOKS:
        rows += await _look(running, look, "网格员 · grid worker", workers, floor)
    return rows


async def _bare(running: Running, tenant: str, asked: Sequence[Person]) -> dict[str, float]:
    pool = await asyncpg.create_pool(running.dsn("ledger"), min_size=CLIENTS, max_size=CLIENTS)

    async def read(one: Person) -> None:
        await pool.fetchval(BARE, tenant, one.id)

    took = await _timed(asked, read)
    await pool.close()
    return percentiles(took)


async def _look(
    running: Running,
    look: Look,
    who: str,
    asked: Sequence[tuple[Person, str]],
    floor: dict[str, float],
) -> list[Row]:
    async with sender(running.url("ledger"), CLIENTS) as client:

        async def ask(one: tuple[Person, str]) -> None:
            await _ask(client, look, *one)

        before = usage(running.servers.supervisor)
        took = percentiles(await _timed(asked, ask))
        spent = usage(running.servers.supervisor).since(before)
    what = f"{who}：{look.what}"
    cpu = {name: round(spent[name] * 1_000 / len(asked), 1) for name in ("ledger", "postgres")}
    return [
        Row(PART, f"{what}, p50", took["p50"], "ms", floor["p50"]),
        Row(PART, f"{what}, p99", took["p99"], "ms", floor["p99"], look.must, AIM),
        *(Row(PART, f"  处理器 · CPU, {name}", each, "ms") for name, each in cpu.items()),
    ]


async def _ask(client: aiohttp.ClientSession, look: Look, one: Person, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    async with client.get(look.path(one), params=look.query(one), headers=headers) as answer:
        text = await answer.text()
    if answer.status != OK:
        raise RuntimeError(f"{look.what}: {answer.status} {text}")
    if look.finds and '"id":' not in text:
        raise RuntimeError(f"{look.what}: nobody was found by {look.query(one)}")


async def _timed(asked: Sequence[Any], ask: Callable[[Any], Awaitable[None]]) -> list[float]:
    """Let a few clients ask one after the other; return milliseconds, the first ones left out."""
    took: list[float] = []
    left: Iterator[Any] = iter(asked)

    async def client() -> None:
        for one in left:
            began = time.perf_counter()
            await ask(one)
            took.append((time.perf_counter() - began) * 1_000)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(CLIENTS):
            tasks.create_task(client())
    return took[WARM:]
