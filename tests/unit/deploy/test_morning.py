"""When the demo's morning begins."""

from datetime import datetime

import pytest

from contracts.calendar import load
from deploy.cli.morning import next_morning


@pytest.mark.parametrize(
    ("now", "begins"),
    [
        ("2025-03-03T06:00", "2025-03-03T09:00"),
        ("2025-03-03T09:00", "2025-03-03T09:00"),
        ("2025-03-03T10:59", None),
        ("2025-03-03T11:00", "2025-03-04T09:00"),
        ("2025-03-07T15:00", "2025-03-10T09:00"),  # over a weekend
        ("2025-09-30T20:00", "2025-10-09T09:00"),  # over the days off of October
        ("2025-10-11T09:30", None),  # a Saturday that is worked for them
    ],
)
def test_the_morning_is_the_next_of_a_workday(now: str, begins: str | None) -> None:
    at = datetime.fromisoformat(f"{now}+08:00")
    expected = begins and datetime.fromisoformat(f"{begins}+08:00")
    assert next_morning(at, load()) == expected
