from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.chassis.inbox import Record
from services.ledger.store import slots
from tests.component.ledger.office import Office, fact
from tests.component.ledger.test_ledger_facts import OPENED, PROFILE

CASE, WHISTLE = UUID(int=77), UUID(int=700)
BY = {"unit": "town", "role": "center_clerk", "staff": "k1"}
CALLED_AT = datetime.fromisoformat("2025-03-03T10:00:00+08:00")
DUE_AT = CALLED_AT + timedelta(hours=8)
SUMS = (
    "called", "awaited", "reported", "reported_late", "corrected", "missed", "refused", "withdrawn",
)  # fmt: skip

Told = tuple[str, dict[str, Any]]


def after(**duration: float) -> str:
    """Return a moment, so long after the call."""
    return (CALLED_AT + timedelta(**duration)).isoformat()


def blown(*departments: str) -> Told:
    named = [
        {"department": one, "lead": n == 0, "due_at": DUE_AT.isoformat()}
        for n, one in enumerate(departments)
    ]
    return "whistle.blown.v1", {"departments": named, "by": BY}


def came(hours: float, *, late: bool = False) -> Told:
    told = {"means": "remote", "at": after(hours=hours), "by": BY}
    return "whistle.reported_in.v1", {**told, "late": late}


def moved(hours: float, *, miss_withdrawn: bool) -> Told:
    told = {"due_at": after(hours=hours), "miss_withdrawn": miss_withdrawn}
    return "whistle.deadline_moved.v1", told


MISSED: Told = ("whistle.missed.v1", {"due_at": DUE_AT.isoformat()})
CORRECTED: Told = ("whistle.corrected.v1", {"means": "remote", "at": after(hours=7), "by": BY})
REFUSED: Told = ("whistle.refused.v1", {"proposed": "justice", "arbiter": BY, "by": BY})
ACCEPTED: Told = ("whistle.ruled.v1", {"ruling": "accept", "call": "justice", "by": BY})
REJECTED: Told = ("whistle.ruled.v1", {"ruling": "reject", "due_at": after(hours=30), "by": BY})
WITHDRAWN: Told = ("whistle.withdrawn.v1", {"by": BY})
RELEASED: Told = ("whistle.released.v1", {"by": BY})
MISSED_AGAIN: Told = ("whistle.missed.v1", {"due_at": after(hours=30)})
NO_MISS: Told = (
    "whistle.miss_withdrawn.v1",
    {"due_at": after(hours=20), "was_due_at": DUE_AT.isoformat(), "ended_at": after(hours=9)},
)
NO_MISS_AGAIN: Told = (
    "whistle.miss_withdrawn.v1",
    {"due_at": after(hours=50), "was_due_at": after(hours=30), "ended_at": after(hours=31)},
)
NOT_THERE: Told = ("whistle.stage_missed.v1", {"stage": "arrive", "due_at": after(hours=9)})


TWICE = [MISSED, REFUSED, REJECTED, MISSED_AGAIN, WITHDRAWN]


class Town:
    """The whistles of one town, told fact by fact."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.events = 0

    def fact(
        self, told: Told, department: str = "court", *, whistle: UUID = WHISTLE, at: str = ""
    ) -> Record:
        type_, body = told
        self.events += 1
        about = {"whistle_id": str(whistle), "department": department}
        time = {"ce_time": at or CALLED_AT.isoformat()}
        return fact(self.office.tenant, type_, CASE, {**about, **body}, event=self.events, **time)

    async def hear(self, *told: Told, **about: Any) -> None:
        for one in told:
            await self.office.hear(self.fact(one, **about))

    async def ask(self, path: str, **query: str) -> dict[str, Any]:
        answer = await self.office.get(str(httpx.URL(f"/v1/departments{path}", params=query)))
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    async def sheet(self, department: str = "court", **query: str) -> dict[str, Any]:
        return await self.ask(f"/{department}/sheet", **query)

    async def counted(self, department: str = "court") -> dict[str, int]:
        """Return what is not zero on a department's sheet."""
        return counts(await self.sheet(department))


def counts(sums: Mapping[str, Any]) -> dict[str, int]:
    assert sum(sums[name] for name in SUMS[1:]) == sums["called"], "nothing twice, nothing lost"
    return {name: sums[name] for name in SUMS[1:] if sums[name]}


@pytest.fixture
def town(office: Office) -> Town:
    return Town(office)


OUTCOMES: list[tuple[str, list[Told], str]] = [
    ("in time", [came(2)], "reported"),
    ("late", [MISSED, came(10, late=True)], "reported_late"),
    ("late and let go", [MISSED, came(10, late=True), RELEASED], "reported_late"),
    ("missed", [MISSED], "missed"),
    ("a miss that is corrected", [MISSED, CORRECTED], "corrected"),
    ("a miss, then no call any more", [MISSED, WITHDRAWN], "missed"),
    ("refused", [REFUSED], "refused"),
    ("refused, and rightly so", [REFUSED, ACCEPTED], "refused"),
    ("refused, and must come", [REFUSED, REJECTED], "awaited"),
    ("refused, and came", [REFUSED, REJECTED, came(26)], "reported"),
    ("refused, must come, did not", [REFUSED, REJECTED, MISSED], "missed"),
    ("a miss, then refused", [MISSED, REFUSED], "missed"),
    ("a miss, rightly refused", [MISSED, REFUSED, ACCEPTED], "refused"),
    ("a miss, must come, came", [MISSED, REFUSED, REJECTED, came(26)], "reported_late"),
    ("withdrawn", [WITHDRAWN], "withdrawn"),
    ("a newer calendar, still missed", [MISSED, moved(9, miss_withdrawn=False)], "missed"),
    ("a newer calendar, no miss", [MISSED, moved(20, miss_withdrawn=True)], "awaited"),
    ("then came", [MISSED, moved(20, miss_withdrawn=True), came(18)], "reported"),
    ("no miss, then no call", [MISSED, WITHDRAWN, NO_MISS], "withdrawn"),
    ("no miss, then refused", [MISSED, REFUSED, NO_MISS], "refused"),
    ("no miss, must come", [MISSED, REFUSED, REJECTED, NO_MISS], "awaited"),
    ("must come, no miss, came", [MISSED, REFUSED, REJECTED, NO_MISS, came(26)], "reported"),
    ("must come, came, no miss", [MISSED, REFUSED, REJECTED, came(26), NO_MISS], "reported"),
    ("one of two", [MISSED, REFUSED, REJECTED, MISSED_AGAIN, NO_MISS], "missed"),
    ("the other of two", [*TWICE, NO_MISS_AGAIN], "missed"),
    ("both of two", [*TWICE, NO_MISS_AGAIN, NO_MISS], "withdrawn"),
    ("not late", [MISSED, came(10, late=True), moved(20, miss_withdrawn=True)], "corrected"),
]


@pytest.mark.parametrize(
    ("told", "outcome"), [one[1:] for one in OUTCOMES], ids=[one[0] for one in OUTCOMES]
)
async def test_a_sheet_counts_what_became_of_a_call_in_one_batch_and_in_many(
    town: Town, told: list[Told], outcome: str
) -> None:
    await town.hear(blown("court", "police"), *told)
    assert await town.counted() == {outcome: 1}
    other = UUID(int=701)
    batch = [town.fact(one, whistle=other) for one in (blown("court"), *told)]
    await town.office.hear(*batch)
    assert await town.counted() == {outcome: 2}
    assert await town.counted("police") == {"awaited": 1}, "nobody else's sheet is touched"


async def test_a_correction_takes_the_miss_off_the_sheet(town: Town) -> None:
    await town.hear(blown("court"), MISSED)
    assert await town.counted() == {"missed": 1}
    await town.hear(CORRECTED)
    sheet = await town.sheet()
    assert counts(sheet) == {"corrected": 1}
    assert sheet["report_in_s_avg"] == 7 * 3600
    (slot,) = sheet["slots"]
    assert slot["outcome"] == "corrected"


async def test_facts_that_come_again_count_once(town: Town) -> None:
    facts = [town.fact(one) for one in (blown("court"), MISSED, CORRECTED)]
    await town.office.hear(*facts, *facts)
    await town.office.hear(*facts[:2])
    assert await town.counted() == {"corrected": 1}


async def test_a_slot_shows_its_case_and_its_moments(town: Town) -> None:
    await town.office.hear(fact(town.office.tenant, "case.opened.v1", CASE, OPENED, event=999))
    await town.hear(blown("court"), came(2))
    (slot,) = (await town.sheet())["slots"]
    times = [datetime.fromisoformat(slot.pop(f"{n}_at")) for n in ("called", "due", "reported_in")]
    assert times == [CALLED_AT, DUE_AT, CALLED_AT + timedelta(hours=2)]
    assert slot == {
        "case_id": str(CASE), "number": OPENED["number"], "whistle_id": str(WHISTLE),
        "outcome": "reported", "arrival_missed": False,
    }  # fmt: skip


async def test_the_time_to_report_in_runs_from_the_call_or_from_the_ruling(town: Town) -> None:
    await town.hear(blown("court"), came(1))
    ruled = {"whistle": UUID(int=701), "at": after(hours=24)}
    await town.hear(blown("court"), whistle=ruled["whistle"])
    await town.hear(REFUSED, REJECTED, came(29), **ruled)
    await town.hear(blown("court"), came(-0.01), whistle=UUID(int=702))
    sheet = await town.sheet()
    assert (sheet["report_in_s_avg"], sheet["report_in_s_max"]) == (2 * 3600, 5 * 3600)


async def test_a_missed_arrival_is_counted_beside_the_outcome(town: Town) -> None:
    again = {"stage": "arrive", "reported_in_at": after(hours=2), "due_at": after(hours=20)}
    withdrawn = ("whistle.stage_moved.v1", {**again, "miss_withdrawn": True})
    arrived = ("whistle.arrived.v1", {"at": after(hours=7), "by": BY, "late": False})
    for told in ((), (withdrawn,), (arrived,)):
        await town.hear(blown("court"), came(2), NOT_THERE, *told, whistle=uuid4())
    sheet = await town.sheet()
    assert (counts(sheet), sheet["arrivals_missed"]) == ({"reported": 3}, 1)


async def test_a_sheet_is_of_a_period_and_comes_in_pages(town: Town) -> None:
    for n in range(5):
        await town.hear(blown("court"), whistle=UUID(int=700 + n), at=after(days=n - n % 2))
    newest = [str(UUID(int=700 + n)) for n in reversed(range(5))]
    first = await town.sheet(limit="2")
    second = await town.sheet(limit="2", after=first["slots"][-1]["whistle_id"])
    third = await town.sheet(limit="2", after=second["slots"][-1]["whistle_id"])
    pages = (first, second, third)
    assert [one["whistle_id"] for page in pages for one in page["slots"]] == newest
    assert [(page["called"], page["more"]) for page in pages] == [(5, True), (5, True), (5, False)]
    part = await town.sheet(**{"from": after(days=2), "to": after(days=4)})
    assert part["called"] == 2
    assert [one["whistle_id"] for one in part["slots"]] == newest[1:3]


@pytest.mark.parametrize(
    ("path", "status", "code", "field"),
    [
        (f"court/sheet?after={UUID(int=404)}", 404, "whistle_not_found", "after"),
        ("court/sheet?from=2025-03-03T00:00Z&to=2025-03-03T00:00Z", 422, "period_invalid", "to"),
        ("court/sheet?limit=0", 422, "invalid_fields", "limit"),
        ("court/sheet?from=2025-03-03T10:00:00", 422, "invalid_fields", "from"),
        ("a%00/sheet", 422, "invalid_fields", "department"),
    ],
)
async def test_what_cannot_be_asked_is_told_by_its_field(
    office: Office, path: str, status: int, code: str, field: str
) -> None:
    answer = await office.get(f"/v1/departments/{path}")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert field in (problem.get("field"), *(one["field"] for one in problem.get("errors", ())))


async def test_departments_stand_side_by_side(town: Town) -> None:
    await town.hear(blown("court", "police"), MISSED)
    await town.hear(came(1), department="police")
    rows = (await town.ask(""))["departments"]
    found = {one["department"]: counts(one) for one in rows}
    assert found == {"court": {"missed": 1}, "police": {"reported": 1}}
    assert await town.ask("", **{"from": after(days=1)}) == {"departments": []}


async def test_another_towns_department_shows_nothing(town: Town) -> None:
    await town.hear(blown("court"), MISSED)
    other = Town(town.office.of("town998"))
    assert await other.sheet() == {
        **dict.fromkeys(SUMS, 0),
        "department": "court", "arrivals_missed": 0, "report_in_s_avg": None,
        "report_in_s_max": None, "slots": [], "more": False,
    }  # fmt: skip
    assert await other.ask("") == {"departments": []}


@pytest.mark.parametrize(
    ("role", "unit", "department", "sheet", "all_of_them"),
    [
        ("department_officer", "town", "court", 200, 403),
        ("department_officer", "town", "police", 403, 403),
        ("department_officer", None, "court", 200, 403),
        ("town_leader", "town", None, 200, 200),
        ("grid_worker", "g1", None, 403, 403),
        ("operator", None, None, 200, 200),
        ("operator", None, "police", 200, 200),
        ("citizen", "town", None, 403, 403),
        ("citizen", None, "court", 403, 403),
        ("nobody", "town", None, 403, 403),
    ],
)
async def test_a_sheet_is_shown_to_its_department_and_to_the_town(
    town: Town, role: str, unit: str | None, department: str | None, sheet: int, all_of_them: int
) -> None:
    assert (await town.office.post_set("units", [PROFILE, *UNITS])).status_code == 200
    who: dict[str, Any] = {"units": [unit] if unit else [], "department": department}
    answer = await town.office.get("/v1/departments/court/sheet", role, **who)
    every = await town.office.get("/v1/departments", role, **who)
    assert (answer.status_code, every.status_code) == (sheet, all_of_them)


UNITS = [
    {"kind": "unit", "id": "town", "body": {"level": "town", "zh": "镇", "parent": None}},
    {"kind": "unit", "id": "g1", "body": {"level": "grid", "zh": "网格", "parent": "town"}},
]
STRANGE: list[tuple[Told, dict[str, str]]] = [
    (("whistle.blown.v1", {"departments": 5}), {}),
    (blown("court"), {"at": "yesterday"}),
    (MISSED, {}),
]


@pytest.mark.parametrize(("told", "about"), STRANGE, ids=["body", "time", "never called"])
async def test_a_fact_that_makes_no_slot_is_kept_nevertheless(
    town: Town, told: Told, about: dict[str, str]
) -> None:
    await town.hear(told, **about)
    assert len(await town.office.rows("case_ledger")) == 1
    assert (await town.sheet())["called"] == 0


async def test_a_page_reads_its_departments_slots_alone_by_the_index(town: Town) -> None:
    async with town.office.pool.acquire() as conn, conn.transaction():
        await conn.execute(
            "INSERT INTO slot SELECT 'many', gen_random_uuid(), 'd' || n % 20, gen_random_uuid(),"
            " now() - n * interval '1 minute', now(), NULL, NULL, NULL, false"
            " FROM generate_series(1, 20000) AS n"
        )
        await conn.execute("ANALYZE slot")
        place = ("many", "d7", CALLED_AT, None)
        page = await conn.fetch(f"EXPLAIN {slots.PAGE}", *place, CALLED_AT, WHISTLE, 50)
        sums = await conn.fetch(f"EXPLAIN {slots.SUMS}", *place)
        await conn.execute("DELETE FROM slot WHERE tenant_id = 'many'")
    for plan in ("\n".join(row[0] for row in rows) for rows in (page, sums)):
        assert "slot_sheet" in plan
        assert "Seq Scan on slot" not in plan
    assert "Sort" not in "\n".join(row[0] for row in page)
