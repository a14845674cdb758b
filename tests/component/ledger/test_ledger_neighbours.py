"""Another town's ids, at every door of ledger that takes one."""

from uuid import uuid4

import httpx
import pytest

from tests.component.ledger.office import Office
from tests.component.ledger.test_ledger_facts import OPENED, Story
from tests.component.ledger.test_ledger_records import PROFILE
from tests.component.ledger.test_ledger_sheets import UNITS, Town, blown
from tests.component.neighbours import Ask, Ids, doors_taking, walk

SET = "/v1/registry/change-sets/{change_set_id}"
SHEET = "/v1/departments/{department}/sheet"
REORGANISED = "/v1/registry/reorganisations/{change_set_id}"
HOUSE = {"level": "household_group", "zh": "户组", "parent": "{unit}"}
SENSITIVE = "/v1/registry/person/{record_id}/sensitive"
MERGER = {"into": {"id": "n1", "body": HOUSE}, "units": ["{unit}"]}
READS = [
    Ask("get", "/v1/cases/{case_id}/facts"),
    Ask("get", SHEET, query="after={whistle_id}"),
    Ask("get", SHEET, status=200),
    Ask("get", "/v1/registry/{kind}", query="unit={unit}"),
    Ask("get", "/v1/registry/{kind}/{record_id}"),
    Ask("get", "/v1/registry/{kind}/{record_id}/history"),
    Ask("get", "/v1/registry/former-units/{code}"),
    Ask("get", "/v1/registry/search", query="name=x&unit={unit}", status=200),
    Ask(
        "post",
        "/v1/registry/{kind}/{record_id}/unmask",
        body={"fields": ["zh"], "reason": "上门走访前核对"},
    ),
]
# With a profile that keeps sensitive groups: test_ledger_sensitive.py.
READS += [
    Ask(method, SENSITIVE + rest, body={"reason": "上门走访前核对"}, says="sensitive_groups_off")
    for method, rest in (("post", "-read"), ("put", "/{group}"), ("post", "/{group}/end"))
]
WRITES = [
    Ask("post", SET, body={"kind": "unit", "id": "u1", "body": HOUSE}, status=409),
    Ask("post", SET, body={"kind": "unit", "id": "{unit}", "body": None}, status=200),
    Ask("post", REORGANISED, body={"act": "merge_units", "mergers": [MERGER]}, status=409),
]


async def ids_of(town: Office) -> dict[str, str]:
    """Let a town have one of each that doors ask for; return their ids by name."""
    story, whistled, unit = Story(town), Town(town), f"u{uuid4().hex}"
    names = {name: str(uuid4()) for name in ("case_id", "change_set_id", "department", "code")}
    await town.hear(story.fact("case.opened.v1", OPENED, names["case_id"]))
    whistle = uuid4()
    whistled.events = story.events
    await town.hear(whistled.fact(blown(names["department"]), whistle=whistle))
    alias = {"code": names["code"], "zh": "旧村", "valid_to": "2020-07-31T00:00:00+08:00"}
    village = {"level": "village", "zh": "村", "parent": "town", "aliases": [alias]}
    line = {"kind": "unit", "id": unit, "body": village}
    assert (await town.post_set(names["change_set_id"], [*UNITS, line])).status_code == 200
    return {**names, "whistle_id": str(whistle), "unit": unit, "record_id": unit}


@pytest.fixture
async def theirs(neighbour: Office) -> dict[str, str]:
    return await ids_of(neighbour)


@pytest.mark.parametrize(
    ("caller", "asks"), [("operator", [*READS, *WRITES]), ("center_clerk", READS)]
)
async def test_another_towns_ids_are_answered_like_none_at_every_door(
    office: Office, theirs: dict[str, str], caller: str, asks: list[Ask]
) -> None:
    assert (await office.post_set("own", [PROFILE, *UNITS])).status_code == 200
    headers = office.headers(caller, units=["town"])

    async def send(method: str, url: str, content: bytes | None) -> httpx.Response:
        return await office.http.request(method, url, content=content, headers=headers)

    kind = {"kind": "unit", "group": "hiv"}  # they are nobody's
    await walk(asks, theirs | kind, {name: str(uuid4()) for name in theirs} | kind, send)


async def test_every_door_that_takes_an_id_is_asked(office: Office, theirs: Ids) -> None:
    document = (await office.http.get("/openapi.json")).json()
    doors = doors_taking(document, {*theirs, "after"})
    assert doors == {ask.door for ask in (*READS, *WRITES)}
