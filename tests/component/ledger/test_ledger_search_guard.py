"""Look-ups go round no guard: nothing is tried out, and nobody hears of what is not his."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.local.secrets import Secrets
from services.ledger.domain.numbers import citizen_check
from tests import factories
from tests.component.ledger.office import Office, open_office
from tests.component.ledger.test_ledger_records import NUMBER, TOWN, ask, line

MOST = 5  # of those that find nothing
PHONE, WRONG = "13812345678", "13800000000"
SEARCH = "/v1/registry/search"


@pytest.fixture
async def town(office: Office, ledger_dsn: str, ledger_secrets: Secrets) -> AsyncIterator[Office]:
    """A town with a small budget."""
    given: dict[str, Any] = {"search_empty_per_day_max": MOST}
    async with open_office(ledger_dsn, ledger_secrets, **given) as opened:
        one = opened.of(office.tenant)
        assert (await one.post_set("town", TOWN)).status_code == 200
        yield one


async def acts(town: Office) -> list[tuple[Any, ...]]:
    digests = ("before_digest", "after_digest")
    return await town.acts(
        "registry.search", "actor", "object", "fields", "reason", "decision", *digests
    )


async def spent(town: Office) -> list[int]:
    return [row["searches"] for row in await town.rows("unmask_spent")]


async def test_a_masked_number_cannot_be_tried_out(town: Office) -> None:
    found: list[dict[str, Any]] = []
    for order in range(30):
        body = f"{NUMBER[:14]}{order:03}"
        answer = await ask(
            town, "search", "grid_worker", id_number=body + citizen_check(body), units=["g1"]
        )
        found += [] if answer.status_code == 429 else answer.json()["records"]
    assert answer.json()["code"] == "search_budget"
    assert [one["id"] for one in found] == ["p1"]  # within the budget
    assert await spent(town) == [MOST]


@pytest.mark.parametrize("role", ["grid_worker", "operator"])
async def test_beyond_the_budget_even_what_is_there_is_not_looked_for(
    town: Office, role: str
) -> None:
    await town.clock(set_to="2027-03-01T23:00:00+08:00")
    asked = [{"phone": WRONG}, {"name": "王五"}, {"begins": "张三四"}, {"id_number": "1"}]
    for query in [*asked, {"kind": "organisation", "credit_code": "1"}]:
        assert (await ask(town, "search", role, **query, units=["g1"])).json()["records"] == []
    there = await ask(town, "search", role, phone=PHONE, units=["g1"])
    assert (there.status_code, there.json()["code"]) == (429, "search_budget")
    assert there.json()["resets_at"] == "2027-03-02T00:00:00+08:00"
    assert 0 < int(there.headers["retry-after"]) <= 3601
    assert "p1" not in there.text
    for free in {"begins": "张"}, {"initials": "zs"}:
        assert (await ask(town, "search", role, **free, units=["g1"])).status_code == 200
    await town.clock(advance_s=3_600)
    assert (await ask(town, "search", role, phone=PHONE, units=["g1"])).status_code == 200


async def test_many_at_once_try_no_more_than_the_budget(town: Office) -> None:
    answers = await asyncio.gather(
        *(ask(town, "search", phone=f"1380000{n:04}") for n in range(20))
    )
    assert sorted(one.status_code for one in answers) == [200] * MOST + [429] * (20 - MOST)
    assert await spent(town) == [MOST]


async def test_what_finds_somebody_costs_nothing_of_the_budget_nor_of_unmasking(
    town: Office,
) -> None:
    for _ in range(MOST + 1):
        assert (await ask(town, "search", phone=PHONE)).status_code == 200
    assert await spent(town) == [0]
    assert (await ask(town, "search", phone=WRONG)).status_code == 200
    body = {"fields": ["phone"], "reason": "上门走访前核对电话"}
    shown = await town.http.post("/v1/registry/person/p1/unmask", json=body, headers=town.headers())
    assert shown.json()["left"] == 49
    assert await spent(town) == [1]


async def test_a_refusal_by_right_costs_nothing(town: Office) -> None:
    refused = await ask(town, "search", "citizen", phone=WRONG, units=["g1"])
    assert refused.status_code == 403
    assert (await spent(town), await acts(town)) == ([], [])


async def test_a_look_up_by_a_number_is_in_the_log_without_the_number(town: Office) -> None:
    await ask(town, "search", "grid_worker", id_number=NUMBER, units=["g1"])
    for _ in range(MOST + 1):
        await ask(town, "search", "grid_worker", phone=WRONG, units=["g1"])
    await ask(town, "search", "grid_worker", begins="张", units=["g1"])
    said = ("dev", "person")
    assert await acts(town) == [
        (*said, ["id_number", "found:1"], None, "allowed", None, None),
        *[(*said, ["phone", "found:0"], None, "allowed", None, None)] * MOST,
        (*said, ["phone", "refused:search_budget"], None, "refused", None, None),
    ]
    rows = await town.rows("audit")
    assert all(text not in str(row) for row in rows for text in (NUMBER, WRONG))


MANY = [line("staff", f"w{n:03}", name="张三", posts=[]) for n in range(90)]


async def test_a_page_names_nothing_that_is_not_the_callers(town: Office) -> None:
    assert (await town.post_set("many", MANY)).status_code == 200
    query = {"kind": "staff", "begins": "张", "limit": 1, "units": ["g1"]}
    page = (await ask(town, "search", "grid_worker", **query)).json()
    assert page == {"kind": "staff", "records": [], "after": None}


async def pages(town: Office, **query: Any) -> dict[str, Any]:
    answer = await ask(town, "search", kind="staff", begins="张", limit=1, **query)
    page: dict[str, Any] = answer.json()
    return {"status": answer.status_code, **page}


async def test_a_cursor_is_good_for_its_reader_and_his_question_alone(
    town: Office, neighbour: Office
) -> None:
    for one in (town, town.of(neighbour.tenant)):
        assert (await one.post_set("many", [*TOWN, *MANY])).status_code == 200
    after = (await pages(town))["after"]
    assert "w000" not in after
    assert after != (await pages(town))["after"]
    assert [one["id"] for one in (await pages(town, after=after))["records"]] == ["w001"]
    other = factories.token(town.secrets, "operator", tenant=town.tenant, staff="other")
    params = {"kind": "staff", "begins": "张", "limit": "1", "after": after}
    theirs = await town.http.get(
        SEARCH, params=params, headers={"Authorization": f"Bearer {other}"}
    )
    strange = [
        {"status": theirs.status_code, **theirs.json()},
        await pages(town.of(neighbour.tenant), after=after),
        await pages(town, after=after, unit="g1"),
        await pages(town, after=after[:-2] + "AA"),
        await pages(town, after="w000"),
        await pages(town, after="w"),
    ]
    assert {(one["status"], one["code"]) for one in strange} == {(422, "cursor_invalid")}
