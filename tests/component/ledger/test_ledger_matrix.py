"""The doors themselves, role by act by record, for every profile, beside a second rule."""

import pytest

from tests import factories, rights
from tests.component.ledger.office import Office

READS = (
    ("read", "unit", "unit/{grid}"),
    ("read", "person", "person/{person}"),
    ("read", "staff", "staff/{staff}"),
    ("history", "household", "household/{household}/history"),
    ("list", "household", "household?unit={grid}"),
    ("list", "person", "person?household={household}"),
    ("list", "department", "department"),
    ("coverage", "profile", "coverage"),
)
WHOLE = ("department", "profile")
STATUS = {"allowed": 200}


@pytest.mark.parametrize("profile", rights.PROFILES)
async def test_every_door_answers_as_a_second_rule_says(office: Office, profile: str) -> None:
    lines = factories.town_lines(profile, office.tenant)
    assert (await office.post_set("seed", lines)).status_code == 200
    units = {one["id"]: one["body"].get("parent") for one in lines if one["kind"] == "unit"}
    children = {parent: [u for u, p in units.items() if p == parent] for parent in units.values()}
    first = {one["kind"]: one for one in reversed(lines) if one["kind"] in ("household", "person")}
    home = next(o for o in lines if o["id"] == first["person"]["body"]["household"])
    grid = home["body"]["grid"]
    posted = next(
        o for o in lines if o["kind"] == "staff" and o["body"]["posts"][0]["unit"] == grid
    )
    root = next(unit for unit, parent in units.items() if parent is None)
    other = next(one for one in units if one not in (root, units[grid], grid))
    ids = {"grid": grid, "household": home["id"], "person": first["person"]["id"],
           "staff": posted["id"]}  # fmt: skip
    for role, can in rights.roles_of(lines).items():
        for unit in (root, grid, other):
            for verb, kind, path in READS:
                asked = root if kind in WHOLE else grid
                within = asked in rights.below(unit, children)
                code = rights.code(role, can, verb, kind, within=within)
                answer = await office.get(f"/v1/registry/{path.format(**ids)}", role, units=[unit])
                told = (answer.status_code, answer.json().get("code", "allowed"))
                assert told == (STATUS.get(code, 403), code), (role, unit, path)
