"""Attachments come in by their content, are drawn anew, and keep nothing that was not meant."""

import asyncio
import io
import json
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from contracts.events import case_id
from deploy.local.ports import unused_ports
from deploy.local.secrets import Secrets
from tests.component.intake import files
from tests.component.intake.window import RIGHT, Window, open_window, small_town, told
from tests.factories import TENANT

KEY = {"X-Api-Key": "demo-key"}


async def post(window: Window, content: bytes, path: str = "", **headers: str) -> httpx.Response:
    return await window.http.post(
        f"/v1/attachments{path}", content=content, headers={**KEY, **headers}
    )


async def kept(window: Window, content: bytes) -> dict[str, Any]:
    answer = await post(window, content)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def got(window: Window, id_: str, **headers: str) -> httpx.Response:
    return await window.http.get(f"/v1/attachments/{id_}", headers=headers or KEY)


def on_disk(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


async def test_a_photo_is_drawn_anew_and_its_time_and_place_are_evidence(
    window: Window, tmp_path: Path
) -> None:
    posted = files.photo()
    body = await kept(window, posted)
    assert body["evidence"] == {
        "taken_at": "2025-03-03T10:00:00",
        "position": {"lat": 37.7584722, "lon": 118.3675, "crs": "wgs84"},
    }
    assert (body["media_type"], body["width"], body["height"]) == ("image/jpeg", 30, 40)
    answer = await got(window, body["attachment_id"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert sha256(answer.content).hexdigest() == body["sha256"]
    seen = Image.open(io.BytesIO(answer.content))
    assert (seen.size, dict(seen.getexif())) == ((30, 40), {})
    for hidden in (files.SECRET.encode(), b"Exif", b"2025:03:03"):
        assert hidden in posted
        assert hidden not in answer.content
    stored = b"".join(path.read_bytes() for path in on_disk(tmp_path))
    assert stored
    for hidden in (answer.content[200:240], b"37.75", b"2025-03-03T10"):
        assert hidden not in stored


async def test_the_same_content_is_the_same_id_in_a_town_and_another_elsewhere(
    window: Window,
) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("other-key", "other", tenant="gucheng")
    first = await kept(window, files.PDF)
    again = await post(window, files.PDF, **{"Content-Type": "text/plain"})
    assert (again.status_code, again.json()) == (200, first)
    elsewhere = await post(window, files.PDF, **{"X-Api-Key": "other-key"})
    assert elsewhere.json()["attachment_id"] != first["attachment_id"]
    assert again.headers["location"] == f"/v1/attachments/{first['attachment_id']}"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (files.image("PNG"), "image/png"),
        (files.image("GIF"), "image/png"),
        (files.image("WEBP"), "image/jpeg"),
        (files.screenshot(), "image/png"),
        (files.PDF, "application/pdf"),
    ],
    ids=["png", "gif", "webp", "png with words", "pdf"],
)
async def test_what_is_taken_is_told_by_its_content_whatever_is_declared(
    window: Window, content: bytes, media_type: str
) -> None:
    answer = await post(window, content, **{"Content-Type": "image/svg+xml"})
    assert (answer.status_code, answer.json()["media_type"]) == (201, media_type)
    handed_out = await got(window, answer.json()["attachment_id"])
    assert handed_out.headers["content-type"] == media_type
    assert files.SECRET.encode() not in handed_out.content


REFUSED = [
    ("nothing", b"", (422, "attachment_empty"), ""),
    ("a zip bomb", files.zip_bomb(), (415, "attachment_type_not_taken"), "zip"),
    ("an SVG with a script", files.SVG, (415, "attachment_type_not_taken"), "svg"),
    ("a HEIC", files.HEIC, (415, "attachment_type_not_taken"), "heic"),
    ("a page", b" <html><script>", (415, "attachment_type_not_taken"), "markup"),
    ("a form", b"--x\r\nContent-Disposition", (415, "attachment_type_not_taken"), "multipart"),
    ("a PDF cut off", files.PDF[:20], (422, "pdf_unreadable"), ""),
    ("100 megapixels", files.huge_png(), (422, "image_too_many_pixels"), ""),
    ("a JPEG cut off", files.photo(size=(400, 300))[:4_000], (422, "image_unreadable"), ""),
    ("a PNG with a bomb of text", files.stuffed_png(), (422, "image_unreadable"), ""),
    ("a moving GIF", files.moving("GIF"), (422, "image_animated"), ""),
    ("a moving WebP", files.moving("WEBP"), (422, "image_animated"), ""),
    ("a page that begins like a GIF", b"GIF89a<script>alert(1)</script>",
     (422, "image_unreadable"), ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "wanted", "found"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED]
)
async def test_what_is_not_taken_is_refused_by_name_and_leaves_nothing(
    window: Window, tmp_path: Path, content: bytes, wanted: tuple[int, str], found: str
) -> None:
    answer = await post(window, content, **{"Content-Type": "image/jpeg"})
    assert told(answer) == wanted
    assert answer.json()["field"] == "body"
    assert answer.json().get("found", "") == found
    assert on_disk(tmp_path) == []


async def test_what_is_too_large_is_refused(intake_dsn: str, intake_secrets: Secrets) -> None:
    async with open_window(intake_dsn, intake_secrets, attachment_bytes_max=64 * 1024) as window:
        assert told(await post(window, b"\xff" * 70_000)) == (413, "body_too_large")


async def test_what_would_grow_too_much_drawn_anew_is_refused(
    intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> None:
    more = {"attachment_url": tmp_path.as_uri(), "attachment_bytes_max": 64 * 1024}
    async with open_window(intake_dsn, intake_secrets, **more) as window:
        answer = await post(window, files.growing_webp())
        assert told(answer) == (422, "image_too_large_drawn")
        assert (await post(window, files.image("WEBP"))).status_code == 201
    assert len([path for path in on_disk(tmp_path) if path.stat().st_size]) == 1


async def test_an_image_that_takes_too_long_is_told_and_leaves_nothing(
    intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> None:
    more = {"attachment_url": tmp_path.as_uri(), "attachment_redraw_deadline_s": 0.01}
    async with open_window(intake_dsn, intake_secrets, **more) as window:
        assert told(await post(window, files.image())) == (503, "not_now")
        assert (await post(window, files.PDF)).status_code == 201
    assert [path.stat().st_size > 0 for path in on_disk(tmp_path)].count(True) == 1


async def test_only_so_many_are_on_their_way_at_once(
    intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield files.PDF[:8]
        begun.set()
        await go_on.wait()
        yield files.PDF[8:]

    more = {"attachment_url": tmp_path.as_uri(), "attachments_at_once_max": 1}
    async with open_window(intake_dsn, intake_secrets, **more) as window:
        first = asyncio.create_task(
            window.http.post("/v1/attachments", content=slowly(), headers=KEY)
        )
        await begun.wait()
        assert told(await post(window, files.PDF)) == (429, "overloaded")
        assert told(await window.post()) == RIGHT
        go_on.set()
        assert (await first).status_code == 201
        assert (await post(window, files.PDF)).status_code == 200


async def test_who_posts_and_reads_files_holds_a_place_no_longer_than_that(
    intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> None:
    more = {"attachment_url": tmp_path.as_uri(), "in_flight_max": 4}
    async with open_window(intake_dsn, intake_secrets, **more) as window:
        for _ in range(8):
            id_ = (await post(window, files.PDF)).json()["attachment_id"]
            assert (await got(window, id_)).status_code == 200
        assert told(await window.post()) == RIGHT


@pytest.mark.parametrize(
    "gps",
    [
        {1: "N", 2: (91.0, 0.0, 0.0), 3: "E", 4: (118.0, 0.0, 0.0)},
        {1: "N", 2: (0.0, 0.0, 0.0), 3: "E", 4: (0.0, 0.0, 0.0)},
        {1: "Q", 2: (37.0, 0.0, 0.0), 3: "E", 4: (118.0, 0.0, 0.0)},
        {1: "N", 2: (37.0, 61.0, 0.0)},
    ],
    ids=["beyond the pole", "nowhere", "no direction", "half a point"],
)
async def test_a_place_that_makes_no_sense_counts_as_none(
    window: Window, gps: dict[int, Any]
) -> None:
    body = await kept(window, files.photo(gps=gps, taken_at="2025:13:45 99:00:00"))
    assert body["evidence"] == {"taken_at": None, "position": None}


async def test_a_key_for_several_towns_names_the_town(window: Window) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("demo-key", "demo", tenant="gucheng")
    assert told(await post(window, files.PDF)) == (422, "tenant_missing")
    assert (await post(window, files.PDF, "?tenant=gucheng")).status_code == 201
    assert told(await post(window, files.PDF, "?tenant=elsewhere")) == (404, "tenant_unknown")


async def test_nobody_posts_without_a_key(window: Window) -> None:
    assert told(await post(window, files.PDF, **{"X-Api-Key": "x"})) == (401, "api_key_unknown")


@contextmanager
def full_disk(bytes_max: int) -> Iterator[None]:
    """Let every file of this process end after so many bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_max, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_and_nothing_half_written_is_left(
    window: Window, tmp_path: Path
) -> None:
    pdf = files.PDF[:-6] + b"\0" * 500_000 + files.PDF[-6:]
    with full_disk(100_000):
        answer = await post(window, pdf)
    assert told(answer) == (503, "attachment_store_down")
    assert answer.headers["retry-after"] == "5"
    assert on_disk(tmp_path) == []
    assert (await post(window, pdf)).status_code == 201


async def test_a_store_that_is_down_is_told_and_reports_go_on(
    intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    s3 = files.s3_file(tmp_path / "s3.json", f"http://127.0.0.1:{unused_ports(1)[0]}")
    for url in ((tmp_path / "file" / "below").as_uri(), "s3://bucket"):
        more = {"attachment_url": url, "attachment_store_deadline_s": 2, "attachment_s3_file": s3}
        async with open_window(intake_dsn, intake_secrets, **more) as window:
            assert told(await post(window, files.PDF)) == (503, "attachment_store_down")
            assert told(await window.post()) == RIGHT


async def test_a_report_names_attachments_that_were_posted_and_no_others(window: Window) -> None:
    good = (await kept(window, files.PDF))["attachment_id"]
    report = {"tenant": TENANT, "summary": "路灯不亮"}
    assert told(await window.post({**report, "attachments": [good]})) == RIGHT
    altered = good[:-1] + ("0" if good[-1] != "0" else "1")
    for wrong in ("photo-1", altered, good.upper(), good[:32], good + "0"):
        answer = await window.post({**report, "attachments": [good, wrong]})
        if len(wrong) > 64:
            assert told(answer) == (422, "invalid_fields")
            continue
        assert told(answer) == (422, "attachment_unknown")
        assert [one["field"] for one in answer.json()["errors"]] == ["attachments.1"]


async def test_an_id_of_another_town_is_unknown(window: Window) -> None:
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("other-key", "other", tenant="gucheng")
    foreign = (await post(window, files.PDF, **{"X-Api-Key": "other-key"})).json()["attachment_id"]
    report = {"tenant": TENANT, "summary": "路灯不亮", "attachments": [foreign]}
    assert told(await window.post(report)) == (422, "attachment_unknown")
    there_not, never_was = await got(window, foreign), await got(window, "0" * 64)
    assert (there_not.status_code, there_not.content) == (404, never_was.content)


async def test_no_door_takes_an_attachment_that_nobody_has_posted(window: Window) -> None:
    report = {"tenant": TENANT, "summary": "路灯不亮", "attachments": ["photo-1"]}
    line = json.dumps({**report, "idempotency_key": "k1"})
    batch = await window.http.post("/v1/cases:batch", content=line, headers=KEY)
    (result,) = (json.loads(one) for one in batch.text.splitlines())
    assert (result["status"], result["problem"]["code"]) == (422, "attachment_unknown")
    event = {
        "specversion": "1.0", "id": "1", "source": "/x", "type": "case.reported.v1", "data": report,
    }  # fmt: skip
    headers = {**KEY, "Content-Type": "application/cloudevents+json"}
    posted = await window.http.post("/v1/events", json=event, headers=headers)
    assert told(posted) == (422, "attachment_unknown")
    case = case_id(TENANT, "demo", "k1")
    more = {
        "description": "灯杆也歪了",
        "attachments": ["photo-1"],
        "tracking_code": window.ring.tracking_code(TENANT, str(case)),
    }
    for ids, end in ((["photo-1"], (422, "attachment_unknown")), ([], RIGHT)):
        answer = await window.http.post(
            f"/v1/cases/{case}/follow-ups",
            json={**more, "attachments": ids},
            headers={**KEY, "Idempotency-Key": "f1"},
        )
        assert told(answer) == end
