from datetime import UTC, datetime

import pytest

from services.notify.domain.whistle import Slot, SlotState, wanted


@pytest.mark.parametrize(
    ("notice", "slot", "closed", "expected"),
    [
        ("whistle_blown", "called", False, True),
        ("whistle_blown", "missed", False, True),
        ("whistle_blown", "over", False, False),
        ("whistle_warned", "called", False, True),
        ("whistle_warned", "missed", False, False),
        ("whistle_warned", "over", False, False),
        ("whistle_missed", "missed", False, True),
        ("whistle_missed", "called", False, False),
        ("whistle_escalated", "called", False, False),
        ("whistle_missed", "over", False, False),
        ("whistle_escalated", "missed", False, True),
        ("whistle_escalated", "over", False, False),
        ("whistle_called_upward", None, False, True),
        ("whistle_called_upward", None, True, False),
        ("whistle_unruled", "over", False, True),
        ("whistle_unruled", "called", False, False),
        ("whistle_unruled", "over", True, False),
        ("whistle_unanswered", None, False, True),
        ("whistle_unanswered", None, True, False),
        ("deadline_warning", None, False, True),
        ("deadline_warning", None, True, False),
        ("case_resolved", None, True, True),
        ("whistle_refused", "over", False, True),
        ("whistle_refused", "over", True, False),
    ],
)
def test_what_is_still_worth_telling(
    notice: str, slot: SlotState | None, closed: bool, expected: bool
) -> None:
    assert wanted(notice, Slot(slot) if slot else None, closed=closed) is expected


@pytest.mark.parametrize("notice", ["whistle_arrival_missed", "whistle_arrival_escalated"])
def test_one_is_told_of_while_it_is_not_there(notice: str) -> None:
    assert wanted(notice, Slot("over", absent_since=datetime(2025, 3, 5, tzinfo=UTC)), closed=False)
    assert not wanted(notice, Slot("over"), closed=False)
