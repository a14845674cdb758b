"""What a camera wrote: read where it makes sense, and nothing where it does not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.domain.content_type import is_whole_pdf, kind_of, name_of
from services.intake.domain.evidence import Evidence, read_evidence
from services.intake.domain.reach import reader_of

TAKEN, OFFSET = 0x9003, 0x9011
HERE: dict[int, Any] = {1: "N", 2: (37.0, 45.0, 30.0), 3: "E", 4: (118.0, 22.0, 12.0)}


@pytest.mark.parametrize(
    ("tags", "lat", "lon"),
    [
        (HERE, 37.7583333, 118.37),
        ({**HERE, 1: "S", 3: "W"}, -37.7583333, -118.37),
        ({**HERE, 2: (90.0, 0.0, 0.0)}, 90.0, 118.37),
        ({**HERE, 2: (0.0, 0.0, 0.0)}, 0.0, 118.37),
    ],
)
def test_a_point_is_read_with_its_direction(tags: dict[int, Any], lat: float, lon: float) -> None:
    assert read_evidence({}, tags) == Evidence(None, lat, lon)


@pytest.mark.parametrize(
    "wrong",
    [
        {2: (90.0, 0.0, 1.0)},
        {4: (181.0, 0.0, 0.0)},
        {2: (float("nan"), 0.0, 0.0)},
        {2: (-37.0, 0.0, 0.0)},
        {2: (37.0, 60.0, 0.0)},
        {2: (37.0, 45.0)},
        {2: 37.75},
        {2: ("37", "x", "y")},
        {2: None},
        {1: None},
        {1: "E"},
        {1: b"N"},
        {3: "EW"},
        {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)},
    ],
    ids=str,
)
def test_a_point_that_makes_no_sense_is_none(wrong: dict[int, Any]) -> None:
    assert read_evidence({}, {**HERE, **wrong}) == Evidence()


@pytest.mark.parametrize(
    ("tags", "taken_at"),
    [
        ({TAKEN: "2025:03:03 10:00:00"}, "2025-03-03T10:00:00"),
        ({TAKEN: "2025:03:03 10:00:00\0", OFFSET: "+08:00\0"}, "2025-03-03T10:00:00+08:00"),
        ({TAKEN: "2025:03:03 10:00:00", OFFSET: "+99:00"}, "2025-03-03T10:00:00"),
        ({TAKEN: "0000:00:00 00:00:00"}, None),
        ({TAKEN: "    :  :     :  :  "}, None),
        ({TAKEN: b"2025:03:03 10:00:00"}, None),
        ({TAKEN: "昨天"}, None),
        ({}, None),
    ],
)
def test_a_time_is_read_as_the_camera_showed_it(tags: dict[int, Any], taken_at: str | None) -> None:
    assert read_evidence(tags, {}).taken_at == taken_at


@given(st.dictionaries(st.integers(0, 5), st.one_of(
    st.none(), st.text(max_size=3), st.binary(max_size=3), st.integers(),
    st.tuples(st.floats(), st.floats(), st.floats()), st.lists(st.text(max_size=2)),
)), st.dictionaries(st.sampled_from((TAKEN, OFFSET)), st.text(max_size=20)))  # fmt: skip
def test_no_tag_brings_it_down(gps: dict[int, Any], exif: dict[int, Any]) -> None:
    seen = read_evidence(exif, gps)
    assert (seen.lat is None) == (seen.lon is None)


@pytest.mark.parametrize(
    ("content", "kind", "name"),
    [
        (b"\xff\xd8\xff\xe0", "image", None),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image", None),
        (b"%PDF-1.4", "pdf", None),
        (b"RIFF\0\0\0\0WAVE", None, "unknown"),
        (b"\0\0\0\x18ftypheic", None, "heic"),
        (b"\0\0\0\x18ftypavif", None, "heic"),
        (b"\0\0\0\x18ftypisom", None, "video"),
        (b"PK\x03\x04", None, "zip"),
        (b"\xef\xbb\xbf\n<SVG onload=x>", None, "svg"),
        (b"<!DOCTYPE html>", None, "markup"),
        (b"just words", None, "unknown"),
        (b"", None, "unknown"),
    ],
)
def test_a_content_is_told_by_its_first_bytes(
    content: bytes, kind: str | None, name: str | None
) -> None:
    assert kind_of(content) == kind
    assert name is None or name_of(content) == name


def test_a_pdf_is_whole_once_its_end_is_there() -> None:
    assert is_whole_pdf(b"%PDF-1.4 ... %%EOF\n")
    assert not is_whole_pdf(b"%PDF-1.4 %%EOF" + b"x" * 2_000)


def test_a_tree_that_goes_in_a_circle_ends() -> None:
    parents = {"a": "b", "b": "a", "c": None}
    assert reader_of({"b"}, None, parents).places == {"a", "b"}
    assert reader_of({"c"}, None, parents).places == {"c"}
    assert reader_of(set(), None, parents).places == set()
