"""A change set takes effect whole: where a set ends, for all at once and one by one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.copy import OpenSets, complete_sets


@dataclass(frozen=True, slots=True)
class Change:
    n: int
    tenant_id: str
    change_set: str
    last: bool
    kind: str = "unit"
    record_id: str = "u1"
    valid_from: datetime = datetime(2025, 3, 3, tzinfo=UTC)
    body: bytes | None = b"{}"


def changes(*given: tuple[str, bool], tenant: str = "yihe") -> list[Change]:
    return [Change(n, tenant, name, last) for n, (name, last) in enumerate(given)]


def ended(*given: tuple[str, bool]) -> int:
    done, tail = complete_sets(changes(*given))
    assert [*done, *tail] == changes(*given)
    return len(done)


def test_a_set_waits_for_its_last_record() -> None:
    assert ended(("a", False), ("a", False)) == 0
    assert ended(("a", False), ("a", True)) == 2


def test_a_set_whose_end_is_gone_ends_where_another_begins() -> None:
    assert ended(("a", False), ("b", False)) == 1
    assert ended(("a", False), ("b", True)) == 2
    assert ended(("a", False), ("b", False), ("a", False)) == 2


def test_what_follows_the_last_record_waits() -> None:
    assert ended(("a", True), ("a", False)) == 1


@settings(max_examples=60, deadline=None)
@given(
    given_=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=12
    )
)
def test_one_by_one_takes_effect_what_takes_effect_together(given_: list[tuple[Any, ...]]) -> None:
    whole = [Change(n, tenant, name, last) for n, (tenant, name, last) in enumerate(given_)]
    one_by_one: OpenSets[Change] = OpenSets()
    fed = [done for change in whole for done in one_by_one.feed(change)]
    for tenant in "ab":
        mine = [change for change in whole if change.tenant_id == tenant]
        assert [change for change in fed if change.tenant_id == tenant] == complete_sets(mine)[0]
