"""Attachments on S3: an S3 of its own process, spoken to over HTTP as any other."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import S3Store

from deploy.local.ports import unused_ports
from deploy.local.secrets import Secrets
from tests.component.intake import files
from tests.component.intake.window import Window, open_window
from tests.waiting import until

KEY = {"X-Api-Key": "demo-key"}
SERVE = "from moto.server import main; main()"


@pytest.fixture(scope="module")
async def s3() -> AsyncIterator[str]:
    """The address of an S3 with a bucket `town`."""
    port = str(unused_ports(1)[0])
    argv = (sys.executable, "-W", "ignore", "-c", SERVE, "-H", "127.0.0.1", "-p", port)
    quiet = asyncio.subprocess.DEVNULL
    server = await asyncio.create_subprocess_exec(*argv, stdout=quiet, stderr=quiet)
    url = f"http://127.0.0.1:{port}"

    async def made() -> bool:
        try:
            async with httpx.AsyncClient() as http:
                return (await http.put(f"{url}/town")).is_success
        except httpx.HTTPError:
            return False

    await until(made, "the S3 has a bucket")
    yield url
    server.kill()
    await server.wait()


@pytest.fixture
def bucket(s3: str) -> S3Store:
    return S3Store(
        "town",
        endpoint=s3,
        region="us-east-1",
        access_key_id="someone",
        secret_access_key="something",
        client_options={"allow_http": True},
    )


@pytest.fixture
async def on_s3(
    s3: str, intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> AsyncIterator[Window]:
    more = {"attachment_s3_file": files.s3_file(tmp_path / "s3.json", s3)}
    url = "s3://town/kept/here"
    async with open_window(intake_dsn, intake_secrets, attachment_url=url, **more) as opened:
        yield opened


async def test_what_is_kept_on_s3_is_sealed_and_handed_out_again(
    on_s3: Window, bucket: S3Store
) -> None:
    large = files.PDF[:-6] + b"\0" * 6_000_000 + files.PDF[-6:]
    for content in (files.PDF, large):
        posted = [
            await on_s3.http.post("/v1/attachments", content=content, headers=KEY) for _ in range(2)
        ]
        assert [answer.status_code for answer in posted] == [201, 200]
        answer = await on_s3.http.get(posted[0].headers["location"], headers=KEY)
        assert (answer.status_code, answer.content) == (200, content)
        id_ = posted[0].json()["attachment_id"]
        stored = await obstore.get_async(bucket, f"kept/here/yihe/{id_[:2]}/{id_}")
        assert b"%PDF" not in bytes(await stored.bytes_async())
    unknown = await on_s3.http.get(f"/v1/attachments/{'0' * 64}", headers=KEY)
    assert unknown.status_code == 404


async def test_what_no_case_names_is_hidden_shown_and_removed_on_s3_too(
    on_s3: Window, bucket: S3Store
) -> None:
    statuses, places = [], []
    for named in (False, True):
        answer = await on_s3.http.post("/v1/attachments", content=UNNAMED, headers=KEY)
        assert answer.status_code == 201
        id_, url = answer.json()["attachment_id"], answer.headers["location"]
        for turn in (False, named):
            await on_s3.pool.execute(TURN, id_, turn)
            assert await on_s3.unnamed.sweep_one()
            statuses.append((await on_s3.http.get(url, headers=KEY)).status_code)
            found = await obstore.list(bucket, f"kept/here/yihe/{id_[:2]}").collect_async()
            places.append(sorted(one["path"].rpartition("/")[2].removeprefix(id_) for one in found))
    assert statuses == [404, 404, 404, 200]
    assert places == [[".gone", "demo"], [], [".gone", "demo"], ["", "demo"]]
    assert not await on_s3.unnamed.sweep_one()


UNNAMED = files.PDF + b"\n"
TURN = """
UPDATE attachment_posted
SET due_at = clock_timestamp(), named = $2
WHERE attachment_id = $1
"""


async def test_a_bucket_or_a_file_that_is_wrong_is_a_store_that_is_down(
    s3: str, intake_dsn: str, intake_secrets: Secrets, tmp_path: Path
) -> None:
    right, wrong = files.s3_file(tmp_path / "s3.json", s3), tmp_path / "wrong.json"
    wrong.write_text("{")
    for url, file in (("s3://nowhere", right), ("s3://town", wrong), ("s3://town", tmp_path)):
        more = {"attachment_url": url, "attachment_s3_file": file}
        async with open_window(intake_dsn, intake_secrets, **more) as window:
            answer = await window.http.post("/v1/attachments", content=files.PDF, headers=KEY)
            assert (answer.status_code, answer.json()["code"]) == (503, "attachment_store_down")
