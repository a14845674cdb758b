"""The short forms: what the long ones do for minutes, once."""

from pathlib import Path

import pytest

from tests.faults import backlog, deadlines, freeze, kills, overload, replicas, whistles
from tests.faults.ground import ground


@pytest.mark.timeout(400)
async def test_every_process_may_be_killed(tmp_path: Path) -> None:
    assert not (await kills.run(kills.SHORT, tmp_path)).wrong


@pytest.mark.timeout(300)
async def test_a_frozen_broker_and_then_a_stopped_database_lose_nothing(tmp_path: Path) -> None:
    async with ground(tmp_path) as running:
        frozen, log = await freeze.freeze_broker(running, 8)
        stopped, _ = await freeze.stop_database(running, 5, before=log.sent)
    assert not frozen.wrong + stopped.wrong


@pytest.mark.timeout(300)
async def test_a_jump_of_the_clock_fires_each_deadline_once_in_order(tmp_path: Path) -> None:
    assert not (await deadlines.run(tmp_path, 200, 60)).wrong


@pytest.mark.timeout(300)
async def test_far_more_than_it_can_take_leaves_intake_in_order(tmp_path: Path) -> None:
    assert not (await overload.run(overload.SHORT, tmp_path)).wrong


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_whistles_have_one_outcome_each_whatever_is_killed(tmp_path: Path) -> None:
    assert not (await whistles.run(tmp_path, 30, whistles.SHORT)).wrong


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_who_came_while_routing_was_down_is_not_missed(tmp_path: Path) -> None:
    assert not (await backlog.run(tmp_path, 50, 30)).wrong


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_two_routing_replicas_decide_like_one(tmp_path: Path) -> None:
    assert not (await replicas.run(tmp_path, 600, 40)).wrong


@pytest.mark.long
@pytest.mark.timeout(3600)
async def test_every_process_may_be_killed_again_and_again(tmp_path: Path) -> None:
    assert not (await kills.run(kills.Plan(), tmp_path)).wrong


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_a_broker_may_be_frozen_for_half_a_minute(tmp_path: Path) -> None:
    assert not (await freeze.run("freeze", 30, tmp_path)).wrong
