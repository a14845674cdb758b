"""Reported in, and then silent: the clock for arriving, by the rules alone."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.routing.domain import whistle
from services.routing.domain.rules import DeadlineRule, Span
from services.routing.domain.whistle import Settled
from tests.unit.routing.test_routing_rulings import NINE, called, under
from tests.unit.routing.test_routing_whistle import (
    Story,
    at,
    officer,
    refused,
)

HOUR = DeadlineRule("arrive", Span(seconds=3600), "calendar", "state")


def arriving(**more: Any) -> Story:
    return called(
        "police", "court", case_class="urgent", setting=under(arrival={"urgent": HOUR}), **more
    )


def arrives(told: Story, department: str, now: str) -> Settled:
    given_ = (told.slots[department], officer(department), at(now), told.setting)
    return told.does(whistle.arrive, *given_, now=at(now))


def test_one_who_reported_in_and_then_keeps_silent_climbs_the_same_ladder() -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police")
    assert told.slots["police"].arrive_due_at == at("2025-03-03T10:20")
    told.until("2025-03-04T00:00")
    (missed,) = told.facts("whistle.stage_missed")
    assert (missed[0], missed[1].data["stage"]) == (at("2025-03-03T10:20"), "arrive")
    climbed = [
        (now - missed[0], fact.data["do"], fact.data["stage"])
        for now, fact in told.facts("case.escalated", "police")
    ]
    assert climbed == [
        (timedelta(0), "remind", "arrive"),
        (timedelta(0), "score", "arrive"),
        (timedelta(hours=1), "notify_head", "arrive"),
        (timedelta(hours=4), "escalate", "arrive"),
    ]
    assert told.outcomes() == {"police": "reported", "court": "missed"}
    assert len(told.facts("whistle.missed", "court")) == 1


@pytest.mark.parametrize(
    ("handed_in", "late"),
    [
        ("2025-03-03T10:19:59.999", False),
        ("2025-03-03T10:20:00", False),
        ("2025-03-03T10:20:00.001", True),
    ],
)
def test_the_moment_of_handing_in_alone_tells_whether_an_arrival_is_late(
    handed_in: str, late: bool
) -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police")
    (fact,) = arrives(told, "police", handed_in).facts
    assert fact.data["late"] is late
    told.until("2025-03-04T00:00")
    assert not told.facts("whistle.stage_missed")


def test_a_late_arrival_ends_the_ladder() -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police")
    told.until("2025-03-03T11:00")
    assert [fact.data["do"] for _, fact in told.facts("case.escalated", "police")] == [
        "remind",
        "score",
    ]
    arrives(told, "police", "2025-03-03T11:01")
    told.until("2025-03-04T00:00")
    assert len(told.facts("case.escalated", "police")) == 2


def test_one_who_reports_in_on_site_is_there() -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police", "on_site")
    slot = told.slots["police"]
    assert (slot.arrived_at, slot.arrive_due_at) == (at("2025-03-03T09:20"), None)
    told.until("2025-03-04T00:00")
    assert not told.facts("whistle.stage_missed")


def test_a_second_report_in_from_the_spot_is_an_arrival_where_one_is_awaited() -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police", "remote")
    told.comes("2025-03-03T10:00", "police", "on_site")
    assert told.slots["police"].arrived_at == at("2025-03-03T10:00")
    assert len(told.facts("whistle.arrived")) == 1
    told.comes("2025-03-03T10:05", "police", "on_site")
    assert len(told.facts("whistle.arrived")) == 1


def test_a_correction_starts_the_clock_for_arriving_too() -> None:
    told = arriving()
    told.until("2025-03-03T09:45")
    told.comes("2025-03-03T09:29", "police")
    assert told.outcomes()["police"] == "corrected"
    assert told.slots["police"].arrive_due_at == at("2025-03-03T10:29")
    told.until("2025-03-03T10:29")
    assert len(told.facts("whistle.stage_missed")) == 1


def test_the_clock_for_arriving_never_begins_before_the_whistle() -> None:
    told = arriving()
    told.comes("2025-03-03T08:30", "police")
    assert told.slots["police"].arrive_due_at == at("2025-03-03T10:00")


def test_one_who_is_let_go_need_not_arrive() -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police")
    told.lets_go("2025-03-03T09:30", "police")
    told.until("2025-03-04T00:00")
    assert not told.facts("whistle.stage_missed")


@pytest.mark.parametrize("means", ["app_ack", "remote"])
def test_where_the_class_demands_the_spot_nothing_else_stops_the_clock(means: str) -> None:
    told = called("police", case_class="urgent", setting=under(on_site_only=frozenset({"urgent"})))
    given_ = (told.slots["police"], means, officer("police"), at("2025-03-03T09:10"), told.setting)
    answer = refused(told, whistle.report_in, *given_)
    assert (answer.code, answer.names) == ("means_not_allowed", ("on_site",))
    told.until("2025-03-03T09:30")
    assert told.outcomes() == {"police": "missed"}
    told.comes("2025-03-03T09:40", "police", "on_site")
    assert told.outcomes() == {"police": "reported_late"}


@given(st.lists(st.sampled_from(("comes", "arrives", "hour")), max_size=8), st.booleans())
def test_an_arrival_is_missed_at_most_once_and_never_by_one_who_came_in_time(
    acts: list[str], on_site: bool
) -> None:
    told = arriving()
    now = at(NINE)
    for act in acts:
        now += timedelta(minutes=7)
        moment = now.replace(tzinfo=None).isoformat()
        slot = told.slots["police"]
        if act == "hour":
            now += timedelta(hours=1)
            told.until(now.replace(tzinfo=None).isoformat())
        elif act == "comes":
            told.comes(moment, "police", "on_site" if on_site else "app_ack")
        elif slot.came:
            arrives(told, "police", moment)
    told.until("2025-04-01T00:00")
    slot = told.slots["police"]
    missed = told.facts("whistle.stage_missed", "police")
    late = slot.arrive_due_at is not None and (
        slot.arrived_at is None or slot.arrived_at > slot.arrive_due_at
    )
    assert len(missed) == int(late)
    assert len(told.facts("whistle.arrived")) <= 1
    assert not [one for one in told.timers if one.deadline.endswith("/police")]


# --- letting go ----------------------------------------------------------------------------------


def staying(**more: Any) -> Story:
    rules = under(arrival={"urgent": HOUR}, release={"urgent": HOUR})
    return called("police", "court", case_class="urgent", setting=rules, **more)


def test_one_who_arrived_and_is_not_let_go_is_told_of_once_and_nothing_climbs() -> None:
    told = staying()
    told.comes("2025-03-03T09:20", "police")
    assert told.slots["police"].release_due_at is None
    arrives(told, "police", "2025-03-03T10:00")
    assert told.slots["police"].release_due_at == at("2025-03-03T11:00")
    told.until("2025-03-04T00:00")
    (unreleased,) = told.facts("whistle.unreleased")
    assert unreleased[0] == unreleased[1].data["due_at"] == at("2025-03-03T11:00")
    assert not told.facts("case.escalated", "police")
    assert told.slots["police"].outcome == "reported"


def test_who_reports_in_on_the_spot_is_to_be_let_go_by_the_same_clock() -> None:
    told = staying()
    told.comes("2025-03-03T09:20", "police", "on_site")
    assert told.slots["police"].release_due_at == at("2025-03-03T10:20")


@pytest.mark.parametrize("now", ["2025-03-03T10:30", "2025-03-03T12:00"])
def test_letting_go_ends_the_clock_for_it(now: str) -> None:
    told = staying()
    told.comes("2025-03-03T09:20", "police", "on_site")
    told.until(now)
    before = len(told.facts("whistle.unreleased"))
    told.lets_go(now, "police")
    assert "release/police" not in {one.deadline for one in told.timers}
    told.until("2025-03-04T00:00")
    assert len(told.facts("whistle.unreleased")) == before


def test_where_the_profile_says_nothing_of_it_no_clock_runs_for_letting_go() -> None:
    told = arriving()
    told.comes("2025-03-03T09:20", "police", "on_site")
    told.until("2025-03-04T00:00")
    assert told.slots["police"].release_due_at is None
    assert not told.facts("whistle.unreleased")
