"""The pages of the registry: the console's doors before ledger's own, each on a real database."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from services.chassis.http import make_app
from services.chassis.token import TokenCheck
from services.console.api import add_pages
from services.console.ledger import Ledger
from services.console.register import COOKIE, Register, add_register
from tests import factories
from tests.component.console.world import Story, World
from tests.component.ledger.office import Office, open_office
from tests.conftest import Database

TOWN = "gucheng"  # with keys of its own beside the other's, and flags of persons
HOSTILE = "<script>alert(1)</script>"


@dataclass
class Desk:
    """Somebody at the pages of a town that ledger holds."""

    world: World
    office: Office
    lines: list[dict[str, Any]]

    @property
    def home(self) -> dict[str, Any]:
        return next(one for one in self.lines if one["kind"] == "household")

    @property
    def grid(self) -> str:
        grid: str = self.home["body"]["grid"]
        return grid

    def token(self, *roles: str, tenant: str = TOWN, **who: Any) -> str:
        return factories.token(self.office.secrets, *(roles or ("operator",)), tenant=tenant, **who)

    @asynccontextmanager
    async def browser(
        self, token: str | None = None, ledger: httpx.AsyncClient | None = None
    ) -> AsyncIterator[httpx.AsyncClient]:
        app = make_app("console", {})
        add_pages(app, self.world.hall())
        tokens = TokenCheck(self.world.settings.token_key_file)
        add_register(app, Register(self.world.towns, tokens, Ledger(ledger or self.office.http)))
        cookies = {COOKIE: token} if token else {}
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://console", cookies=cookies
        ) as http:
            yield http

    async def page(self, path: str, token: str | None = None, **params: str) -> httpx.Response:
        async with self.browser(token or self.token()) as http:
            return await http.get(f"/{TOWN}/{path}", params=params)


@pytest.fixture
async def desk(world: World, database: Database, tmp_path: Any) -> AsyncIterator[Desk]:
    world.town(tenant=TOWN, profile=TOWN)
    secrets = factories.secrets(tmp_path, factories.TENANT, "gucheng", "other")
    async with open_office(await database("ledger"), secrets) as opened:
        office = opened.of(TOWN)
        lines = [*factories.town_lines(TOWN, TOWN)]
        assert (await office.post_set("seed", lines, reason="建档")).status_code == 200
        yield Desk(world, office, lines)


def plain(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_a_grids_page_names_its_people_and_households_masked(desk: Desk) -> None:
    answer = await desk.page(f"grids/{desk.grid}")
    assert answer.status_code == 200, answer.text
    text = plain(answer.text)
    assert "谁在这里" in text
    homes = [one["id"] for one in desk.lines if one["kind"] == "household"
             and one["body"]["grid"] == desk.grid]  # fmt: skip
    assert all(f'href="/{TOWN}/households/{one}"' in answer.text for one in homes)
    assert f"{len(homes)} 户" in text
    for one in desk.lines:
        for name in ("phone", "id_number"):
            assert str(one["body"].get(name) or "-" * 20) not in answer.text
    assert "Who is here" in plain((await desk.page(f"grids/{desk.grid}", lang="en")).text)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'; base-uri 'none'; form-action 'self'")
    assert answer.headers["cache-control"] == "no-store"
    assert "style=" not in answer.text
    assert "<script" not in answer.text


async def test_a_households_page_tells_its_history_and_how_it_was(desk: Desk) -> None:
    home = desk.home
    before = {**home["body"], "address": "镇东1号" + HOSTILE}
    watched = {**home, "body": {**before, "watched": True}}
    answer = await desk.office.post_set("w", [watched], reason=f"独居{HOSTILE}")
    assert answer.status_code == 200, answer.text
    answer = await desk.page(f"households/{home['id']}")
    text = plain(answer.text)
    assert answer.status_code == 200
    assert "重点关注" in text
    assert "重点关注 （空） → 是" in text
    assert "原因：独居&lt;script&gt;" in text
    assert "原因：建档" in text
    assert "<script" not in answer.text
    then = await desk.page(f"households/{home['id']}", known_on="1999-12-31")
    assert (then.status_code, "那时没有这一户" in then.text) == (404, True)
    today = await desk.page(f"households/{home['id']}", as_of="2012-05-05", known_on="")
    assert "那时没有这一户" in today.text
    wrong = await desk.page(f"households/{home['id']}", as_of="5 May")
    assert (wrong.status_code, "日期没看懂" in wrong.text) == (422, True)


async def test_nobody_sees_a_page_before_he_has_signed_in(desk: Desk) -> None:
    path = f"/{TOWN}/grids/{desk.grid}"
    async with desk.browser() as http:
        answer = await http.get(path)
        assert (answer.status_code, "请先登录" in answer.text) == (401, True)
        assert f'name="to" value="{path}"' in answer.text
        answer = await http.post(f"/{TOWN}/sign-in", data={"token": "nonsense", "to": path})
        assert (answer.status_code, "这个令牌不能用" in answer.text) == (401, True)
        elsewhere = {"origin": "https://elsewhere.example"}
        given = {"token": desk.token(), "to": path}
        answer = await http.post(f"/{TOWN}/sign-in", data=given, headers=elsewhere)
        assert "set-cookie" not in answer.headers
        answer = await http.post(f"/{TOWN}/sign-in", data=given)
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        kept = answer.headers["set-cookie"]
        assert "HttpOnly" in kept
        assert "SameSite=strict" in kept
        assert (await http.get(path)).status_code == 200
        await http.post(f"/{TOWN}/sign-out")
        assert (await http.get(path)).status_code == 401


@pytest.mark.parametrize("to", ["https://elsewhere.example/", "//elsewhere.example/grids/g",
                                "/other/grids/g", f"/{TOWN}/grids/\\x"])  # fmt: skip
async def test_signing_in_never_leads_elsewhere(desk: Desk, to: str) -> None:
    async with desk.browser() as http:
        answer = await http.post(f"/{TOWN}/sign-in", data={"token": desk.token(), "to": to})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_what_is_in_the_way_has_a_page_of_its_own(desk: Desk) -> None:
    empty = {
        "kind": "unit",
        "id": "bare",
        "body": {"level": "grid", "zh": "新网格", "parent": "v1"},
    }
    assert (await desk.office.post_set("bare", [empty])).status_code == 200
    foreign = desk.token(tenant="other")
    outsider = desk.token("grid_worker", units=["nowhere"])
    for path, token, status, said in (
        ("grids/bare", None, 200, "这个网格还没有登记住户"),
        ("grids/gone", None, 404, "没有找到"),
        ("households/gone", None, 404, "没有找到"),
        ("households/a%00", None, 404, "没有找到"),
        (f"grids/{'g' * 300}", None, 404, "没有找到"),
        (f"grids/{desk.grid}", foreign, 403, "这是另一个镇的页面"),
        (f"grids/{desk.grid}", outsider, 403, "这里不归您的单位"),
    ):
        answer = await desk.page(path, token)
        assert (answer.status_code, said in answer.text) == (status, True), path
    async with desk.browser(desk.token()) as http:
        answer = await http.get("/nowhere/grids/g")
        assert (answer.status_code, "没有这个镇" in answer.text) == (404, True)
    async with (
        httpx.AsyncClient(base_url="http://127.0.0.1:1") as nobody,
        desk.browser(desk.token(), nobody) as http,
    ):
        answer = await http.get(f"/{TOWN}/grids/{desk.grid}")
    assert (answer.status_code, answer.headers["refresh"]) == (503, "5")
    assert "台账没有应答" in answer.text


async def test_every_file_and_page_to_which_a_page_leads_is_there(desk: Desk) -> None:
    async with desk.browser(desk.token()) as http:
        html = (await http.get(f"/{TOWN}/grids/{desk.grid}")).text
        html += (await http.get(f"/{TOWN}/households/{desk.home['id']}")).text
        for target in sorted(set(re.findall(r'(?:href|src)="(/[^"]+)"', html))):
            assert (await http.get(target)).status_code == 200, target
    assert not re.findall(r'(?:href|src)="(?:https?:)?//', html)
    ids = re.findall(r' id="([^"]+)"', html)
    for named in re.findall(r'aria-(?:labelledby|describedby)="([^"]+)"', html):
        assert named in ids


async def test_a_case_on_the_board_leads_to_its_grid_where_there_is_a_ledger(desk: Desk) -> None:
    await desk.world.hear(Story(tenant=TOWN).opened(grid=desk.grid, village=None))
    link = f'href="/{TOWN}/grids/{desk.grid}"'
    settings = desk.world.settings.model_copy(update={"ledger_url": "http://ledger"})
    beside = World(desk.world.pool, desk.world.ring, settings, towns=desk.world.towns)
    for world, linked in ((desk.world, False), (beside, True)):
        async with world.browser() as http:
            html = (await http.get(f"/board/{TOWN}")).text
        assert (link in html) is linked
