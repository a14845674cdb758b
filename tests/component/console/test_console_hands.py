"""The board follows a case from hand to hand."""

from contracts.facts import CaseCalledV1, CaseHandedOverV1, HandoverReceivedV1
from tests.component.console.world import Story, World

CADRE = {"unit": "v1", "role": "village_cadre", "staff": "s-vc-01"}
WORKER = {"unit": "g01", "role": "grid_worker", "staff": "s-gw-01"}


async def test_a_case_that_is_handed_over_shows_its_new_owner(world: World) -> None:
    world.town()
    moved = {"from_owner": WORKER, "owner": CADRE, "by": CADRE}
    story = Story().opened().after(minutes=5).tell(CaseHandedOverV1, **moved)
    await world.hear(story)
    case = await world.case(story)
    assert (case["owner_unit"], case["owner_role"]) == ("v1", "village_cadre")
    assert "接过了" in (await world.lines())[0]


async def test_a_sheet_that_is_signed_for_has_no_clock_any_more(world: World) -> None:
    world.town()
    story = Story().opened().clock("hand_over", minutes=30)
    await world.hear(story)
    assert set((await world.case(story))["clocks"]) == {"hand_over"}
    sheet = {"handover_id": story.case_id, "number": "1-Y", "at": story.at, "late": False}
    await world.hear(story.after(minutes=5).tell(HandoverReceivedV1, **sheet, by=WORKER))
    assert (await world.case(story))["clocks"] == {}


async def test_people_who_are_called_later_are_a_line_of_their_own(world: World) -> None:
    world.town()
    call = {"reason": "urgent_after_hours", "call": 2, "called": [CADRE]}
    story = Story().opened().after(minutes=15).tell(CaseCalledV1, **call)
    await world.hear(story)
    assert "正在叫人" in (await world.lines())[0]
