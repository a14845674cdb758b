"""The table of official days: what it says, and what it refuses."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.calendar import CN, Calendar, CalendarYear, load

TABLE = load()
BY_YEAR = {one.year: one for one in TABLE.years}


def year(**more: Any) -> dict[str, Any]:
    return {
        "year": 2025,
        "official": True,
        "sources": [{"number": "第1号", "issued": "2024-11-12"}],
        "holidays": [{"zh": "元旦", "first": "2025-01-01", "last": "2025-01-01"}],
        "workdays": ["2025-01-26"],
    } | more


def table(*years: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "years": list(years)}


def off(first: str, last: str) -> dict[str, Any]:
    return {"holidays": [{"zh": "春节", "first": first, "last": last}]}


def test_every_year_from_2020_to_2026_rests_on_its_notice() -> None:
    official = [one for one in TABLE.years if one.official]
    assert [one.year for one in official] == list(range(2020, 2027))
    for one in official:
        assert all(source.number.startswith("国办发明电") for source in one.sources)
        assert one.sources[0].issued.year == one.year - 1


def test_a_year_without_a_notice_has_its_statutory_days_and_no_day_is_worked_for_them() -> None:
    next_year = BY_YEAR[2027]
    assert not next_year.official
    assert len(list(next_year.days_off)) == 13
    assert next_year.workdays == ()


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2020-01-31", False),  # the prolonged Spring Festival
        ("2020-02-01", False),  # was to be worked, before it was prolonged
        ("2022-12-31", False),  # off by the notice for 2023
        ("2026-02-14", True),
        ("2026-02-17", False),
    ],
)
def test_a_day_is_what_its_notice_says(day: str, works: bool) -> None:
    worked = {day for one in TABLE.years for day in one.workdays}
    days_off = {day for one in TABLE.years for day in one.days_off}
    assert (date.fromisoformat(day) in worked, date.fromisoformat(day) in days_off) == (
        works,
        not works,
    )


FAULTS = [
    ("no-source", year(sources=[]), "sources"),
    ("backwards", year(**off("2025-02-04", "2025-01-28")), "from first to last"),
    ("too-long", year(**off("2025-02-01", "2025-03-04")), "1 to 31 days"),
    ("year-before", year(**off("2024-11-30", "2024-11-30")), "does not belong to 2025"),
    ("year-after", year(workdays=["2026-01-03"]), "2026-01-03 does not belong to 2025"),
    ("no-weekend", year(workdays=["2025-01-27"]), "no weekend day"),
    ("both", year(**off("2025-01-25", "2025-01-26")), "more than once: 2025-01-26"),
    ("worked-twice", year(workdays=["2025-01-26", "2025-01-26"]), "more than once: 2025-01-26"),
    ("no-day", year(workdays=["2025-02-29"]), "date"),
    ("no-name", year(holidays=[{"first": "2025-01-01", "last": "2025-01-01"}]), "zh"),
]


@pytest.mark.parametrize(
    ("given", "fault"), [pytest.param(given, fault, id=name) for name, given, fault in FAULTS]
)
def test_a_faulty_year_is_refused(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Calendar.model_validate(table(given))


def test_a_year_may_begin_in_the_december_before_it() -> None:
    begins = CalendarYear.model_validate(
        year(workdays=["2024-12-28"], **off("2024-12-30", "2025-01-01"))
    )
    assert next(begins.days_off) == date(2024, 12, 30)


def test_years_stand_in_order_and_once() -> None:
    other = year(year=2026, workdays=[], **off("2026-01-01", "2026-01-01"))
    assert len(Calendar.model_validate(table(year(), other)).years) == 2
    for wrong in ((other, year()), (year(), year(workdays=[], holidays=[]))):
        with pytest.raises(ValidationError, match="each year once, in order"):
            Calendar.model_validate(table(*wrong))


def test_a_file_with_a_key_that_nobody_knows_is_refused_and_a_newer_record_is_read(
    tmp_path: Path,
) -> None:
    newer = table(year(note="said later"))
    (tmp_path / "table.json").write_text(json.dumps(newer), encoding="utf-8")
    with pytest.raises(ValidationError, match=r"years\.0\.note"):
        load(tmp_path / "table.json")
    assert Calendar.model_validate(newer) == Calendar.model_validate(table(year()))


def test_a_published_table_comes_back_as_it_was() -> None:
    assert Calendar.model_validate_json(TABLE.model_dump_json()) == TABLE
    assert json.loads(TABLE.model_dump_json()) == json.loads(CN.read_text(encoding="utf-8"))
