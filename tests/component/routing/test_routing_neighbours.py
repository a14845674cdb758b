"""Another town's ids, at every door that takes one: answered word for word like ids of nothing."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx

from tests import factories
from tests.component.neighbours import Ask, doors_taking, walk
from tests.component.routing.desk import Desk
from tests.component.routing.test_routing_handing import NIGHT, asked, known_hours, offer, queue
from tests.component.routing.test_routing_queue import ask
from tests.component.routing.test_routing_whistles import called

ROLES = ("center_clerk", "department_officer", "grid_worker", "village_cadre", "town_leader")
ACT: Mapping[str, Any] = {"reason": "r", "expected_seq": 1}
POLICE = {"department": "police"}
# By the end of the path; where there is none, nothing need be said.
BODIES: Mapping[str, Mapping[str, Any]] = {
    "steps": {"step": "first_ask", "expected_seq": 1},
    "transfers": {**ACT, "to": {"staff": "s-gw-01"}},
    "whistles": {**ACT, "departments": ["police"]},
    "calls-upward": ACT,
    "consultations": {"departments": ["police"], "result": "r", "expected_seq": 1},
    "report-ins": {**POLICE, "means": "remote"},
    "arrivals": POLICE,
    "refusals": {**POLICE, "basis": "b", "proposed": "justice"},
    "rulings": {**POLICE, "ruling": "accept"},
    "release": {},
    "answers": {"answer": "a"},
    "declines": {"reason": "r"},
    "ack": {"lease_id": str(uuid4())},
    "nack": {"lease_id": str(uuid4())},
}


async def ids_of(town: Desk) -> dict[str, str]:
    """Let a town have one of each that doors ask for; return their ids by name."""
    await known_hours(town)
    case_id, whistle_id = await called(town, "police", key="whistled")
    (task,) = await ask(town)
    moving, first, other = await asked(town)
    offered = (await offer(town, moving, first, {"staff": other[2]})).json()["transfer"]
    await town.report("by night", location={"grid": "g01"}, case_class="general", at=NIGHT)
    (sheet,) = (await queue(town, "g01"))["handovers"]
    return {
        "case_id": str(case_id),
        "whistle_id": str(whistle_id),
        "task_id": task["task_id"],
        "transfer_id": offered["transfer_id"],
        "handover_id": sheet["handover_id"],
    }


async def test_another_towns_ids_are_answered_like_none_at_every_door(
    desk: Desk, neighbour: Desk
) -> None:
    theirs = await ids_of(neighbour)
    nobodys = {name: str(uuid4()) for name in theirs}
    token = factories.token(
        desk.secrets, *ROLES, tenant=desk.tenant, units=["town", "g01"], department="police"
    )
    document = (await desk.http.get("/openapi.json")).json()
    asks = [
        Ask(method, path, body=BODIES.get(path.rpartition("/")[2]))
        for method, path in doors_taking(document, theirs)
    ]

    async def send(method: str, url: str, content: bytes | None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await desk.http.request(method, url, content=content, headers=headers)

    assert len(asks) > 18
    police = {"department": "police"}
    await walk(asks, {**theirs, **police}, {**nobodys, **police}, send)
