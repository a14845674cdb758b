"""Which town a report is for: its id, and the division codes that are its aliases in time."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.division import province_known, whole_code
from contracts.registry import Alias, FrontEnd, Tenant
from services.chassis.clock import Offsets
from services.chassis.http import Problem
from services.intake.naming import town_named
from services.intake.registry import Registry, TownKnown

MERGED = datetime(2025, 6, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
OLD, NEW, SHARED = "379901100000", "379901101000", "379902100000"
KEY = FrontEnd(zh="热线", kind="hotline", key_digest="d")


def alias(code: str, until: datetime | None = None, since: datetime | None = None) -> Alias:
    began = since or datetime(2020, 1, 1, tzinfo=UTC)
    return Alias(code=code, valid_from=began, valid_to=until)


def town(*aliases: Alias, ahead: timedelta = timedelta()) -> TownKnown:
    began = datetime(2020, 1, 1, tzinfo=UTC)
    tenant = Tenant(zh="某镇", en="Town", aliases=aliases)
    return TownKnown(tenant=tenant, offsets=Offsets(((began, ahead),)))


def told(name: str, now: datetime = MERGED, granted: tuple[str, ...] = ("east", "west")) -> str:
    known = Registry()
    known.towns = {
        "east": town(alias(OLD, until=MERGED), alias(NEW, since=MERGED), alias(SHARED)),
        "west": town(alias("379903"), alias(SHARED)),
        "other": town(alias("379904100000")),
        "ahead": town(alias(OLD, until=MERGED), ahead=timedelta(days=3650)),
        "20250303": town(),
    }
    try:
        return town_named(name, dict.fromkeys(granted, ("hotline", KEY)), known, now)
    except Problem as problem:
        return f"{problem.body['code']} {problem.body['field']}"


@pytest.mark.parametrize(
    ("name", "now", "expected"),
    [
        ("east", MERGED, "east"),
        (OLD, MERGED - SECOND, "east"),
        (OLD, MERGED, "division_code_lapsed tenant"),
        (NEW, MERGED - SECOND, "division_code_lapsed tenant"),
        (NEW, MERGED, "east"),
        ("379901101", MERGED, "east"),  # a town's nine digits: the rest is zeros
        ("379903", MERGED, "west"),
        ("379903000000", MERGED, "west"),
        ("379999100000", MERGED, "tenant_unknown tenant"),
        ("3799011010", MERGED, "division_code_malformed tenant"),
        ("079901101000", MERGED, "division_code_malformed tenant"),
        ("nowhere", MERGED, "tenant_unknown tenant"),
        ("other", MERGED, "tenant_unknown tenant"),  # there, but not this key's
        ("379904100000", MERGED, "tenant_unknown tenant"),
        (SHARED, MERGED, "division_code_ambiguous tenant"),
    ],
)
def test_a_town_is_found_by_what_it_is_called_at_that_moment(
    name: str, now: datetime, expected: str
) -> None:
    assert told(name, now) == expected


def test_a_code_of_two_towns_is_that_of_the_one_that_the_key_is_for() -> None:
    assert told(SHARED, granted=("west",)) == "west"


def test_an_alias_counts_by_the_towns_own_time() -> None:
    assert told(OLD, MERGED - SECOND, granted=("ahead",)) == "division_code_lapsed tenant"


def test_an_id_of_digits_is_an_id() -> None:
    assert told("20250303", granted=("20250303",)) == "20250303"


@pytest.mark.parametrize(
    "text", ["", "37990110100", "3799011010000", "37990110100x", "３７９９０１"]
)
def test_what_has_not_the_form_is_no_code(text: str) -> None:
    assert whole_code(text) is None


def test_a_province_is_known_or_not() -> None:
    assert province_known("371728000000")
    assert not province_known("791728000000")
