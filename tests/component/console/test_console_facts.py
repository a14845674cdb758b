"""Facts in, as records, on a real database: what the board keeps of them."""

import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.facts import CaseAssignedV1, CaseFollowUpKeptV1
from services import console
from services.console.handlers import ACTS_KEPT
from tests.component.console.world import CLERK, WORKER, Story, World
from tests.factories import START, record_of


async def test_a_case_is_followed_from_its_opening_to_its_end(world: World) -> None:
    world.town()
    story = Story().opened().clock("first_action", minutes=30).clock("step.first_ask")
    await world.hear(story)
    case = await world.case(story)
    assert (case["state"], case["accepted"], case["closed_at"]) == ("reported", False, None)
    assert (case["deadline"], case["due_at"]) == ("first_action", START + timedelta(minutes=30))
    assert case["soon_at"] == START + timedelta(minutes=15)

    await world.hear(story.after(minutes=9).accepted().clock(days=7, warn=0.7))
    case = await world.case(story)
    assert (case["state"], case["accepted"], case["deadline"]) == ("owned", True, "class")
    assert case["soon_at"] == START + timedelta(minutes=9, days=4.9)

    await world.hear(story.after(hours=1).settled())
    case = await world.case(story)
    assert (case["state"], case["owner_unit"]) == ("resolved", "town")
    assert case["deadline"] == "step.return_visit"

    await world.hear(story.after(days=1).visited())
    case = await world.case(story)
    assert (case["state"], case["clocks"], case["deadline"]) == ("closed", {}, None)
    assert (case["closed_at"], case["seq"]) == (story.at, len(story.told))


async def test_a_case_taken_up_again_is_open_with_a_clock_of_its_own(world: World) -> None:
    world.town()
    story = Story().opened().accepted().clock(days=1).settled().visited()
    await world.hear(story.after(days=2).reopened())
    case = await world.case(story)
    assert (case["state"], case["closed_at"], case["deadline"]) == ("returned", None, "class")
    assert case["due_at"] == story.at + timedelta(days=7)


async def test_a_state_after_an_end_is_open_though_nothing_says_reopened(world: World) -> None:
    world.town()
    story = Story().opened().accepted().settled().visited().step("redo", "closed", "owned")
    await world.hear(story)
    assert (await world.case(story))["closed_at"] is None


async def test_a_steps_clock_ends_with_the_step_or_where_the_case_leaves_its_states(
    world: World,
) -> None:
    world.town()
    story = Story().opened().clock("step.first_ask").clock(days=7)
    await world.hear(story)
    assert set((await world.case(story))["clocks"]) == {"class", "step.first_ask"}
    await world.hear(story.step("cancel", "reported", "owned"))
    assert set((await world.case(story))["clocks"]) == {"class"}

    other = Story().opened().clock("step.first_ask").step("first_ask", "reported", "owned")
    await world.hear(other)
    assert (await world.case(other))["clocks"] == {}


async def test_without_the_towns_profile_only_the_step_itself_ends_its_clock(world: World) -> None:
    story = Story().opened().clock("step.first_ask").step("cancel", "reported", "owned")
    await world.hear(story)
    assert set((await world.case(story))["clocks"]) == {"step.first_ask"}
    await world.hear(story.step("first_ask", "reported", "owned"))
    assert (await world.case(story))["clocks"] == {}


async def test_a_clock_that_is_met_gives_way_to_the_next(world: World) -> None:
    world.town()
    story = Story().opened().clock("first_action", minutes=30).clock(hours=24)
    await world.hear(story.after(hours=2).missed("first_action"))
    assert (await world.case(story))["deadline"] == "first_action"
    await world.hear(story.accepted())
    case = await world.case(story)
    assert (case["deadline"], case["due_at"]) == ("class", START + timedelta(hours=24))


async def test_a_warning_brings_a_clock_forward(world: World) -> None:
    world.town()
    story = Story().opened().clock(days=7)
    await world.hear(story.after(days=3).warned())
    assert (await world.case(story))["soon_at"] == START + timedelta(days=3)


async def test_facts_that_come_fifty_times_take_effect_once(world: World) -> None:
    world.town()
    story = Story().opened().clock(days=7).accepted().after(minutes=1).settled().visited()
    await world.hear(story)
    once = (await everything(world), await world.lines())
    for _ in range(25):
        await world.hear_records(world.records(story.told))
    await world.hear_records(world.records(story.told * 24))
    await world.pool.execute("DELETE FROM inbox")  # as after a restore: the sequence still tells
    await world.hear_records(world.records(story.told))
    assert (await everything(world), await world.lines()) == once


async def everything(world: World) -> list[dict[str, Any]]:
    query = "SELECT * FROM board_case ORDER BY tenant_id, case_id"
    return [dict(row) for row in await world.pool.fetch(query)]


@pytest.mark.parametrize("seed", range(2))
async def test_the_board_does_not_depend_on_how_facts_are_cut_into_batches(
    world: World, seed: int
) -> None:
    world.town()
    rng = random.Random(seed)
    stories = [Story().opened().accepted().settled().visited() for _ in range(8)]
    records = world.records(event for story in stories for event in story.told)
    while records:
        size = rng.randint(1, 9)
        await world.hear_records(records[:size])
        records = records[size:]
    cases = await everything(world)
    assert {(case["state"], case["seq"]) for case in cases} == {("closed", len(stories[0].told))}
    assert len(await world.lines()) == 8 * 2  # the settling took five minutes


async def test_a_kind_that_the_board_does_not_show_is_skipped(world: World) -> None:
    world.town()
    story = Story().opened()
    known = record_of(story.told[0], topic="routing.events", offset=900)
    foreign = record_of(story.told[1], topic="routing.events", offset=901)
    headers = {**foreign.headers, "ce_type": b"case.painted.v1"}
    strange = replace(foreign, headers=headers, value=b"{}")
    await world.hear_records([strange, known])
    assert await world.pool.fetchval("SELECT count(*) FROM board_case") == 1
    assert await world.pool.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_a_fact_of_a_case_whose_opening_was_never_heard_changes_nothing(world: World) -> None:
    world.town()
    story = Story().opened().accepted()
    story.told = story.told[1:]
    await world.hear(story)
    assert await everything(world) == []
    assert await world.lines() == []


async def test_a_broken_fact_is_set_aside_and_the_others_go_on(world: World) -> None:
    world.town()
    broken, whole = Story().opened(), Story().opened()
    bad, *_ = world.records(broken.told)
    rotten = replace(bad, value=b'{"number": 7}')
    await world.hear_records([rotten, *world.records(whole.told)])
    assert [case["number"] for case in await everything(world)] == [whole.number]
    assert await world.pool.fetchval("SELECT count(*) FROM quarantine") == 1


async def test_towns_share_nothing_but_the_tables(world: World) -> None:
    world.town()
    world.town(tenant="other")
    here, there = Story().opened(), Story(tenant="other").opened().accepted()
    there.case_id = here.case_id  # even the same id is another case
    await world.hear(here, there)
    assert (await world.case(here))["accepted"] is False
    query = "SELECT tenant_id FROM board_version ORDER BY tenant_id"
    assert [row["tenant_id"] for row in await world.pool.fetch(query)] == ["other", "yihe"]
    assert len(await world.lines(tenant="other")) == 1


# --- What is told lately ---------------------------------------------------------------------


async def test_one_act_is_one_line_whatever_number_of_facts_it_made(world: World) -> None:
    world.town()
    story = Story(number="250303-0012").opened().clock(days=7)
    story.after(minutes=1).accepted().clock("class", days=7)
    story.after(minutes=1).settled().after(minutes=1).visited()
    await world.hear(story)
    assert await world.lines() == [
        "义和镇 回访了 250303-0012 人居环境，群众满意，已结案",
        "菊黄洼网格 办好了 250303-0012 人居环境，交给 义和镇",
        "菊黄洼网格 网格化解 250303-0012 人居环境",
        "菊黄洼网格 接了 250303-0012 人居环境",
        "菊黄洼网格 报来 250303-0012 人居环境",
    ]


async def test_an_act_whose_facts_come_one_by_one_is_still_one_line(world: World) -> None:
    world.town()
    story = Story(number="250303-0012").opened().accepted().settled().after(minutes=1).visited()
    await world.hear(story, batch=1)
    assert (await world.lines())[0] == "义和镇 回访了 250303-0012 人居环境，群众满意，已结案"
    assert len(await world.lines()) == 3


async def test_clocks_follow_ups_and_owners_are_told_too(world: World) -> None:
    world.town()
    story = Story(number="250303-0012").opened(grid=None, village="v1", owner=CLERK)
    sealed = {"kid": "k1", "key": "", "fields": {}}
    story.after(minutes=1).warned().after(minutes=1).missed()
    story.after(minutes=1).tell(
        CaseFollowUpKeptV1, reason="key_conflict", front_end="demo", sealed=sealed
    )
    story.after(minutes=1).tell(CaseAssignedV1, owner=WORKER, rule="roster")
    story.after(minutes=1).tell(CaseAssignedV1, owner=WORKER, rule="roster")
    await world.hear(story)
    assert await world.lines() == [
        "250303-0012 人居环境，交给 菊黄洼网格",
        "250303-0012 人居环境 又收到一份，内容不同，已留存",
        "250303-0012 人居环境 超时，菊黄洼网格 在办",
        "250303-0012 人居环境 快到时限，菊黄洼网格 在办",
        "柿红新村 报来 250303-0012 人居环境，交给 义和镇",
    ]


async def test_only_the_last_acts_are_kept_even_if_all_are_of_one_moment(world: World) -> None:
    world.town()
    stories = [Story().opened() for _ in range(ACTS_KEPT + 30)]
    await world.hear(*stories)
    assert await world.pool.fetchval("SELECT count(*) FROM board_act") == ACTS_KEPT
    await world.hear(*(story.after(minutes=1).accepted() for story in stories[:40]))
    kinds = [told.act.kind for told in await world.acts()]
    assert kinds == ["accepted"] * 40 + ["opened"] * (ACTS_KEPT - 40)


def test_one_handler_alone_opens_a_case_on_the_board() -> None:
    place = Path(console.__file__).parent
    files = [file for file in place.rglob("*.py") if '"case.opened.v1"' in file.read_text()]
    assert [file.name for file in files] == ["handlers.py"]
    assert files[0].read_text().count('"case.opened.v1"') == 1
