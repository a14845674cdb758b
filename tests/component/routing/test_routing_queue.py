"""A department's queue: each task is lent to one at a time, and a case's tasks in order."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests import factories
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_whistles import POLICE, act, called


def officer(desk: Desk, department: str = "police", role: str = "department_officer") -> Any:
    token = factories.token(desk.secrets, role, tenant=desk.tenant, department=department)
    return {"Authorization": f"Bearer {token}"}


async def ask(desk: Desk, of: str = "police", **params: Any) -> list[dict[str, Any]]:
    answer = await desk.http.get(
        f"/v1/departments/{of}/tasks", params=params, headers=officer(desk, of)
    )
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["tasks"]
    return found


async def tell(desk: Desk, what: str, task: dict[str, Any], **more: Any) -> httpx.Response:
    return await desk.http.post(
        f"/v1/departments/police/tasks/{task['task_id']}/{what}",
        json={"lease_id": task["lease_id"], **more},
        headers=officer(desk),
    )


async def lapse(desk: Desk) -> None:
    """Let every lease of the town run out."""
    await desk.pool.execute(
        "UPDATE task SET lease_until = clock_timestamp() WHERE tenant_id = $1", desk.tenant
    )


async def test_tasks_of_one_case_come_one_after_the_other(desk: Desk) -> None:
    case_id, whistle_id = await called(desk, "police")
    await act(desk, whistle_id, "report-ins", **POLICE, means="remote")
    other, _ = await called(desk, "police", key="k2")
    first, second = await ask(desk)
    assert [first["case_id"], second["case_id"]] == [str(case_id), str(other)]
    assert (first["task_seq"], first["type"]) == (1, "task.given.v1")
    assert first["data"]["lead"] is True
    assert await ask(desk) == []
    assert (await tell(desk, "ack", first)).json() == {"task_id": first["task_id"], "acked": True}
    (third,) = await ask(desk)
    assert (third["case_id"], third["task_seq"]) == (str(case_id), 2)
    assert third["data"]["change"] == "reported_in"


async def test_a_lease_that_has_run_out_goes_to_the_next_and_the_first_is_told(desk: Desk) -> None:
    await called(desk, "police")
    (mine,) = await ask(desk, lease_s=1)
    await lapse(desk)
    late = await tell(desk, "ack", mine)
    assert (late.status_code, late.json()["code"]) == (409, "lease_stale")
    (theirs,) = await ask(desk)
    assert theirs["task_id"] == mine["task_id"]
    for what in ("ack", "nack"):
        stale = await tell(desk, what, mine)
        assert (stale.status_code, stale.json()["code"]) == (409, "lease_stale")
    assert (await tell(desk, "ack", theirs)).status_code == 200
    assert (await tell(desk, "ack", theirs)).status_code == 200, "an answer may have been lost"
    assert await ask(desk) == []


async def test_what_is_given_back_comes_again_after_its_while(desk: Desk) -> None:
    await called(desk, "police")
    (task,) = await ask(desk)
    assert (await tell(desk, "nack", task)).json()["acked"] is False
    (again,) = await ask(desk)
    assert again["lease_id"] != task["lease_id"]
    await tell(desk, "nack", again, after_s=60)
    assert await ask(desk) == []


async def test_of_many_who_ask_at_once_no_two_get_the_same(desk: Desk) -> None:
    async with asyncio.TaskGroup() as group:
        for n in range(24):
            group.create_task(called(desk, "police", key=f"k{n}"))
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(ask(desk, limit=5)) for _ in range(12)]
    lent = [task["task_id"] for one in asking for task in one.result()]
    lent += [task["task_id"] for task in await ask(desk)]
    assert len(lent) == len(set(lent)) == 24


@pytest.mark.parametrize(
    ("department", "role", "code"),
    [
        ("court", "department_officer", "department_not_yours"),
        ("police", "grid_worker", "role_not_allowed"),
    ],
)
async def test_nobody_reads_what_is_not_his(
    desk: Desk, department: str, role: str, code: str
) -> None:
    await called(desk, "police")
    (task,) = await ask(desk)
    headers = officer(desk, department, role)
    for answer in (
        await desk.http.get("/v1/departments/police/tasks", headers=headers),
        await desk.http.post(
            f"/v1/departments/police/tasks/{task['task_id']}/ack",
            json={"lease_id": task["lease_id"]},
            headers=headers,
        ),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert (await desk.http.get("/v1/departments/police/tasks")).status_code == 401


async def test_another_department_cannot_take_a_task_off(desk: Desk) -> None:
    await called(desk, "police", "court")
    (task,) = await ask(desk)
    answer = await desk.http.post(
        f"/v1/departments/court/tasks/{task['task_id']}/ack",
        json={"lease_id": task["lease_id"]},
        headers=officer(desk, "court"),
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "task_not_found")
    nobody = {"task_id": str(UUID(int=0)), "lease_id": str(uuid4())}
    assert (await tell(desk, "ack", nobody)).status_code == 404


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 201}, {"lease_s": 0}])
async def test_what_is_asked_for_is_bounded(desk: Desk, params: dict[str, int]) -> None:
    answer = await desk.http.get(
        "/v1/departments/police/tasks", params=params, headers=officer(desk)
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_fields")
