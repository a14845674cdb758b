"""Who is told when people are called at night, in somebody's stead, and in the morning."""

from uuid import UUID

import pytest

from contracts.events import Event
from contracts.facts import CaseCallAnsweredV1, CaseCalledV1, CaseHandedOverV1, HandoverFiledV1
from tests.component.notify.world import DUE, World, event, warned

LEADER = {"unit": "g01", "role": "grid_leader", "staff": "s-gl-01"}
TEAM = {"unit": "g01", "role": "village_team", "staff": "s-vt-01"}
PARTNER = {"unit": "g03", "role": "grid_worker", "staff": "s-gw-02"}
CADRE = {"unit": "v1", "role": "village_cadre", "staff": "s-vc-01"}


def called(case_id: UUID, reason: str, *who: object, told: object, **more: object) -> Event:
    body = {"reason": reason, "call": 1, "called": who, "told": [told], **more}
    return event(case_id, CaseCalledV1.model_validate(body))


async def planned(world: World) -> dict[str, tuple[str, list[str]]]:
    """Return of what each is told, and by which channels, one after the other or at once."""
    query = "SELECT notice, recipient, channels FROM intent ORDER BY rule DESC"
    found: dict[str, tuple[str, list[str]]] = {}
    for row in await world.pool.fetch(query):
        found.setdefault(row["recipient"], (row["notice"], []))[1].extend(row["channels"])
    return found


async def test_yh_s07_the_grids_head_and_the_team_are_told_by_voice_and_sms(world: World) -> None:
    opened = world.opened()
    call = called(
        opened.subject_id, "urgent_after_hours", LEADER, told=TEAM, via=["voice", "sms"],
        ack_due_at=DUE,
    )  # fmt: skip
    await world.hear(opened, call, call)
    night = ("urgent_after_hours", ["voice", "sms"])
    assert await planned(world) == {"s-gl-01": night, "s-vt-01": night}
    assert await world.pool.fetchval("SELECT max(cardinality(channels)) FROM intent") == 1
    (due,) = {row["due_at"] for row in await world.pool.fetch("SELECT due_at FROM intent")}
    assert due == DUE


@pytest.mark.parametrize("at_once", [True, False], ids=["one-batch", "later"])
async def test_who_was_called_is_left_alone_once_it_is_answered(
    world: World, at_once: bool
) -> None:
    opened = world.opened()
    call = called(opened.subject_id, "urgent_after_hours", LEADER, told=TEAM, via=["voice"])
    by = {"staff": "s-gl-01", "role": "grid_leader", "unit": "g01"}
    answered = CaseCallAnsweredV1.model_validate({"call": 1, "by": by})
    facts = [opened, call, event(opened.subject_id, answered)]
    for heard in [facts] if at_once else [facts[:2], facts[2:]]:
        await world.hear(*heard)
    rows = await world.pool.fetch("SELECT recipient, moot FROM intent")
    assert dict(map(tuple, rows)) == {"s-gl-01": True, "s-vt-01": False}


async def test_yh_s09_a_the_partner_is_called_and_the_village_is_told(world: World) -> None:
    opened = world.opened()
    call = called(opened.subject_id, "backup_called", PARTNER, told=CADRE, ack_due_at=DUE)
    await world.hear(opened, call)
    backup = ("backup_called", ["app", "sms"])
    assert await planned(world) == {"s-gw-02": backup, "s-vc-01": backup}


async def test_yh_9_a_sheet_that_is_filed_is_told_to_the_grids_workers(world: World) -> None:
    opened = world.opened()
    sheet = {"handover_id": UUID(int=5), "number": "1-Y", "unit": "g01", "owner": TEAM}
    filed = HandoverFiledV1.model_validate({**sheet, "due_at": DUE})
    await world.hear(opened, event(opened.subject_id, filed))
    assert {who: what for who, (what, _) in (await planned(world)).items()} == {
        "s-gw-01": "hand_over_ready",
        "s-dgw-01": "hand_over_ready",
    }


async def test_once_it_is_handed_over_the_new_owner_is_told(world: World) -> None:
    opened = world.opened()
    moved = {"from_owner": TEAM, "owner": PARTNER, "by": PARTNER}
    handed = CaseHandedOverV1.model_validate(moved)
    await world.hear(opened, event(opened.subject_id, handed), warned(opened.subject_id))
    assert (await planned(world)).keys() == {"s-gw-02"}
