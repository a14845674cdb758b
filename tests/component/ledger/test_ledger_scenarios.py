"""What the towns' documents ask of the registry, played through its doors."""

from collections.abc import Mapping
from typing import Any

from tests import factories
from tests.component.ledger.office import Office

Line = dict[str, Any]
FOUNDED = "2020-01-01T00:00:00+08:00"
KINDS = ("person", "place", "thing", "matter", "organisation")


def line(kind: str, record_id: str, **body: Any) -> Line:
    return {"kind": kind, "id": record_id, "body": body}


def town_of(profile: str) -> list[Line]:
    found = [dict(one) for one in factories.town_lines(profile) if one["kind"] == "profile"]
    return [
        *found,
        line("unit", "town", level="town", zh="镇"),
        line("unit", "v1", level="village", zh="村", parent="town"),
        line("unit", "g1", level="grid", zh="一格", parent="v1"),
        line("unit", "g2", level="grid", zh="二格", parent="v1"),
    ]


async def shown(office: Office, path: str, **query: str) -> Mapping[str, Any]:
    answer = await office.http.get(f"/v1/registry/{path}", params=query, headers=office.headers())
    assert answer.status_code == 200, answer.text
    told: Mapping[str, Any] = answer.json()
    return told


async def test_the_ledger_of_elements_keeps_its_history(office: Office) -> None:
    """YDK-S10: an address is changed on a day; the day before shows the old one."""
    elements = [
        line("household", "h1", grid="g1", address="迎春路 12 号"),
        line("household", "h2", grid="g2", address="河边 3 号"),
        line("person", "p1", household="h1", name="王秀英"),
        line("person", "p2", household="h2", name="李四"),
        line("place", "square", grid="g1", name="广场"),
        line("thing", "camera", grid="g1", place="square", name="摄像头"),
        line("matter", "festival", unit="g1", begins="2025-02-01", name="庙会"),
        line("organisation", "shop", unit="g1", name="小卖部"),
        line("place", "gate", grid="g2", name="村口"),
    ]
    lines = [*town_of("yidukou"), *elements]
    assert (await office.post_set("town", lines, valid_from=FOUNDED)).status_code == 200
    moved = line("person", "p1", household="h2", name="王秀英")
    rebuilt = line("household", "h1", grid="g1", address="新华路 8 号")
    at = "2025-03-05T00:00:00+08:00"
    assert (await office.post_set("march", [rebuilt, moved], valid_from=at)).status_code == 200

    before, after = {"as_of": "2025-03-04T23:59:59+08:00"}, {"as_of": at}
    assert (await shown(office, "person/p1", **before))["body"]["household"] == "h1"
    assert (await shown(office, "person/p1", **after))["body"]["household"] == "h2"
    versions = (await shown(office, "household/h1/history"))["versions"]
    assert [one["change_set"] for one in versions] == ["march", "town"]
    was = (await shown(office, "household/h1", **before))["version"]
    assert (was, (await shown(office, "household/h1", **after))["version"]) == (1, 2)

    async def listed(grid: str, **times: str) -> list[list[str]]:
        pages = [(await shown(office, kind, unit=grid, **times))["records"] for kind in KINDS]
        return [[one["id"] for one in page] for page in pages]

    assert await listed("g1", **before) == [["p1"], ["square"], ["camera"], ["festival"], ["shop"]]
    assert await listed("g1", **after) == [[], ["square"], ["camera"], ["festival"], ["shop"]]
    assert await listed("g2", **after) == [["p1", "p2"], ["gate"], [], [], []]


async def test_who_has_left_poverty_is_still_watched_and_was_of_another_class(
    office: Office,
) -> None:
    """CP-S13: 1,393 households with 3,670 persons; a change keeps the former class."""
    homes, people = 1_393, 3_670
    lines = [
        *town_of("changping"),
        *(
            line("household", f"h{n}", grid="g1", household_class="out_of_poverty", watched=True)
            for n in range(homes)
        ),
        *(line("person", f"p{n}", household=f"h{n % homes}", name="某") for n in range(people)),
        line("household", "other", grid="g1"),
        line("person", "neighbour", household="other", name="某"),
    ]
    assert (await office.post_set("town", lines, valid_from=FOUNDED)).status_code == 200
    told = await shown(office, "coverage")
    held = {one["of"]: one["held"] for one in told["figures"]}
    assert held["class/out_of_poverty"] == homes
    assert held["persons/out_of_poverty"] == people
    ordinary = line("household", "h7", grid="g1", household_class="ordinary", watched=True)
    at = "2025-03-05T00:00:00+08:00"
    assert (await office.post_set("again", [ordinary], valid_from=at)).status_code == 200
    then = (await shown(office, "household/h7", as_of="2025-03-04T00:00:00+08:00"))["body"]
    assert (then["household_class"], then["watched"]) == ("out_of_poverty", True)
    assert (await shown(office, "household/h7"))["body"]["household_class"] == "ordinary"
    told = await shown(office, "coverage")
    assert {one["of"]: one["held"] for one in told["figures"]}["class/out_of_poverty"] == homes - 1
