"""What elements, links and party units name must be there, and be what the town's profile knows."""

from typing import Any

import pytest

from tests import factories
from tests.component.ledger.office import Office

Line = dict[str, Any]


def line(kind: str, record_id: str, **body: Any) -> Line:
    return {"kind": kind, "id": record_id, "body": body}


def removed(kind: str, record_id: str) -> Line:
    return {"kind": kind, "id": record_id, "body": None}


def profile(town: str) -> Line:
    return next(dict(one) for one in factories.town_lines(town, town) if one["kind"] == "profile")


def link(name: str, **changes: Any) -> Line:
    body = {"link": "party_household", "staff": "pc", "to_kind": "household", "to": "h1"}
    return line("link", name, **{**body, **changes})


def branch(name: str, **changes: Any) -> Line:
    body = {"level": "p_village", "zh": "党支部", "units": ["v1"], "parent": "pt"}
    return line("party_unit", name, **{**body, **changes})


TOWN = [
    profile("gucheng"),
    line("unit", "town", level="town", zh="镇"),
    line("unit", "v1", level="village", zh="村", parent="town"),
    line("unit", "g1", level="grid", zh="一格", parent="v1"),
    line("staff", "pc", name="王", posts=[{"unit": "g1", "role": "party_contact"}]),
    line("household", "h1", grid="g1", head="p1", household_class="monitored"),
    line("person", "p1", name="王", household="h1", flags=["special_group"]),
    line("place", "a1", grid="g1", name="宅", subtype="homestead"),
    line("organisation", "o1", unit="v1", name="合作社", subtype="cooperative"),
    line("party_unit", "pt", level="p_town", zh="党委"),
    branch("pv", organisation="o1", instructor="pc"),
    link("l1"),
]


@pytest.fixture
async def town(office: Office) -> Office:
    """Ledger, with a grid, one household in it, and who looks after it."""
    assert (await office.post_set("town", TOWN)).json()["entries"] == len(TOWN)
    return office


async def refusals(office: Office, *lines: Line) -> list[tuple[str, str, str]]:
    answer = await office.post_set("bad", lines)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "change_set_unfit"), problem
    assert len(await office.rows("change_set")) == 1
    return [(f"{o['kind']}/{o['id']}", o["field"], o["message"]) for o in problem["errors"]]


UNFIT: list[tuple[str, Line, str, str]] = [
    ("a person of no household", line("person", "p2", name="李", household="h9"), "household",
     "没有户 h9"),
    ("a head who is nobody", line("household", "h2", grid="g1", head="p9"), "head", "没有人 p9"),
    ("a head who lives elsewhere", line("household", "h2", grid="g1", head="p1"), "head",
     "不住在这一户"),
    ("a household in a village", line("household", "h2", grid="v1"), "grid", "它是行政村"),
    ("a class of another town", line("household", "h2", grid="g1", household_class="resettled"),
     "household_class", "有：ordinary, out_of_poverty, monitored"),
    ("one more class", line("household", "h2", grid="g1", more_classes=["x"]), "more_classes.0",
     "没有 x"),
    ("an unknown flag", line("person", "p2", name="李", flags=["x"]), "flags.0", "没有 x"),
    ("a place in no grid", line("place", "a2", grid="g9", name="x"), "grid", "没有单位 g9"),
    ("a thing at no place", line("thing", "t", grid="g1", place="a9"), "place", "没有地点 a9"),
    ("an unknown subtype", line("thing", "t", grid="g1", subtype="x"), "subtype", "camera"),
    ("a matter of nobody", line("matter", "m", unit="v1", begins="2025-01-01", persons=["p9"]),
     "persons.0", "没有人 p9"),
    ("an organisation of no unit", line("organisation", "o2", unit="v9", name="x"), "unit",
     "没有单位 v9"),
    ("an unknown link", link("l2", link="x"), "link", "party_household"),
    ("a link of nobody", link("l2", staff="s9"), "staff", "没有工作人员 s9"),
    ("a link to no household", link("l2", to="h9"), "to", "没有户 h9"),
    ("a link to the wrong kind", link("l2", to_kind="unit", to="g1"), "to_kind", "household"),
    ("a link of the wrong role", link("l2", link="worker_grid", to_kind="unit", to="g1"), "staff",
     "农村网格员"),
    ("a branch of no level", branch("p2", level="x"), "level", "p_village"),
    ("a branch of nothing", branch("p2", units=["v9"]), "units.0", "没有单位 v9"),
    ("a branch at a grid", branch("p2", units=["g1"]), "units.0", "village"),
    ("a branch below a branch", branch("p2", parent="pv"), "parent", "p_town"),
    ("a branch above itself", branch("pv", parent="pv"), "parent", "p_town"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "field", "said"), [row[1:] for row in UNFIT], ids=[row[0] for row in UNFIT]
)
async def test_what_a_record_names_must_be_there(
    town: Office, bad: Line, field: str, said: str
) -> None:
    (found,) = await refusals(town, bad)
    assert found[:2] == (f"{bad['kind']}/{bad['id']}", field)
    assert said in found[2]


async def test_a_link_to_a_closed_grid_is_named(town: Office) -> None:
    worker = [{"unit": "g2", "role": "grid_worker"}]
    lines = [
        line("unit", "g2", level="grid", zh="二格", parent="v1"),
        line("staff", "w", name="赵", posts=worker),
        link("l2", link="worker_grid", staff="w", to_kind="unit", to="g2"),
    ]
    assert (await town.post_set("more", lines)).status_code == 200
    gone = [removed("unit", "g2"), removed("staff", "w")]
    answer = (await town.post_set("close", gone)).json()
    assert [(one["kind"], one["id"]) for one in answer["errors"]] == [
        ("staff", "w"), ("unit", "g2"),
    ]  # fmt: skip
    assert all("还有 1 条联系记录用到它" in one["message"] for one in answer["errors"])
    assert (await town.post_set("both", [*gone, removed("link", "l2")])).status_code == 200
    late = link("l3", link="worker_grid", staff="pc", to_kind="unit", to="g2")
    fields = [one["field"] for one in (await town.post_set("late", [late])).json()["errors"]]
    assert fields == ["to", "staff"]


async def test_what_others_name_stays_until_they_leave(town: Office) -> None:
    found = await refusals(town, removed("household", "h1"), removed("organisation", "o1"))
    assert [one[:2] for one in found] == [
        ("household/h1", "body"), ("household/h1", "body"), ("organisation/o1", "body"),
    ]  # fmt: skip
    gone = [removed(*one) for one in (("household", "h1"), ("person", "p1"), ("link", "l1"))]
    assert (await town.post_set("leave", gone)).status_code == 200


async def test_a_branch_of_two_is_refused_a_joint_one_proposed_and_three_are_enough(
    office: Office,
) -> None:
    base = [profile("changping"), *TOWN[1:4], line("party_unit", "pt", level="p_town", zh="党委")]
    assert (await office.post_set("town", base)).status_code == 200
    coop = {"level": "p_branch", "zh": "合作社支部", "members": 2}
    ((record, field, message),) = await refusals(office, branch("pc", **coop))
    assert (record, field) == ("party_unit/pc", "members")
    assert "至少要 3 名：改设联合党支部 p_joint_branch，配指导员" in message
    three = branch("pc", **{**coop, "members": 3})
    joint = branch("pj", **{**coop, "level": "p_joint_branch", "instructor": None})
    assert (await office.post_set("good", [three, joint])).status_code == 200


async def test_only_what_readers_need_goes_out(town: Office) -> None:
    out = {f"{one.kind}/{one.record_id}": one for one in await town.published()}
    kinds = {key.partition("/")[0] for key in out}
    assert kinds == {"profile", "unit", "staff", "household"}
    home = out["household/h1"].body or b""
    assert b"head" not in home
    assert b"sealed" not in home
    assert b"monitored" in home


async def test_links_wait_for_the_profile(office: Office) -> None:
    lines = [one for one in TOWN if one["kind"] not in ("profile", "party_unit")]
    answer = (await office.post_set("early", lines)).json()
    assert [(one["field"], one["message"][:7]) for one in answer["errors"]] == [
        ("link", "先登记镇配置。")
    ]


async def test_a_place_in_no_list_is_remarked_upon_and_recorded(office: Office) -> None:
    def person(name: str, number: str) -> Line:
        return line("person", name, name="王", id_number=number)

    here, abolished, nowhere = "11010519491231002X", "320323194912310014", "790105194912310026"
    lines = [person(f"p{n}", one) for n, one in enumerate((here, abolished, nowhere))]
    (warning,) = (await office.post_set("first", lines)).json()["warnings"]
    assert warning.startswith("第 3 行 person/p2 的 id_number")
    places = line(
        "code_list", "divisions:2024", list="divisions", version="2024", source="GB/T 2260",
        confidence="stated", valid_from="2024-01-01", items=[{"code": "110105", "zh": "某区"}],
    )  # fmt: skip
    assert (await office.post_set("places", [places])).json()["warnings"] == []
    warnings = (await office.post_set("again", lines)).json()["warnings"]
    assert [one.split(" ")[3] for one in warnings] == ["person/p1", "person/p2"]
    assert not [one for one in warnings if abolished in one or nowhere in one]
    twice = (await office.post_set("twice", [*lines, person("p9", here)])).json()
    ((at, field, message),) = ((e["line"], e["field"], e["message"]) for e in twice["errors"])
    assert (at, field) == (4, "id_number")
    assert message.startswith("与第 1 行的号码相同")
