import json
from typing import Any

import pytest
from pydantic import ValidationError

from services.intake.report import Report

WHOLE = {
    "tenant": "yihe",
    "summary": "路灯不亮",
    "description": "第一行\n第二行\r\n第三行\t完",
    "category": "environment",
    "severity": "ordinary",
    "class": "general",
    "occurred_at": "2025-03-03T09:59:00+08:00",
    "reporter": {"name": "阿力木·吐尔逊", "phone": "13800000000", "openid": "o_X-1"},
    "location": {"lat": 33.3, "lon": 114.2, "crs": "wgs84", "address": "某村1号", "village": "东村",
                 "grid": "g01", "household_id": "h000001"},
    "attachments": ["a1", "a2"],
}  # fmt: skip


def read(**more: Any) -> Report:
    return Report.model_validate({"tenant": "yihe", "summary": "s", **more})


def faults(**more: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        read(**more)
    errors = caught.value.errors(include_url=False, include_input=False)
    return {".".join(map(str, one["loc"])): one["msg"] for one in errors}


def test_every_field_is_taken_as_it_was_given() -> None:
    report = Report.model_validate(WHOLE)
    assert report.words == {
        "summary": "路灯不亮",
        "description": "第一行\n第二行\r\n第三行\t完",
        "address": "某村1号",
        "name": "阿力木·吐尔逊",
        "phone": "+8613800000000",
        "openid": "o_X-1",
    }
    assert report.case_class == "general"
    assert report.attachments == ("a1", "a2")


PHONES = [
    ("13800000000", "+8613800000000"),
    ("138 0000 0000", "+8613800000000"),
    ("138-0000-0000", "+8613800000000"),
    ("138\u20140000\u20140000", "+8613800000000"),
    ("+8613800000000", "+8613800000000"),
    ("8613800000000", "+8613800000000"),
    ("0086 13800000000", "+8613800000000"),
    ("１３８００００００００", "+8613800000000"),
    ("＋８６１３８００００００００", "+8613800000000"),
    ("１３８－００００　００００", "+8613800000000"),
    ("0546-1234567", "05461234567"),
    ("（0546）1234567", "05461234567"),
    ("(0546) 1234567", "05461234567"),
    ("12345", "12345"),
    ("+4930123456", "+4930123456"),
]


@pytest.mark.parametrize(("typed", "kept"), PHONES)
def test_a_phone_number_is_brought_to_one_form_however_it_was_typed(typed: str, kept: str) -> None:
    assert read(reporter={"phone": typed}).reporter.phone == kept


@pytest.mark.parametrize(
    "typed", ["", "9876", "9" * 16, "abc", "138x0000000", "٠١٢٣٤٥٦", "०१२३४५६"]
)
def test_what_is_no_phone_number_is_refused_and_not_repeated(typed: str) -> None:
    said = faults(reporter={"phone": typed})
    assert said.keys() == {"reporter.phone"}
    assert typed not in said["reporter.phone"] or not typed


@pytest.mark.parametrize("name", ["王𠮷", "阿力木·吐尔逊", "O'Brien", "㐂", "a" * 50, "𠮷" * 50])
def test_a_name_is_whatever_people_are_called(name: str) -> None:
    assert read(reporter={"name": name}).reporter.name == name


WEST = {"lat": 33, "lon": 114, "crs": "wgs84"}
POINT = {"lat": 33.3, "lon": 114.2}
NEEDS_TEXT = "must not be blank"
UNSEEN = ["\u3164", "\u200b", "\u115f\u1160", "\u2800 \uffa0", "\ufe0f\u034f", "\ufeff"]
FAULTY: list[tuple[dict[str, Any], str, str]] = [
    ({"summary": ""}, "summary", NEEDS_TEXT),
    ({"summary": " \t\n"}, "summary", NEEDS_TEXT),
    ({"summary": "　"}, "summary", NEEDS_TEXT),
    ({"summary": "\u200b\u200e"}, "summary", NEEDS_TEXT),
    *[({"summary": one}, "summary", NEEDS_TEXT) for one in UNSEEN],
    ({"description": ""}, "description", NEEDS_TEXT),
    ({"summary": "x" * 201}, "summary", "at most 200 characters"),
    ({"summary": "𠮷" * 201}, "summary", "at most 200 characters"),
    ({"description": "x" * 10_001}, "description", "at most 10000 characters"),
    ({"location": {"address": "x" * 201}}, "location.address", "at most 200 characters"),
    ({"reporter": {"name": "x" * 51}}, "reporter.name", "at most 50 characters"),
    ({"summary": "a\0b"}, "summary", "Control characters"),
    ({"summary": "a\x1b[31m"}, "summary", "Control characters"),
    ({"summary": "a\ud800b"}, "summary", ""),
    ({"reporter": {"name": "\udfff"}}, "reporter.name", ""),
    ({"location": {"grid": "\ud800"}}, "location.grid", ""),
    ({"summary": 5}, "summary", "string"),
    ({"summary": None}, "summary", "string"),
    ({"summary": ["a"]}, "summary", "string"),
    ({"tenant": "../etc"}, "tenant", "pattern"),
    ({"tenant": 1}, "tenant", "string"),
    ({"category": "路灯"}, "category", "pattern"),
    ({"occurred_at": "2025-03-03T10:00:00"}, "occurred_at", "timezone"),
    ({"occurred_at": "yesterday"}, "occurred_at", ""),
    ({"occurred_at": 5}, "occurred_at", "Expected a time"),
    ({"occurred_at": True}, "occurred_at", "Expected a time"),
    ({"reporter": {"anonymous": "yes"}}, "reporter.anonymous", "boolean"),
    ({"reporter": {"anonymous": 1}}, "reporter.anonymous", "boolean"),
    ({"reporter": None}, "reporter", ""),
    ({"reporter": []}, "reporter", ""),
    ({"location": {"lat": 33.3}}, "location", "both"),
    ({"location": {"lon": 114.2}}, "location", "both"),
    ({"location": {"lat": 33.3, "lon": None}}, "location", "both"),
    ({"location": {"lat": "33.3", "lon": 114.2}}, "location.lat", "number"),
    ({"location": {"lat": 33.3, "lon": True}}, "location.lon", "number"),
    ({"location": {"lat": 90.1, "lon": 0}}, "location.lat", "90"),
    ({"location": {"lat": 0, "lon": -180.1}}, "location.lon", "-180"),
    ({"location": {"lat": float("inf"), "lon": 0}}, "location.lat", "finite"),
    ({"location": {"lat": 33.3, "lon": 114.2}}, "location.crs", "WGS84, CGCS2000, GCJ02, BD09"),
    ({"location": {**POINT, "crs": None}}, "location.crs", "Say in which system"),
    ({"location": {**POINT, "crs": "epsg:4326"}}, "location.crs", "GCJ02, BD09"),
    ({"location": {**POINT, "crs": 84}}, "location.crs", "GCJ02, BD09"),
    ({"location": {"crs": "utm"}}, "location.crs", "GCJ02, BD09"),
    ({"location": {"lat": 114.2, "lon": 33.3, "crs": "WGS84"}}, "location.lat", "90"),
    ({"location": {"lat": 87.6, "lon": 43.8, "crs": "WGS84"}}, "location.crs", "swapped"),
    ({"location": {"lat": 87.6, "lon": 43.8, "crs": "BD09"}}, "location.crs", "swapped"),
    ({"location": {"lat": 48.9, "lon": 2.3, "crs": "GCJ02"}}, "location.crs", "inside China"),
    ({"location": {"lat": 48.9, "lon": 2.3, "crs": "BD09"}}, "location.crs", "inside China"),
    ({"location": {"lat": float("nan"), "lon": 2.3, "crs": "GCJ02"}}, "location.lat", "finite"),
    ({"location": {"point": [1, 2]}}, "location.point", "not permitted"),
    ({"attachments": "a"}, "attachments", ""),
    ({"attachments": ["a"] * 21}, "attachments", "at most 20"),
    ({"attachments": [5]}, "attachments.0", "string"),
    ({"urgent": True}, "urgent", "not permitted"),
    ({"case_class": "general"}, "case_class", "not permitted"),
    ({"case_id": "x"}, "case_id", "not permitted"),
]


@pytest.mark.parametrize(("more", "field", "said"), FAULTY, ids=[str(r[:2])[:60].encode("ascii", "replace").decode() for r in FAULTY])  # fmt: skip  # noqa: E501
def test_each_fault_is_named_by_its_field_with_what_was_expected(
    more: dict[str, Any], field: str, said: str
) -> None:
    found = faults(**more)
    assert field in found
    assert said in found[field]


@pytest.mark.parametrize("crs", ["WGS84", "wgs84", "WGS-84"])
def test_a_point_in_wgs84_is_told_as_it_is(crs: str) -> None:
    told = read(location={**POINT, "crs": crs, "grid": "g01", "address": "某村1号"}).location.told
    assert told.model_dump(exclude_none=True) == {**POINT, "crs": "wgs84", "grid": "g01"}


@pytest.mark.parametrize(
    ("crs", "lon", "lat"),
    [
        ("CGCS2000", 114.2, 33.3),
        ("GCJ-02", 114.1942336, 33.3016236),
        ("bd09", 114.1876338, 33.2958754),
    ],
)
def test_a_point_in_another_system_is_told_in_wgs84_and_as_it_was_given(
    crs: str, lon: float, lat: float
) -> None:
    told = read(location={**POINT, "crs": crs}).location.told
    assert (told.lon, told.lat) == pytest.approx((lon, lat), abs=2e-7)
    assert told.crs == "wgs84"
    assert told.given is not None
    given = {**POINT, "crs": crs.replace("-", "").lower()}
    assert told.given.model_dump() == given


def test_a_point_out_at_sea_or_abroad_is_taken_and_is_routings_to_place() -> None:
    for place in ({"lat": 0, "lon": 0}, {"lat": 30, "lon": 128}):
        assert read(location={**place, "crs": "WGS84"}).location.told.lat == place["lat"]


def test_all_faults_are_named_at_once() -> None:
    assert faults(summary="", location={"lat": 1}, extra=1).keys() == {
        "summary", "location", "extra",
    }  # fmt: skip


def test_the_digest_of_a_body_is_the_same_for_the_same_report() -> None:
    one = read(reporter={"phone": "138 0000 0000"}, location=WEST)
    same = read(
        tenant="371728",  # an alias: the town is resolved before anything is derived
        reporter={"phone": "+8613800000000", "name": None, "anonymous": False},
        location={"lat": 33.0, "lon": 114.0, "crs": "WGS-84", "grid": None},
        attachments=[],
    )
    other = read(summary="t", reporter={"phone": "138 0000 0000"}, location=WEST)
    assert one.digested == same.digested
    assert one.digested != other.digested


def test_a_field_that_comes_later_does_not_turn_a_repeat_into_another_report() -> None:
    class Later(Report):
        weather: str | None = None

    body = {"tenant": "yihe", "summary": "s"}
    assert Later.model_validate(body).digested == Report.model_validate(body).digested


def test_the_digest_is_made_of_what_was_said_and_not_of_how_json_wrote_it() -> None:
    one = json.loads('{"tenant": "yihe", "summary": "\\u8def", "category": "other"}')
    other = json.loads('{"category":"other","summary":"路","tenant":"yihe"}')
    assert Report.model_validate(one).digested == Report.model_validate(other).digested
