"""The whistle on the board: each department a lamp, whoever is waited for first."""

import re
from datetime import timedelta
from typing import Any

import pytest

from contracts.facts import (
    CaseConsultedV1,
    CaseDeadlineSetV1,
    WhistleAnsweredV1,
    WhistleArrivedV1,
    WhistleCalledUpwardV1,
    WhistleDeadlineMovedV1,
    WhistleReleasedV1,
    WhistleRuledV1,
    WhistleStageMissedV1,
    WhistleStageMovedV1,
    WhistleUnansweredV1,
    WhistleUnruledV1,
    WhistleWarnedV1,
    WhistleWithdrawnV1,
)
from tests.component.console.test_console_look import seen
from tests.component.console.test_console_pages import page, plain
from tests.component.console.test_console_stream import looking, numbers, watching
from tests.component.console.world import CLERK, Story, World, real_now
from tests.factories import START


def blown(*departments: str, **more: Any) -> Story:
    story = Story(**more).opened().accepted().after(minutes=1)
    return story.blown(*(departments or ("police", "justice", "court")))


async def lamps(world: World, story: Story) -> dict[str, tuple[str, bool]]:
    """Return each department's lamp and whether it leads, in the order of the board."""
    found = await seen(world, START)
    row = next(one for one in found.rows if one.number == story.number)
    return {slot.department: (slot.lamp, slot.lead) for slot in row.slots}


def shown(html: str) -> list[str]:
    """Return what the lamps say."""
    items = re.findall(r'<li class="lamp [^>]*>.*?</li>', html, re.DOTALL)
    return [plain(item).strip() for item in items]


async def test_whoever_is_called_is_a_lamp_that_waits(world: World) -> None:
    world.town()
    story = blown()
    await world.hear(story)
    assert await lamps(world, story) == {
        "police": ("waiting", True),
        "justice": ("waiting", False),
        "court": ("waiting", False),
    }
    found = await seen(world, START)
    assert {slot.due_at for slot in found.rows[0].slots} == {START + timedelta(minutes=61)}
    assert (found.counts.awaited, found.counts.missed) == (3, 0)


async def test_a_lamp_turns_and_leaves_the_others_alone(world: World) -> None:
    world.town()
    story = blown()
    await world.hear(story.after(minutes=9).came("justice"))
    await world.hear(story.after(hours=1).absent("court"))
    assert [lamp for lamp, _ in (await lamps(world, story)).values()] == [
        "waiting",
        "reported",
        "missed",
    ]
    found = await seen(world, START)
    assert (found.counts.awaited, found.counts.missed) == (1, 1)
    assert found.rows[0].slots[1].came_at == START + timedelta(minutes=10)


async def test_late_refused_withdrawn_and_put_right_are_told_apart(world: World) -> None:
    world.town()
    story = blown("police", "justice", "court", "legal_aid").after(hours=1)
    story.absent("police").absent("justice").after(minutes=5)
    story.came("police", late=True).refused("court").withdrawn("legal_aid")
    story.came("justice", corrects=True)
    await world.hear(story, batch=1)
    assert [lamp for lamp, _ in (await lamps(world, story)).values()] == [
        "late",
        "reported",
        "refused",
        "withdrawn",
    ]
    found = await seen(world, START)
    assert found.rows[0].awaited_since is None
    assert (found.counts.awaited, found.counts.missed) == (0, 0)


async def test_a_department_that_is_called_again_waits_again(world: World) -> None:
    world.town()
    story = blown("police", "justice").refused("justice").after(minutes=1)
    story.blown("justice", merged=("police",))
    await world.hear(story)
    assert await lamps(world, story) == {"police": ("waiting", True), "justice": ("waiting", True)}
    assert await world.pool.fetchval("SELECT count(*) FROM board_slot") == 3


async def test_cases_that_wait_for_a_department_come_first(world: World) -> None:
    world.town()
    overdue = Story().opened().clock(minutes=1)
    short = blown(at=START - timedelta(hours=1))
    long = blown(at=START - timedelta(hours=2)).absent("police").came("justice")
    done = blown("police", at=START - timedelta(hours=9)).came("police")
    await world.hear(overdue, short, long, done)
    found = await seen(world, START + timedelta(minutes=2))
    order = [long.number, short.number, overdue.number, done.number]
    assert [row.number for row in found.rows] == order
    assert found.rows[0].awaited_since == START - timedelta(minutes=119)


async def test_facts_of_a_whistle_that_come_again_take_effect_once(world: World) -> None:
    world.town()
    story = blown().after(minutes=5).came("police").after(hours=1).absent("court")
    await world.hear(story)
    once = (await lamps(world, story), await world.lines())
    await world.pool.execute("DELETE FROM inbox")
    await world.hear_records(world.records(story.told * 3))
    assert (await lamps(world, story), await world.lines()) == once


async def test_a_whistle_whose_call_was_never_heard_turns_nothing(world: World) -> None:
    world.town()
    story = Story().opened().accepted().came("police")
    await world.hear(story)
    assert await lamps(world, story) == {}


async def test_a_closed_case_waits_for_nobody(world: World) -> None:
    world.town()
    await world.hear(blown().settled().visited())
    found = await seen(world, START)
    assert (found.counts.awaited, list(found.rows)) == (0, [])


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_case_taken_up_again_begins_without_those_who_were_let_go(
    world: World, batch: int
) -> None:
    world.town()
    story = blown("police", "justice").came("police").settled().visited()
    story.released("police").withdrawn("justice")
    await world.hear(story, batch=batch)
    await world.hear(story.after(days=1).reopened(), batch=batch)
    assert await lamps(world, story) == {}
    await world.hear(story.blown("court", "police"), batch=batch)
    assert await lamps(world, story) == {"court": ("waiting", True), "police": ("waiting", False)}
    assert await world.pool.fetchval("SELECT count(*) FROM board_slot") == 2


async def test_the_ladder_and_the_answers_are_told_in_plain_words(world: World) -> None:
    world.town()
    story = Story(number="250303-0012").opened().after(minutes=1)
    story.blown("police", "justice", "court").after(minutes=1).came("justice").after(minutes=1)
    story.turn(WhistleArrivedV1, "justice", at=story.at, by=CLERK).after(minutes=1)
    story.turn(WhistleWarnedV1, "police", due_at=story.at).after(hours=1)
    for department in ("police", "court"):
        story.absent(department).rung(department, 0, "remind").rung(department, 1, "score")
    story.after(minutes=1).rung("police", 2, "notify_head", nobody=True)
    story.after(minutes=1).rung("police", 3, "escalate", to_level="town")
    story.after(minutes=1).rung("police", 4, "score")
    story.after(minutes=1).came("police", late=True).after(minutes=1).refused("court")
    story.after(minutes=1).tell(
        WhistleCalledUpwardV1,
        whistle_id=story.whistle_id,
        from_level="town",
        to_level="county",
        by=CLERK,
    )
    story.after(minutes=1).released("police").released("justice")
    await world.hear(story)
    about = "250303-0012 人居环境"
    assert await world.lines() == [
        f"义和镇 让 公安、司法 回去，{about}",
        f"义和镇 请上级来办 {about}，上报 河口区",
        f"法院 退回 {about}，交给 义和镇",
        f"公安 来晚了，已报到，{about}",
        f"公安 还没到，{about}，上报 镇",
        f"公安 还没到，该告诉的人没有值守，{about}",
        f"公安、法院 未到，{about}",
        f"公安 快到报到时限，{about}",
        f"司法 到了现场，{about}",
        f"司法 已报到，{about}",
        f"义和镇 吹哨，叫 公安、司法、法院 来办 {about}",
        f"菊黄洼网格 报来 {about}",
    ]


async def test_a_ruling_brings_a_new_lamp_or_lights_the_old_one_again(world: World) -> None:
    world.town()
    story = blown("police", "court").after(minutes=1).refused("police").refused("court")
    story.after(minutes=1).turn(WhistleRuledV1, "court", ruling="reject", due_at=START, by=CLERK)
    accepted = {"ruling": "accept", "call": "justice", "lead": True, "by": CLERK}
    story.after(minutes=1).turn(WhistleRuledV1, "police", **accepted).blown("justice")
    await world.hear(story, batch=1)
    assert await lamps(world, story) == {
        "police": ("refused", True),
        "court": ("waiting", False),
        "justice": ("waiting", True),
    }
    found = await seen(world, START)
    assert {slot.department: slot.due_at for slot in found.rows[0].slots}["court"] == START
    about = f"{story.number} 人居环境"
    assert (await world.lines())[:2] == [
        f"义和镇 吹哨，叫 司法 来办 {about}",
        f"义和镇 不同意 法院 退回，仍要报到，{about}",
    ]


async def test_a_refusal_on_which_nobody_ruled_in_time_is_told(world: World) -> None:
    world.town()
    story = blown("police").after(minutes=1).refused("police").after(minutes=1)
    late = {"due_at": START, "arbiter": CLERK, "superior": None}
    await world.hear(story.turn(WhistleUnruledV1, "police", **late), batch=1)
    assert (await world.lines())[0] == f"公安 退回，到时没有人裁定，{story.number} 人居环境"
    assert await lamps(world, story) == {"police": ("refused", True)}


async def test_who_was_called_before_takes_the_lead_over(world: World) -> None:
    world.town()
    story = blown("police", "court").after(minutes=1).refused("police").after(minutes=1)
    accepted = {"ruling": "accept", "call": "court", "lead": True, "by": CLERK}
    await world.hear(story.turn(WhistleRuledV1, "police", **accepted), batch=1)
    assert await lamps(world, story) == {"police": ("refused", True), "court": ("waiting", True)}
    assert (await world.lines())[0] == f"义和镇 同意 公安 退回 {story.number} 人居环境"


async def test_who_is_awaited_leads_once_the_lead_is_not_called_any_more(
    world: World,
) -> None:
    world.town()
    story = blown("police", "court").after(minutes=1)
    await world.hear(story.turn(WhistleWithdrawnV1, "police", leads="court", by=CLERK), batch=1)
    assert (await lamps(world, story))["court"] == ("waiting", True)


async def test_who_was_called_before_leads_once_a_second_whistle_says_so(world: World) -> None:
    world.town()
    story = blown("police", "court").after(minutes=1).came("police").after(minutes=1)
    story.turn(WhistleReleasedV1, "police", by=CLERK).after(minutes=1)
    again = [{"department": "justice", "lead": False}]
    story.blown("justice", departments=again, merged=("court",), leads="court")
    await world.hear(story, batch=1)
    assert await lamps(world, story) == {
        "police": ("reported", True),
        "court": ("waiting", True),
        "justice": ("waiting", False),
    }


async def test_one_who_reported_in_and_does_not_arrive_is_missed_until_it_is_there(
    world: World,
) -> None:
    world.town()
    story = blown("police").after(minutes=1).came("police").after(hours=1)
    story.turn(WhistleStageMissedV1, "police", stage="arrive", due_at=story.at)
    await world.hear(story.rung("police", 0, "remind", stage="arrive"))
    assert await lamps(world, story) == {"police": ("missed", True)}
    about = f"{story.number} 人居环境"
    assert (await world.lines())[0] == f"公安 报到后没到现场，{about}"
    story.after(minutes=1).turn(WhistleArrivedV1, "police", at=story.at, late=True, by=CLERK)
    await world.hear(story)
    assert await lamps(world, story) == {"police": ("late", True)}
    assert (await world.lines())[0] == f"公安 到了现场，{about}"


async def test_one_whose_missed_arrival_is_withdrawn_has_reported_in(world: World) -> None:
    world.town()
    story = blown("police").after(minutes=1).came("police").after(hours=1)
    story.turn(WhistleStageMissedV1, "police", stage="arrive", due_at=story.at)
    moved: dict[str, Any] = {"stage": "arrive", "reported_in_at": START, "miss_withdrawn": True}
    moved["due_at"] = story.at + timedelta(days=1)
    await world.hear(story.after(minutes=1).turn(WhistleStageMovedV1, "police", **moved))
    assert await lamps(world, story) == {"police": ("reported", True)}


async def test_answers_from_above_and_what_was_agreed_are_told(world: World) -> None:
    world.town()
    story = blown("police", "court").after(minutes=1)
    above: dict[str, Any] = {"whistle_id": story.whistle_id, "unit": "county"}
    story.tell(WhistleUnansweredV1, **above, due_at=story.at).after(minutes=1)
    story.tell(WhistleAnsweredV1, **above, at=story.at, late=True, by=CLERK).after(minutes=1)
    story.tell(CaseConsultedV1, departments=("police", "court"), by=CLERK)
    await world.hear(story)
    about = f"{story.number} 人居环境"
    assert (await world.lines())[:3] == [
        f"公安、法院 会诊有了结果，{about}",
        f"上级答复了 {about}",
        f"上级到时没有答复，{about}",
    ]


async def test_the_page_says_who_was_called_and_who_has_not_come(world: World) -> None:
    world.town()
    story = blown("police", "justice", "court", at=real_now() - timedelta(minutes=11))
    story.after(minutes=5).came("justice").absent("court")
    await world.hear(story, Story(at=real_now()).opened())
    html = await page(world)
    first, second, third = shown(html)
    assert re.fullmatch(r"公安 牵头 等待 还有 \d\d 分 （.* \d\d:\d\d）", first)
    assert re.fullmatch(r"司法 已报到 .* \d\d:\d\d", second)
    assert third.startswith("法院 未到 还有")
    assert "等 1 个部门报到 ， 未到 1 个部门" in plain(html)
    assert html.count('class="lamps"></td>') == 1
    english = shown(await page(world, lang="en"))
    assert re.match(r"Police lead waiting \d\d min left", english[0])
    assert '<b class="whistle">吹哨</b>' in html


async def test_a_lamp_whose_clock_cannot_be_told_says_so(world: World) -> None:
    world.town()
    await world.hear(Story().opened().blown("police", minutes=None))
    assert shown(await page(world)) == ["公安 牵头 等待 按工作时间计"]


async def test_departments_are_called_as_the_registry_calls_them(world: World) -> None:
    body = {"zh": "<派出所>", "level": "town"}
    world.town({"kind": "department", "id": "police", "body": body})
    await world.hear(Story().opened().blown("police", "aliens"))
    html = await page(world)
    assert "<bdi>&lt;派出所&gt;</bdi>" in html
    assert "<bdi>aliens</bdi>" in html


@pytest.mark.parametrize("turn", ["came", "absent", "refused", "withdrawn"])
async def test_one_lamp_that_turns_is_one_line_that_is_sent(world: World, turn: str) -> None:
    world.town()
    story, other = blown(), blown()
    await world.hear(story, other)
    async with looking(world), watching(world) as browser:
        before = marks(await browser.news(), story)
        await world.hear(getattr(story.after(minutes=1), turn)("justice"))
        news = await browser.news()
        assert numbers(news, story, other) == [story.number]
        after = marks(news, story)
        assert [mark in before for mark in after] == [True, False, True]
        assert "司法" in news["acts"]


def marks(news: dict[str, Any], story: Story) -> list[str]:
    """Return by what the page tells whether a lamp of a case has turned."""
    row = next(one for one in news["rows"] if f'data-n="{story.number}"' in one)
    return re.findall(r'<li class="lamp \w+" data-v="(\w+)"', row)


async def test_a_due_time_that_moves_takes_the_miss_with_it(world: World) -> None:
    world.town()
    story = blown("police", "justice", "court").after(hours=1).absent("police").absent("justice")
    story.after(minutes=5).came("justice", late=True).after(minutes=5)
    later = START + timedelta(days=1)
    for department in ("police", "justice"):
        story.turn(WhistleDeadlineMovedV1, department, due_at=later, miss_withdrawn=True)
    story.turn(WhistleDeadlineMovedV1, "court", due_at=later, provisional=True)
    await world.hear(story, batch=1)
    assert [lamp for lamp, _ in (await lamps(world, story)).values()] == [
        "waiting",
        "reported",
        "waiting",
    ]
    found = await seen(world, START)
    assert {slot.due_at for slot in found.rows[0].slots} == {later}
    assert [slot.provisional for slot in found.rows[0].slots] == [False, False, True]
    assert (found.counts.awaited, found.counts.missed) == (2, 0)
    assert ["暂定" in lamp for lamp in shown(await page(world))] == [False, False, True]


async def test_a_clock_that_rests_on_a_guess_is_called_provisional(world: World) -> None:
    world.town()
    story = Story().opened().accepted()
    told = {"deadline": "class", "clock": "duty", "armed": True}
    due_at = START + timedelta(days=1)
    story.tell(CaseDeadlineSetV1, **told, due_at=due_at, provisional=True)
    await world.hear(story)
    assert (await seen(world, START)).rows[0].provisional
    assert "暂定" in await page(world)
    story.tell(CaseDeadlineSetV1, **told, due_at=due_at + timedelta(days=1))
    story.tell(CaseDeadlineSetV1, **{**told, "armed": False}, due_at=START, miss_withdrawn=True)
    await world.hear(story)
    (row,) = (await seen(world, START)).rows
    assert (row.due_at, row.provisional) == (due_at + timedelta(days=1), False)
