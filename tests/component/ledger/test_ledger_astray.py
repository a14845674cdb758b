"""A door that names another tenant than its statements do: nothing is shown, nothing is written."""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from uuid import uuid4

import pytest

from deploy.local.secrets import Secrets
from services.chassis.postgres import DOOR_WAIT_S, Connection
from services.ledger.api.door import Door
from services.ledger.store import wall
from tests.component.ledger.office import Office, open_office
from tests.component.ledger.test_ledger_facts import OPENED, Story
from tests.component.ledger.test_ledger_pages import first, lines_of
from tests.component.ledger.test_ledger_sheets import Town, blown

SOMEBODY_ELSE = "elsewhere"  # of whom no other test knows
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
WHY = "上门走访前核对"
# Each look, and what a town of nothing is told; `{name}` stands for an id.
LOOKS = {
    "/v1/counts": 200,
    "/v1/cases/{case_id}/facts": 404,
    "/v1/departments": 200,
    "/v1/departments/{department}/sheet": 200,
    "/v1/grids/{grid_id}": 404,
    "/v1/households/{household_id}": 404,
    "/v1/registry/counts": 200,
    "/v1/registry/coverage": 409,
    "/v1/registry/erasures": 200,
    "/v1/registry/former-units/{code}": 404,
    "/v1/registry/search": 200,
    "/v1/registry/{kind}": 200,
    "/v1/registry/{kind}/{record_id}": 404,
    "/v1/registry/{kind}/{record_id}/history": 404,
    "/v1/dev/clock": 200,
}
ASKS = {"/v1/registry/search": "?begins={letter}"}


class Astray(Door):
    """A door with the very fault that the wall is for."""

    def within(self, tenant_id: str) -> AbstractAsyncContextManager[Connection]:
        assert tenant_id != SOMEBODY_ELSE
        return wall.within(self.pool, SOMEBODY_ELSE, DOOR_WAIT_S)


@pytest.fixture
async def astray(ledger_dsn: str, ledger_secrets: Secrets) -> AsyncIterator[Office]:
    async with open_office(ledger_dsn, ledger_secrets, kind=Astray) as opened:
        yield opened


@pytest.fixture
async def ids(office: Office) -> dict[str, str]:
    """Let the town have something to show at each door; return the ids of it."""
    lines = lines_of(office)
    home, person = first(lines, "household"), first(lines, "person")
    alias = {"code": "330", "zh": "旧村", "valid_to": "2020-07-31T00:00:00+08:00"}
    village = {"level": "village", "zh": "村", "parent": "town", "aliases": [alias]}
    lines.append({"kind": "unit", "id": "v99", "body": village})
    answer = await office.post_set("seed", lines)
    assert answer.status_code == 200, answer.text
    story, whistled, case, department = Story(office), Town(office), str(uuid4()), str(uuid4())
    await office.hear(story.fact("case.opened.v1", OPENED, case))
    whistled.events = story.events
    await office.hear(whistled.fact(blown(department), whistle=uuid4()))
    spare = {"household": home["id"], "name": "王五", "birth_date": "1980-01-01"}
    assert (
        await office.post_set("spare", [{"kind": "person", "id": "p99", "body": spare}])
    ).status_code == 200
    what = {"kind": "person", "id": "p99", "reason": "本人要求"}
    asked = await office.http.post("/v1/registry/erasures", json=what, headers=office.headers())
    assert asked.status_code == 200, asked.text
    await office.clock(advance_s=90_000)
    return {
        "case_id": case,
        "department": department,
        "grid_id": home["body"]["grid"],
        "household_id": home["id"],
        "code": "330",
        "kind": "person",
        "record_id": person["id"],
        "letter": person["body"]["name"][0],
    }


def filled(path: str, ids: dict[str, str]) -> str:
    text = path + ASKS.get(path, "")
    for name, id_ in ids.items():
        text = text.replace(f"{{{name}}}", id_)
    return text


async def test_every_door_that_shows_something_is_asked(office: Office) -> None:
    document = (await office.http.get("/openapi.json")).json()
    doors = {path for path, ways in document["paths"].items() if "get" in ways}
    assert {path for path in doors if path.startswith("/v1/")} == LOOKS.keys()


@pytest.mark.parametrize("path", sorted(LOOKS))
async def test_a_door_that_names_another_tenant_shows_what_a_town_of_nothing_is_shown(
    office: Office, neighbour: Office, astray: Office, ids: dict[str, str], path: str
) -> None:
    url = filled(path, ids)
    right = await office.get(url)
    assert right.status_code == 200, right.text
    lost, none = await astray.of(office.tenant).get(url), await neighbour.get(url)
    assert (lost.status_code, none.status_code) == (LOOKS[path], LOOKS[path])
    same = none.text.replace(neighbour.tenant, office.tenant)
    assert MOMENT.sub("now", lost.text) == MOMENT.sub("now", same)
    assert MOMENT.sub("now", lost.text) != MOMENT.sub("now", right.text)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/registry/change-sets/s9", {"kind": "unit", "id": "u9", "body": None}),
        ("/v1/registry/erasures", {"kind": "person", "id": "{record_id}", "reason": WHY}),
        ("/v1/dev/clock", {"advance_s": 9}),
        ("/v1/registry/person/{record_id}/unmask", {"fields": ["name"], "reason": WHY}),
    ],
)
async def test_a_door_that_names_another_tenant_writes_nothing(
    office: Office, astray: Office, ids: dict[str, str], path: str, body: dict[str, object]
) -> None:
    given = {name: filled(one, ids) if isinstance(one, str) else one for name, one in body.items()}
    tables = ("change_set", "registry_record", "audit", "erasure", "unmask_spent", "registry_index")
    before = [await office.rows(table) for table in tables]
    lost = astray.of(office.tenant)
    answer = await lost.http.post(filled(path, ids), json=given, headers=lost.headers())
    assert answer.status_code in (404, 500), answer.text
    assert [await office.rows(table) for table in tables] == before
    assert await lost.of(SOMEBODY_ELSE).rows("registry_record") == []
