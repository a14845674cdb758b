"""Versions of records: which one holds, and that a line's expectation changes no older digest."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.chassis.seal import KeyRing
from services.ledger.domain.history import Version, fold
from services.ledger.lines import digest_of, read_lines
from tests import factories

DAYS = [datetime(2025, 1, day, tzinfo=UTC) for day in range(1, 8)]
DAY = st.sampled_from(DAYS)
RECORDED = st.lists(DAY, max_size=8).map(
    lambda days: [
        Version(n, day, DAYS[0] + timedelta(hours=n)) for n, day in enumerate(days, start=1)
    ]
)


@given(RECORDED, DAY, DAY, st.randoms())
def test_what_holds_does_not_depend_on_the_order_of_looking(
    versions: list[Version], as_of: datetime, known_on: datetime, dice: Random
) -> None:
    shuffled = list(versions)
    dice.shuffle(shuffled)
    assert fold(shuffled, as_of, known_on) == fold(versions, as_of, known_on)


@given(RECORDED, DAY)
def test_a_version_holds_from_its_moment_until_the_next_later_one(
    versions: list[Version], as_of: datetime
) -> None:
    held = fold(versions, as_of, DAYS[-1])
    begun = [one for one in versions if one.valid_from <= as_of]
    assert (held is None) == (not begun)
    if held is not None:
        assert held in begun
        assert not [one for one in begun if one.valid_from > held.valid_from]
        same = [one.version for one in begun if one.valid_from == held.valid_from]
        assert held.version == max(same)


@given(RECORDED, DAY, DAY)
def test_what_is_recorded_later_does_not_change_what_was_known(
    versions: list[Version], as_of: datetime, known_on: datetime
) -> None:
    known = [one for one in versions if one.recorded_at <= known_on]
    assert fold(versions, as_of, known_on) == fold(known, as_of, known_on)


def test_a_set_without_expectations_has_the_digest_that_it_always_had(tmp_path: Path) -> None:
    keys = KeyRing(factories.secrets(tmp_path).key_file)
    one = {"kind": "unit", "id": "g1", "body": None}
    old = keys.body_mac(factories.TENANT, json.dumps([one], sort_keys=True).encode())
    assert digest_of(factories.TENANT, read_lines(json.dumps(one).encode()), keys) == old
    expecting = {**one, "expected_version": 1}
    assert digest_of(factories.TENANT, read_lines(json.dumps(expecting).encode()), keys) != old
