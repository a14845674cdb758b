"""The table says of each day what three calendars say that others keep."""

import json
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path

import chinese_calendar
import holidays
import pytest

from contracts.calendar import load

NPM, NODE = shutil.which("npm"), shutil.which("node")
CHINESE_DAYS = "chinese-days@1.5.7"
WORKDAYS_OF = """
const days = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify(days.filter((day) => require("chinese-days").isWorkday(day))));
"""

YEARS = range(2020, 2027)
TABLE = load()
WORKED = {day for one in TABLE.years for day in one.workdays}
OFF = {day for one in TABLE.years for day in one.days_off}
FIRST, LAST = date(YEARS[0], 1, 1), date(YEARS[-1], 12, 31)
DAYS = [FIRST + timedelta(n) for n in range((LAST - FIRST).days + 1)]


def is_workday(day: date) -> bool:
    return day in WORKED or (day not in OFF and day.weekday() < 5)


def test_chinesecalendar_says_the_same_of_each_day() -> None:
    assert len(DAYS) == 2557
    assert [day for day in DAYS if is_workday(day) != chinese_calendar.is_workday(day)] == []


def test_python_holidays_says_the_same_of_each_day() -> None:
    theirs = holidays.country_holidays("CN", years=YEARS)
    assert [day for day in DAYS if is_workday(day) != theirs.is_working_day(day)] == []


def test_the_days_without_a_notice_are_the_statutory_ones_of_python_holidays() -> None:
    (waiting,) = (one for one in TABLE.years if not one.official)
    named = holidays.country_holidays("CN", years=waiting.year, language="en_US", observed=False)
    assert set(waiting.days_off) == set(named)


@pytest.mark.long
@pytest.mark.skipif(NPM is None or NODE is None, reason="chinese-days needs Node with npm")
def test_chinese_days_says_the_same_of_each_day(tmp_path: Path) -> None:
    install = [str(NPM), "install", "--ignore-scripts", "--no-audit", "--no-fund", CHINESE_DAYS]
    installed = subprocess.run(  # noqa: S603 - npm itself
        install, cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    if installed.returncode:
        pytest.skip(f"npm cannot install {CHINESE_DAYS}: {installed.stderr.strip()[-200:]}")
    told = subprocess.run(  # noqa: S603 - node itself, with a script of ours
        [str(NODE), "-e", WORKDAYS_OF],
        cwd=tmp_path,
        input=json.dumps([str(day) for day in DAYS]),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    worked = set(json.loads(told.stdout))
    assert [day for day in DAYS if is_workday(day) != (str(day) in worked)] == []
