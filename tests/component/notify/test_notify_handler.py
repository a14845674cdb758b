from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from contracts.facts import (
    CaseAcceptedV1,
    CaseFollowUpKeptV1,
    CaseReopenedV1,
    CaseResolvedV1,
    CaseStepTakenV1,
    Owner,
)
from contracts.topics import ROUTING_EVENTS
from services import notify
from tests import factories
from tests.component.notify.world import (
    WORKER,
    World,
    assigned,
    closed,
    event,
    missed,
    warned,
)

BY = {"staff": "s-gw-01", "role": "grid_worker"}
Row = tuple[str, str, str, list[str]]


async def intents(world: World) -> Counter[tuple[str, str, str]]:
    rows = await world.pool.fetch("SELECT notice, recipient, channels FROM intent")
    return Counter((row["notice"], row["recipient"], ",".join(row["channels"])) for row in rows)


async def test_each_fact_tells_those_whom_the_profile_names(world: World) -> None:
    opened = world.opened()
    case_id = opened.subject_id
    await world.hear(
        opened,
        assigned(case_id),
        event(case_id, CaseAcceptedV1.model_validate({"by": BY})),
        warned(case_id),
        missed(case_id),
        event(case_id, CaseResolvedV1.model_validate({"by": BY})),
    )
    assert await intents(world) == {
        ("case_assigned", "s-gw-01", "app,wechat,sms"): 1,
        ("case_accepted", "reporter", "wechat,sms"): 1,
        ("deadline_warning", "s-gw-01", "app,sms"): 1,
        ("deadline_missed", "s-gw-01", "sms"): 1,
        ("deadline_missed", "s-gl-01", "sms"): 1,
        ("deadline_missed", "s-vc-01", "sms"): 1,
        ("case_resolved", "reporter", "wechat,sms"): 1,
    }


async def test_a_fact_that_comes_fifty_times_makes_one_message(world: World) -> None:
    opened = world.opened()
    facts = [opened, assigned(opened.subject_id)]
    for _ in range(25):
        await world.hear(*facts)
    await world.hear(*facts * 25)
    assert await intents(world) == {("case_assigned", "s-gw-01", "app,wechat,sms"): 1}


async def test_a_later_fact_finds_the_owner_of_that_moment(world: World) -> None:
    opened = world.opened()
    case_id = opened.subject_id
    clerk = {"unit": "town", "role": "center_clerk", "staff": "s-cc-02"}
    moved = {"step": "x", "from_state": "a", "to_state": "b", "by": BY, "owner": clerk}
    await world.hear(opened, event(case_id, CaseStepTakenV1.model_validate(moved)))
    await world.hear(warned(case_id))
    assert await intents(world) == {("deadline_warning", "s-cc-02", "app,sms"): 1}


async def test_one_person_in_two_roles_is_told_once(world: World) -> None:
    both = {
        "posts": [
            {"unit": "g01", "role": "grid_worker", "rank": 1},
            {"unit": "g01", "role": "grid_leader", "rank": 1},
        ],
        "phone": "16000000001",
    }
    await world.registry(
        factories.registry_changes(
            world.ring, [{"kind": "staff", "id": "s-a-1", "body": both}], change_set="more"
        )
    )
    owner = Owner(unit="g01", role="grid_worker", staff="s-a-1")
    opened = world.opened(owner=owner)
    await world.hear(opened, missed(opened.subject_id))
    assert await intents(world) == {
        ("deadline_missed", "s-a-1", "sms"): 1,
        ("deadline_missed", "s-vc-01", "sms"): 1,
    }


async def test_a_case_keeps_the_rules_it_was_opened_under(world: World) -> None:
    body = factories.town_lines()[1]["body"]["body"]
    rules = [{"when": "case_assigned", "to": ["grid_leader"], "via": ["sms"]}]
    other = {**body, "notifications": {**body["notifications"], "rules": rules}}
    lines = [{"kind": "profile", "id": "2", "body": {"version": 2, "body": other}}]
    await world.registry(factories.registry_changes(world.ring, lines, change_set="v2"))
    pinned = [world.opened(profile_version=version) for version in (1, 2, 7)]
    await world.hear(*pinned, *(assigned(one.subject_id) for one in pinned))
    assert await intents(world) == {
        ("case_assigned", "s-gw-01", "app,wechat,sms"): 1,
        ("case_assigned", "s-gl-01", "sms"): 2,  # version 2, and 7, which is not here yet
    }


async def quarantined(world: World) -> list[tuple[str, str]]:
    rows = await world.pool.fetch("SELECT state, reason FROM quarantine ORDER BY record_offset")
    return [(row["state"], row["reason"]) for row in rows]


async def test_facts_of_a_case_older_than_the_topic_are_skipped_and_counted(world: World) -> None:
    labels = {"topic": ROUTING_EVENTS.name, "end": "orphan"}
    before = REGISTRY.get_sample_value("chuishao_records_total", labels) or 0
    opened = world.opened()
    await world.hear(*[assigned(uuid4()) for _ in range(60)], opened, assigned(opened.subject_id))
    await world.hear(warned(uuid4()))
    assert await quarantined(world) == []
    assert REGISTRY.get_sample_value("chuishao_records_total", labels) == before + 61
    assert await intents(world) == {("case_assigned", "s-gw-01", "app,wechat,sms"): 1}


async def test_a_fact_waits_for_its_town_a_while_and_is_then_set_aside(world: World) -> None:
    opened = world.opened(tenant="gucheng")
    world.consumer.copied = False
    await world.hear(opened)
    assert (await quarantined(world), world.consumer.given_back) == ([], 1)
    await world.hear(opened, at=datetime.now(UTC) - timedelta(minutes=2))
    (state, reason), *_ = await quarantined(world)
    assert (state, world.consumer.given_back) == ("parked", 1)
    assert "tenant gucheng" in reason


async def test_a_fact_whose_town_is_not_in_a_whole_copy_waits_alone(world: World) -> None:
    lost, mine = world.opened(tenant="gucheng"), world.opened()
    await world.hear(lost, mine, assigned(mine.subject_id))
    assert [state for state, _ in await quarantined(world)] == ["parked"]
    assert sum((await intents(world)).values()) == 1


async def test_a_town_that_comes_late_loses_nothing(world: World) -> None:
    opened = world.opened(tenant="gucheng")
    records = world.records([opened, assigned(opened.subject_id, tenant="gucheng")])
    world.consumer.copied = False
    await world.hear_records(records)
    await world.town(tenant="gucheng")
    await world.hear_records(records)
    assert sum((await intents(world)).values()) == 1


async def test_a_case_is_closed_and_taken_up_again(world: World) -> None:
    opened = world.opened()
    case_id = opened.subject_id
    reopened = event(case_id, CaseReopenedV1.model_validate({"by": BY}))
    await world.hear(opened, closed(case_id))
    assert await world.pool.fetchval("SELECT closed FROM cases")
    await world.hear(reopened)
    assert not await world.pool.fetchval("SELECT closed FROM cases")


async def test_nothing_that_is_kept_names_a_person_or_a_number(world: World) -> None:
    await world.assign(contacts={"name": "欧阳龑", "phone": "+8613812345678", "openid": "o-secret"})
    tables = ("cases", "intent", "attempt", "outbox", "inbox", "registry_copy", "receipt")
    kept = "".join([str(await everything(world, table)) for table in tables])
    secrets = ["欧阳龑", "13812345678", "o-secret", "16023413103", "王小霞"]
    assert [secret for secret in secrets if secret in kept] == []


async def everything(world: World, table: str) -> list[dict[str, Any]]:
    rows = await world.pool.fetch(f"SELECT * FROM {table}")  # noqa: S608 - our own table names
    return [dict(row) for row in rows]


def test_one_handler_alone_reads_the_opening_of_a_case() -> None:
    sources = Path(notify.__file__).parent.rglob("*.py")
    naming = [file.name for file in sources for _ in range(file.read_text().count("case.opened"))]
    assert naming == ["handlers.py"]


@pytest.mark.parametrize("owner", [WORKER, Owner(unit="g01", role="grid_worker")])
async def test_an_owner_is_a_person_or_the_first_of_a_role(world: World, owner: Owner) -> None:
    await world.assign(owner)
    assert await intents(world) == {("case_assigned", "s-gw-01", "app,wechat,sms"): 1}


async def test_the_owner_is_told_of_more_from_the_reporter(world: World) -> None:
    opened = world.opened()
    sealed = {"kid": "k1", "key": "x", "fields": {"description": "x"}}
    body = {"reason": "reporter", "front_end": "track", "sealed": sealed}
    more = event(opened.subject_id, CaseFollowUpKeptV1.model_validate(body))
    await world.hear(opened, assigned(opened.subject_id), more, more)
    assert (await intents(world))["case_followed_up", "s-gw-01", "app,wechat,sms"] == 1
