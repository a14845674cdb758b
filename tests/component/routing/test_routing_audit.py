"""The auditor finds what no open case may lack, and nothing where all is well."""

import pytest
from prometheus_client import REGISTRY

from services.routing.auditor import Auditor
from services.routing.store.audit import audit
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_handing import NIGHT, known_hours
from tests.component.routing.test_routing_stages import HOUR, other_rules, upward
from tests.component.routing.test_routing_whistles import act, called

WELL = {
    "case_without_owner": 0,
    "case_without_timer": 0,
    "slot_without_timer": 0,
    "stage_without_timer": 0,
    "call_without_timer": 0,
    "timer_overdue": 0,
}
FAR_S = 10 * 365 * 86_400.0
UNARMED = "DELETE FROM timer WHERE tenant_id = $1 AND deadline = $2"
BROKEN = [
    ("case_without_owner", "UPDATE cases SET owner_role = '' WHERE tenant_id = $1", 2),
    ("case_without_timer", "DELETE FROM timer WHERE tenant_id = $1 AND deadline = 'class'", 1),
    (
        "slot_without_timer",
        "DELETE FROM timer WHERE tenant_id = $1 AND deadline = 'report_in/police'",
        1,
    ),
    (
        "slot_without_timer",
        "UPDATE timer SET fires_at = NULL, due_at = NULL WHERE tenant_id = $1 AND kind <> 'rung'",
        2,
    ),
]


@pytest.mark.parametrize(("what", "breaking", "found"), BROKEN)
async def test_what_an_open_case_lacks_is_counted(
    timed: Desk, what: str, breaking: str, found: int
) -> None:
    await timed.pool.execute("UPDATE cases SET closed = true")
    await timed.report("unarmed", location={"grid": "g01"}, case_class="general")
    await called(timed, "police", "court")
    async with timed.pool.acquire() as conn:
        assert await audit(conn, FAR_S) == WELL
        await conn.execute(breaking, timed.tenant)
        assert await audit(conn, FAR_S) == {**WELL, what: found}


LATER = [
    ("stage_without_timer", "arrive/police"),
    ("stage_without_timer", "release/court"),
    ("stage_without_timer", "rule/justice"),
    ("call_without_timer", "call_upward/county"),
]


@pytest.mark.parametrize(("what", "clock"), LATER)
async def test_a_later_clock_without_a_timer_is_counted(timed: Desk, what: str, clock: str) -> None:
    await timed.pool.execute("UPDATE cases SET closed = true")
    await other_rules(timed, arrival={"urgent": HOUR}, release={"urgent": HOUR})
    _, whistle_id = await called(timed, "police", "court", "justice")
    words = {"department": "justice", "basis": "不属本所", "proposed": "land"}
    await act(timed, whistle_id, "refusals", "justice", **words)
    await act(timed, whistle_id, "report-ins", department="police", means="remote")
    await act(timed, whistle_id, "report-ins", "court", department="court", means="on_site")
    await upward(timed)
    async with timed.pool.acquire() as conn:
        assert await audit(conn, FAR_S) == WELL
        await conn.execute(UNARMED, timed.tenant, clock)
        assert await audit(conn, FAR_S) == {**WELL, what: 1}


async def test_who_is_called_at_night_and_has_no_timer_is_counted(timed: Desk) -> None:
    await timed.pool.execute("UPDATE cases SET closed = true")
    await known_hours(timed)
    case_id = await timed.urgent(at=NIGHT)
    async with timed.pool.acquire() as conn:
        assert await audit(conn, FAR_S) == WELL
        await conn.execute(UNARMED, timed.tenant, "answer")
        assert await audit(conn, FAR_S) == {**WELL, "call_without_timer": 1}
        await conn.execute("UPDATE cases SET closed = true WHERE case_id = $1", case_id)
        assert await audit(conn, FAR_S) == WELL


async def test_a_timer_that_waits_too_long_is_counted_and_shown(timed: Desk) -> None:
    await timed.urgent()
    await Auditor(timed.settings, timed.pool).look()
    shown = REGISTRY.get_sample_value("chuishao_audit_found", {"what": "timer_overdue"})
    assert shown == 3
