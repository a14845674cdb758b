"""Report-ins and misses race for the same slots."""

from tests.component.routing.desk import Desk
from tests.faults.race import Plan, race


async def test_around_the_deadline_the_moment_of_handing_in_decides(timed: Desk) -> None:
    verdict = await race(timed, Plan(report_ins=300, within_s=3, delay_s=0.5))
    assert not verdict.wrong, verdict
