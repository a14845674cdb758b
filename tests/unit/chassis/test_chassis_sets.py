"""A change set takes effect whole: where a set ends."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.copy import OpenSets


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


def fed(whole: list[Change]) -> list[Change]:
    """Return what takes effect, as one change comes after another."""
    sets: OpenSets[Change] = OpenSets()
    return [done for change in whole for done in sets.feed(change)]


def ended(*given: tuple[str, bool]) -> int:
    done = fed(changes(*given))
    assert done == changes(*given)[: len(done)]
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


@settings(max_examples=60)
@given(
    given_=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.booleans()), max_size=12
    )
)
def test_the_sets_of_two_tenants_do_not_end_each_other(given_: list[tuple[Any, ...]]) -> None:
    whole = [Change(n, tenant, name, last) for n, (tenant, name, last) in enumerate(given_)]
    for tenant in "ab":
        mine = [change for change in whole if change.tenant_id == tenant]
        assert [change for change in fed(whole) if change.tenant_id == tenant] == fed(mine)
