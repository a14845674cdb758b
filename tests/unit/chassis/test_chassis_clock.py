"""The tenant's time against an oracle that walks through it minute by minute."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.clock import REAL, Offsets

START = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPAN = 400  # no offset reaches further, so that the oracle sees every crossing

EVEN = st.integers(0, 50).map(lambda n: 2 * n)  # the oracle also looks between two moments

Entries = list[tuple[int, int]]


def offsets(entries: Entries) -> Offsets:
    return Offsets(tuple((START + start * MINUTE, offset * MINUTE) for start, offset in entries))


def ahead(entries: Entries, real: int) -> int:
    in_force = [offset for start, offset in entries if start <= real]
    return in_force[-1] if in_force else 0


def last_crossing(entries: Entries, moment: int) -> int:
    """Walk from far before to far after; keep the last minute at which time came to `moment`."""
    last = None
    for real in range(-2 * SPAN, 3 * SPAN):
        before, now = real - 1 + ahead(entries, real - 1), real + ahead(entries, real)
        if before < moment <= now or before > moment == now:  # from below, or set back to it
            last = real
    assert last is not None
    return last


@st.composite
def entries_of_a_tenant(draw: st.DrawFn) -> Entries:
    """Offsets as they may be set: the first as one likes, later ones only forward."""
    starts = sorted(draw(st.lists(EVEN, max_size=4, unique=True)))
    if not starts:
        return []
    first = 2 * draw(st.integers(-SPAN // 4, SPAN // 4))
    steps = draw(st.lists(EVEN, min_size=len(starts), max_size=len(starts)))
    return [(start, first + sum(steps[:n]) // 4 * 2) for n, start in enumerate(starts)]


@settings(max_examples=60, deadline=None)
@given(entries=entries_of_a_tenant(), moment=st.integers(-50, 100).map(lambda n: 2 * n))
def test_the_moment_is_reached_when_the_tenants_time_last_came_to_it(
    entries: Entries, moment: int
) -> None:
    reached = offsets(entries).reached_at(START + moment * MINUTE)
    assert (reached - START) / MINUTE == last_crossing(entries, moment)


@settings(max_examples=60, deadline=None)
@given(entries=entries_of_a_tenant(), real=st.integers(-100, 200))
def test_the_offset_in_force_is_the_last_one_begun(entries: Entries, real: int) -> None:
    found = offsets(entries).tenant_time(START + real * MINUTE)
    assert (found - START) / MINUTE == real + ahead(entries, real)


def test_a_clock_set_back_at_first_is_passed_a_second_time() -> None:
    back = offsets([(0, -60)])
    assert back.reached_at(START - 30 * MINUTE) == START + 30 * MINUTE
    assert back.reached_at(START - 90 * MINUTE) == START - 90 * MINUTE


def test_without_offsets_the_tenants_time_is_the_databases() -> None:
    assert REAL.tenant_time(START) == REAL.reached_at(START) == START
