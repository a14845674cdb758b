"""What no case names is counted, hidden after some days, and then removed; all else stays."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY

from contracts.events import Event, effect_id
from contracts.facts import CaseOpenedV1, Owner
from deploy.local.ports import unused_ports
from deploy.local.secrets import Secrets
from services.intake import posted
from services.intake.contents import Contents
from services.intake.settings import IntakeSettings
from tests import factories
from tests.component.intake import files
from tests.component.intake.window import (
    REPORT,
    RIGHT,
    Window,
    open_window,
    small_town,
    told,
)
from tests.factories import START, TENANT
from tests.waiting import until

KEY = {"X-Api-Key": "demo-key"}
GONE = (422, "attachment_gone")


@pytest.fixture(autouse=True)
async def nothing_posted(window: Window) -> None:
    await window.pool.execute("TRUNCATE attachment_posted, case_attachment, case_reach")


def pdf(size: int = 100) -> bytes:
    return files.PDF[:-6] + b"\0" * size + files.PDF[-6:]


async def post(window: Window, content: bytes = files.PDF, **headers: str) -> httpx.Response:
    return await window.http.post("/v1/attachments", content=content, headers={**KEY, **headers})


async def kept(window: Window, content: bytes = files.PDF, **headers: str) -> str:
    answer = await post(window, content, **headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["attachment_id"])


async def report(window: Window, *ids: str) -> httpx.Response:
    return await window.post({**REPORT, "attachments": ids})


async def is_handed_out(window: Window, id_: str, **headers: str) -> bool:
    answer = await window.http.get(f"/v1/attachments/{id_}", headers={**KEY, **headers})
    assert answer.status_code in (200, 404)
    return answer.status_code == 200


async def grow_old(window: Window, *ids: str) -> None:
    """Let what the sweep looks at some day be looked at now."""
    await window.pool.execute(
        """
        UPDATE attachment_posted
        SET due_at = clock_timestamp()
        WHERE attachment_id = ANY($1::text[])
        """,
        ids,
    )


async def sweep(window: Window) -> None:
    while await window.unnamed.sweep_one():
        pass


async def swept(window: Window, *ids: str) -> None:
    """Let two days pass: on the first it is hidden, on the next removed."""
    for _ in range(2):
        await grow_old(window, *ids)
        await sweep(window)


def opened(*ids: str) -> Event:
    case_id = uuid4()
    fact = CaseOpenedV1(
        number="250303-0001", front_end="demo", category="other", severity="ordinary",
        case_class="general", flow="closed_loop", profile_version=1, state="reported",
        owner=Owner(unit="g01", role="grid_worker", staff="s-1"), received_at=START,
        attachments=ids,
    )  # fmt: skip
    return Event(
        event_id=effect_id(case_id, "opened"),
        tenant_id=TENANT,
        subject_id=case_id,
        occurred_at=START,
        source="/routing",
        data=fact,
        seq=1,
    )


def on_disk(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


def counted() -> float:
    return REGISTRY.get_sample_value("chuishao_attachments_swept_total") or 0


async def test_what_no_case_names_is_hidden_and_a_day_later_removed(
    window: Window, tmp_path: Path
) -> None:
    id_, before = await kept(window), counted()
    assert told(await report(window, id_)) == RIGHT
    await grow_old(window, id_)
    await sweep(window)
    assert len(on_disk(tmp_path)) == 2  # itself and who posted it: nothing is lost yet
    assert not await is_handed_out(window, id_)
    assert told(await report(window, id_)) == GONE
    await grow_old(window, id_)
    await sweep(window)
    assert list((tmp_path / "attachments").iterdir()) == []
    assert await window.pool.fetchval("SELECT count(*) FROM attachment_posted") == 0
    assert told(await report(window, id_)) == GONE
    assert counted() == before + 1


async def test_what_is_young_stays_and_grows_young_again_when_it_is_posted_again(
    window: Window,
) -> None:
    id_ = await kept(window)
    assert not await window.unnamed.sweep_one()
    await grow_old(window, id_)
    assert (await post(window)).status_code == 200
    assert not await window.unnamed.sweep_one()
    days = await window.pool.fetchval(
        "SELECT extract(day FROM due_at - clock_timestamp()) FROM attachment_posted"
    )
    assert days == 29
    assert await is_handed_out(window, id_)


async def test_what_a_case_names_stays(window: Window) -> None:
    named, other = await kept(window), await kept(window, pdf())
    await window.hear(opened(named))
    await swept(window, named, other)
    assert await is_handed_out(window, named)
    assert not await is_handed_out(window, other)
    assert await window.pool.fetchval("SELECT count(*) FROM attachment_posted") == 0


async def test_what_was_posted_before_all_this_stays(window: Window) -> None:
    id_ = await kept(window)
    await window.pool.execute("TRUNCATE attachment_posted")
    await sweep(window)
    assert (await post(window)).status_code == 200
    await swept(window, id_)
    assert await is_handed_out(window, id_)


async def test_what_another_front_end_has_posted_since_stays(window: Window) -> None:
    window.front_end("second-key", "second")
    id_ = await kept(window)
    await grow_old(window, id_)
    second = {"X-Api-Key": "second-key"}
    assert (await post(window, files.PDF, **second)).status_code == 200
    await sweep(window)
    assert await is_handed_out(window, id_)
    assert await is_handed_out(window, id_, **second)


async def test_the_same_bytes_of_another_town_stay(window: Window) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("other-key", "other", tenant="gucheng")
    other = {"X-Api-Key": "other-key"}
    ours, theirs = await kept(window), await kept(window, files.PDF, **other)
    await swept(window, ours)
    assert not await is_handed_out(window, ours)
    assert await is_handed_out(window, theirs, **other)


async def test_what_was_named_just_before_it_was_hidden_is_shown_again(window: Window) -> None:
    id_ = await kept(window)
    await grow_old(window, id_)
    await sweep(window)
    await window.hear(opened(id_))
    await sweep(window)
    assert await is_handed_out(window, id_)
    assert told(await report(window, id_)) == RIGHT
    await swept(window, id_)
    assert await is_handed_out(window, id_)


async def test_what_was_hidden_by_one_who_died_is_shown_again_once_it_is_named(
    window: Window, tmp_path: Path
) -> None:
    id_ = await kept(window)
    await contents(window, tmp_path).hide(TENANT, id_)
    await window.hear(opened(id_))
    await grow_old(window, id_)
    await sweep(window)
    assert await is_handed_out(window, id_)


async def test_what_was_hidden_or_removed_may_be_posted_again(window: Window) -> None:
    id_ = await kept(window)
    for rounds in (1, 2):
        for _ in range(rounds):
            await grow_old(window, id_)
            await sweep(window)
        assert told(await report(window, id_)) == GONE
        assert await kept(window) == id_
        assert told(await report(window, id_)) == RIGHT
        await sweep(window)
        assert await is_handed_out(window, id_)
    await swept(window, id_)
    assert not await is_handed_out(window, id_)


def contents(window: Window, place: Path) -> Contents:
    url = (place / "attachments").as_uri()
    settings = factories.settings(IntakeSettings, window.secrets, attachment_url=url)
    return Contents(settings, window.ring)


async def waits_for_a_row(window: Window) -> bool:
    asked = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid())"
    return bool(await window.pool.fetchval(asked))


async def test_what_is_posted_again_while_it_is_being_hidden_is_kept_anew(
    window: Window, tmp_path: Path
) -> None:
    id_ = await kept(window)
    await grow_old(window, id_)
    async with window.pool.acquire() as conn, conn.transaction():
        one = await posted.due(conn)
        assert one is not None
        assert not await window.unnamed.sweep_one()  # another's round passes it over
        again = asyncio.create_task(post(window))
        await until(lambda: waits_for_a_row(window), "who posts it again waits")
        assert told(await report(window, id_)) == RIGHT
        await contents(window, tmp_path).hide(TENANT, id_)
        assert told(await report(window, id_)) == GONE
        await posted.hidden(conn, one)
    assert (await again).status_code == 201
    assert told(await report(window, id_)) == RIGHT
    assert not await window.unnamed.sweep_one()
    assert await is_handed_out(window, id_)


async def test_what_is_heard_of_while_it_is_being_hidden_is_shown_again(
    window: Window, tmp_path: Path
) -> None:
    id_ = await kept(window)
    await grow_old(window, id_)
    async with window.pool.acquire() as conn, conn.transaction():
        one = await posted.due(conn)
        assert one is not None
        heard = asyncio.create_task(window.hear(opened(id_)))
        await until(lambda: waits_for_a_row(window), "who hears of it waits")
        await contents(window, tmp_path).hide(TENANT, id_)
        await posted.hidden(conn, one)
    await heard
    await sweep(window)
    assert await is_handed_out(window, id_)


async def test_every_door_tells_that_it_is_to_be_posted_again(window: Window) -> None:
    gone, there = await kept(window), await kept(window, pdf())
    await swept(window, gone)
    answer = await report(window, there, gone)
    assert told(answer) == GONE
    assert [one["field"] for one in answer.json()["errors"]] == ["attachments.1"]
    assert "重新上传" in answer.json()["title"]
    line = json.dumps({**REPORT, "attachments": [gone], "idempotency_key": "k1"})
    batch = await window.http.post("/v1/cases:batch", content=line, headers=KEY)
    assert json.loads(batch.text)["problem"]["code"] == "attachment_gone"
    case = uuid4()
    more = {"description": "灯杆也歪了", "attachments": [gone]}
    more["tracking_code"] = window.ring.tracking_code(TENANT, str(case))
    url = f"/v1/cases/{case}/follow-ups"
    headers = {**KEY, "Idempotency-Key": "f1"}
    assert told(await window.http.post(url, json=more, headers=headers)) == GONE


async def test_one_that_cannot_be_hidden_holds_up_no_other(window: Window, tmp_path: Path) -> None:
    stuck, other = await kept(window), await kept(window, pdf())
    (place,) = (path for path in on_disk(tmp_path) if path.name == stuck)
    in_the_way = place.with_name(f"{stuck}.gone") / "x"
    in_the_way.parent.mkdir()
    in_the_way.touch()
    await grow_old(window, stuck)
    await grow_old(window, other)
    await sweep(window)
    assert await is_handed_out(window, stuck)
    assert not await is_handed_out(window, other)


@pytest.fixture
async def narrow(intake_dsn: str, intake_secrets: Secrets, tmp_path: Path) -> AsyncIterator[Window]:
    more: dict[str, Any] = {"attachment_unnamed_bytes_max": 2**20}
    url = (tmp_path / "narrow").as_uri()
    async with open_window(intake_dsn, intake_secrets, attachment_url=url, **more) as opened:
        yield opened


async def test_a_front_end_keeps_so_much_that_no_case_names_and_no_more(narrow: Window) -> None:
    narrow.front_end("second-key", "second")
    first = await kept(narrow, pdf(600_000))
    over = await post(narrow, pdf(600_001))
    assert told(over) == (429, "attachments_unnamed")
    assert (over.json()["limit"], over.headers["retry-after"]) == (2**20, "3600")
    assert "1 MiB" in over.json()["title"]
    assert "30 天" in over.json()["title"]
    assert (await post(narrow, pdf(600_000))).status_code == 200
    assert (await post(narrow, pdf(600_002), **{"X-Api-Key": "second-key"})).status_code == 201
    await narrow.hear(opened(first))
    assert (await post(narrow, pdf(600_001))).status_code == 201


async def test_small_files_count_as_what_they_take_of_a_disk(narrow: Window) -> None:
    most = 2**20 // (16 * 1024)
    answers = [(await post(narrow, pdf(n))).status_code for n in range(most + 1)]
    assert answers == [*[201] * most, 429]


async def test_without_the_database_no_file_is_kept_and_reports_go_on(
    window: Window, intake_secrets: Secrets, tmp_path: Path
) -> None:
    id_ = await kept(window)
    dsn = f"postgresql://nobody@127.0.0.1:{unused_ports(1)[0]}/nowhere"
    url, before = (tmp_path / "attachments").as_uri(), on_disk(tmp_path)
    async with open_window(dsn, intake_secrets, attachment_url=url) as cut_off:
        answer = await post(cut_off, pdf())
        assert told(answer) == (503, "not_now")
        assert answer.headers["retry-after"] == "5"
        assert told(await report(cut_off, id_)) == RIGHT
    assert on_disk(tmp_path) == before
