"""The audit log's chain by itself: one form of bytes, and which row is told of what was done."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ledger.domain.audit import (
    Act,
    Anchor,
    Break,
    Chain,
    Link,
    Row,
    beginning,
    canonical,
    digest,
    linked,
)

AT = datetime(2025, 3, 3, 0, 30, 0, 500, tzinfo=UTC)
ACT = Act(
    "town", "w1", "registry.record", "change_set/s1", fields=("unit:2", "𠮷"), reason="村改居"
)


def chain(length: int) -> list[Link]:
    links, before = list[Link](), beginning("town")
    for n in range(1, length + 1):
        row = Row(n * 10, AT + timedelta(seconds=n), replace(ACT, object=f"change_set/s{n}"))
        before = linked(before, row)
        links.append(Link("town", n, row.seq, before, row))
    return links


def broken(links: Sequence[Link], anchors: Mapping[int, Anchor] | None = None) -> Break | None:
    followed = Chain("town", anchors or {})
    for one in links:
        followed.feed(one)
    return followed.end()


def anchor(link: Link) -> Anchor:
    return Anchor(link.tenant_id, link.n, link.seq, link.hash)


def test_the_hash_is_sm3_as_the_standard_prints_it() -> None:
    said = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert digest(b"abc").hex() == said


def test_the_form_of_a_row_is_for_ever() -> None:
    assert canonical(Row(7, AT, ACT)).decode() == (
        '["chuishao.audit.1",7,"town","2025-03-03T00:30:00.000500+00:00","w1",null,'
        '"registry.record","change_set/s1",["unit:2","𠮷"],"村改居",null,"allowed",null,null]'
    )


def test_a_moment_is_one_whatever_its_offset() -> None:
    china = AT.astimezone(timezone(timedelta(hours=8)))
    assert canonical(Row(7, china, ACT)) == canonical(Row(7, AT, ACT))


CHANGES: list[dict[str, Any]] = [
    {"reason": ""},
    {"reason": None},
    {"on_behalf": ""},
    {"fields": ()},
    {"fields": ("unit:2,𠮷",)},
    {"fields": ("unit:2", "𠮷", "")},
    {"reason": "村改居\u0000"},
    {"actor": "w1\u200b"},
    {"before_digest": "x"},
    {"after_digest": "x"},
    {"decision": "refused"},
]


def test_no_two_rows_have_one_form() -> None:
    forms = {canonical(Row(7, AT, replace(ACT, **change))) for change in CHANGES}
    assert len(forms | {canonical(Row(7, AT, ACT)), canonical(Row(8, AT, ACT))}) == 13


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(min_size=1, max_size=3))
def test_letters_do_not_wander_between_fields(text: str, more: str) -> None:
    one = replace(ACT, verb=text + more, object=text)
    other = replace(ACT, verb=text, object=more + text)
    assert canonical(Row(7, AT, one)) != canonical(Row(7, AT, other))


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["alter", "delete", "swap"]))
def test_whatever_is_done_to_a_row_is_found_at_that_row(at: int, other: int, how: str) -> None:
    links = chain(100)
    first = min(at, other)
    one, two = links[at - 1], links[other - 1]
    match how:
        case "alter":
            row = Row(one.seq, AT, replace(ACT, actor="somebody"))
            links[at - 1], first = replace(one, row=row), at
        case "delete":
            first = links.pop(at - 1).n
        case _:
            links[at - 1], links[other - 1] = replace(two, n=one.n), replace(one, n=two.n)
    found = broken(links)
    if how == "swap" and at == other:
        assert found is None
    else:
        assert found is not None
        assert found.n == first


@pytest.mark.parametrize("apart", [1, 2, 30])
def test_rows_that_have_changed_places_are_told_as_such(apart: int) -> None:
    links = chain(60)
    one, two = links[4], links[4 + apart]
    links[4], links[4 + apart] = replace(two, n=one.n), replace(one, n=two.n)
    found = broken(links)
    assert found is not None
    assert (found.kind, found.n) == ("reordered", 5)


def test_anchors_that_agree_are_silent_and_one_beyond_the_end_is_not() -> None:
    links = chain(9)
    anchors = {one.n: anchor(one) for one in links[2::3]}
    assert broken(links, anchors) is None
    assert broken(links[:7], anchors) == Break("town", "truncated", 8, None, 9)
    assert broken(links[:8], anchors) == Break("town", "truncated", 9, 90, 9)
    assert broken([], anchors) == Break("town", "truncated", 1, None, 9)


def test_a_chain_written_anew_is_told_from_the_last_anchor_that_agrees() -> None:
    links = chain(9)
    anchors = {one.n: anchor(one) for one in links[2::3]}
    before = links[3].hash
    for n in range(4, 9):
        row = Row(links[n].seq, AT, ACT)
        before = linked(before, row)
        links[n] = Link("town", n + 1, row.seq, before, row)
    assert broken(links, anchors) == Break("town", "rewritten", 4, 60, 6)
