"""The auditor finds what no open case may lack, and nothing where all is well."""

import pytest
from prometheus_client import REGISTRY

from services.routing.auditor import Auditor
from services.routing.store.audit import audit
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_whistles import called

WELL = {
    "case_without_owner": 0,
    "case_without_timer": 0,
    "slot_without_timer": 0,
    "timer_overdue": 0,
}
FAR_S = 10 * 365 * 86_400.0
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


async def test_a_timer_that_waits_too_long_is_counted_and_shown(timed: Desk) -> None:
    await timed.urgent()
    await Auditor(timed.settings, timed.pool).look()
    shown = REGISTRY.get_sample_value("chuishao_audit_found", {"what": "timer_overdue"})
    assert shown == 3
