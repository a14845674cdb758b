"""The tenant's time against an oracle that reads the list of offsets its own way."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.clock import REAL, Offsets

START = datetime(2025, 3, 3, 8, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SPAN = 400  # no offset reaches further

EVEN = st.integers(0, 50).map(lambda n: 2 * n)

Entries = list[tuple[int, int]]


def offsets(entries: Entries) -> Offsets:
    return Offsets(tuple((START + start * MINUTE, offset * MINUTE) for start, offset in entries))


def ahead(entries: Entries, real: int) -> int:
    in_force = [offset for start, offset in entries if start <= real]
    return in_force[-1] if in_force else 0


@st.composite
def entries_of_a_tenant(draw: st.DrawFn) -> Entries:
    """Offsets as they may be set: the first as one likes, later ones only forward."""
    starts = sorted(draw(st.lists(EVEN, max_size=4, unique=True)))
    if not starts:
        return []
    first = 2 * draw(st.integers(-SPAN // 4, SPAN // 4))
    steps = draw(st.lists(EVEN, min_size=len(starts), max_size=len(starts)))
    return [(start, first + sum(steps[:n]) // 4 * 2) for n, start in enumerate(starts)]


@settings(max_examples=60)
@given(entries=entries_of_a_tenant(), real=st.integers(-100, 200))
def test_the_offset_in_force_is_the_last_one_begun(entries: Entries, real: int) -> None:
    found = offsets(entries).tenant_time(START + real * MINUTE)
    assert (found - START) / MINUTE == real + ahead(entries, real)


def test_without_offsets_the_tenants_time_is_the_databases() -> None:
    assert REAL.tenant_time(START) == START
