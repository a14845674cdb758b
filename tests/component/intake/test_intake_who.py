"""Who may post: the door before the body is read."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.local.secrets import Secrets
from services.chassis import kafka, outbox
from services.intake.settings import IntakeSettings
from tests import factories
from tests.component.intake.window import REPORT, RIGHT, Window, open_window, small_town, told
from tests.factories import TENANT

PAST = (datetime.now(UTC) - timedelta(seconds=1)).isoformat()
FUTURE = (datetime.now(UTC) + timedelta(days=1)).isoformat()


async def test_what_is_right_gets_as_far_as_the_broker(window: Window) -> None:
    answer = await window.post()
    assert told(answer) == RIGHT
    assert answer.headers["retry-after"] == "2"
    assert "Idempotency-Key" in answer.json()["detail"]


@pytest.mark.parametrize("api_key", [None, "", "wrong", "demo-key ", "路", "x" * 10_000])
async def test_an_unknown_key_is_refused_whatever_is_sent(
    window: Window, api_key: str | None
) -> None:
    headers = [] if api_key is None else [(b"x-api-key", api_key.encode() + b"?")]
    answer = await window.http.post("/v1/cases", content=b"{", headers=headers)
    assert told(answer) == (401, "api_key_unknown")


async def test_before_everybody_is_known_nobody_is_refused(window: Window) -> None:
    window.registry.complete = False
    for api_key in ("demo-key", "wrong", None):
        answer = await window.post(api_key=api_key)
        assert told(answer) == (503, "starting")
        assert answer.headers["retry-after"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"expires_at": PAST}, (401, "api_key_expired")),
        ({"revoked_at": PAST}, (401, "api_key_revoked")),
        ({"revoked_at": PAST, "expires_at": PAST}, (401, "api_key_revoked")),
        ({"expires_at": FUTURE}, RIGHT),
        ({"revoked_at": FUTURE}, RIGHT),
    ],
)
async def test_a_key_ends_at_its_moment(
    window: Window, more: dict[str, Any], expected: tuple[int, str]
) -> None:
    window.front_end("k", "app", **more)
    assert told(await window.post(api_key="k")) == expected


async def test_one_record_suffices_to_shut_out_a_key_that_is_in_use(window: Window) -> None:
    window.front_end("k", "app")
    assert [told(await window.post(api_key="k")) for _ in range(3)] == [RIGHT] * 3
    window.front_end("k", "app", revoked_at=PAST)
    assert told(await window.post(api_key="k")) == (401, "api_key_revoked")


def test_no_revocation_waits_for_more_than_five_seconds_on_its_way() -> None:
    pauses_s = outbox._BUSY_WAIT_S + outbox._IDLE_WAIT_S  # noqa: SLF001 - until the relay looks
    fetch_s = kafka._MS["fetch_max_wait_ms"] / 1_000  # noqa: SLF001 - until the broker answers
    gather_s = IntakeSettings.model_fields["consume_wait_ms"].default / 1_000
    assert pauses_s + fetch_s + gather_s < 5


async def test_a_key_revoked_in_one_town_still_holds_in_another(window: Window) -> None:
    window.front_end("k", "app", revoked_at=PAST)
    window.know(*small_town("gucheng"), change_set="seed", tenant="gucheng")
    window.front_end("k", "app", tenant="gucheng")
    assert told(await window.post({**REPORT, "tenant": "gucheng"}, api_key="k")) == RIGHT
    assert told(await window.post(api_key="k")) == (404, "tenant_unknown")


async def test_a_tenant_that_is_not_there_looks_like_one_the_key_is_not_for(
    window: Window,
) -> None:
    window.front_end("theirs", "app", tenant="gucheng")
    none = await window.post({**REPORT, "tenant": "nowhere"})
    not_ours = await window.post({**REPORT, "tenant": "gucheng"})
    assert told(none) == told(not_ours) == (404, "tenant_unknown")
    assert none.content == not_ours.content


async def test_a_division_code_names_its_town(window: Window) -> None:
    town = window.registry.towns[TENANT].tenant
    assert town is not None
    code = town.aliases[0].code
    assert told(await window.post({**REPORT, "tenant": code})) == RIGHT


async def test_a_town_without_its_profile_asks_to_come_again(window: Window) -> None:
    window.front_end("k", "app", tenant="bare")
    answer = await window.post({**REPORT, "tenant": "bare"}, api_key="k")
    assert told(answer) == (503, "tenant_not_ready")
    assert answer.headers["retry-after"]


async def test_a_town_without_units_asks_to_come_again_until_it_has_some(window: Window) -> None:
    lines = [*small_town("bare")]
    units = [line for line in lines if line["kind"] == "unit"]
    window.know(*[line for line in lines if line not in units], change_set="profile", tenant="bare")
    window.front_end("k", "app", tenant="bare")
    report = {**REPORT, "tenant": "bare"}
    answer = await window.post(report, api_key="k")
    assert told(answer) == (503, "tenant_not_ready")
    assert "same key" in answer.json()["detail"]
    window.know(*units, change_set="units", tenant="bare")
    assert told(await window.post(report, api_key="k")) == RIGHT


@pytest.mark.parametrize("there", [True, False], ids=["without its keys", "no key file"])
async def test_a_town_that_nothing_can_be_sealed_for_asks_to_come_again(
    intake_dsn: str, tmp_path: Path, there: bool
) -> None:
    secrets = factories.secrets(tmp_path, TENANT)
    async with open_window(intake_dsn, secrets) as window:
        window.know(*small_town("keyless"), change_set="seed", tenant="keyless")
        window.front_end("k", "app", tenant="keyless")
        if not there:
            secrets.key_file.unlink()
        answer = await window.post({**REPORT, "tenant": "keyless"}, api_key="k")
        assert told(answer) == (503, "tenant_not_ready")
        assert answer.headers["retry-after"]
        assert told(await window.post()) == RIGHT


@pytest.mark.parametrize("key", [None, ""])
async def test_without_an_idempotency_key_nothing_is_taken(window: Window, key: str | None) -> None:
    answer = await window.post(key=key)
    assert told(answer) == (400, "idempotency_key_missing")
    assert answer.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    "key", ["a b", "a\tb", "x" * 129, "k\u00e9", "\u8def".encode().decode("latin-1")]
)
async def test_an_idempotency_key_is_short_visible_ascii(window: Window, key: str) -> None:
    headers = [(b"x-api-key", b"demo-key"), (b"idempotency-key", key.encode("latin-1"))]
    answer = await window.http.post("/v1/cases", json=REPORT, headers=headers)
    assert told(answer) == (400, "idempotency_key_invalid")
    assert key not in answer.text


@pytest.mark.parametrize(
    "key", ["k", "~!@#$%^&*()", "x" * 128, "01939f2e-7c2a-7000-8000-000000000000"]
)
async def test_any_visible_ascii_will_do(window: Window, key: str) -> None:
    assert told(await window.post(key=key)) == RIGHT


async def test_beyond_its_quota_a_front_end_is_told_how_long_to_wait(window: Window) -> None:
    window.front_end("slow", "app", quota_per_s=0.1, burst=3)
    answers = [await window.post(key=f"k{n}", api_key="slow") for n in range(5)]
    assert [told(one) for one in answers] == [RIGHT] * 3 + [(429, "quota_exceeded")] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert told(await window.post()) == RIGHT


async def test_a_wait_is_never_told_shorter_than_it_is(window: Window) -> None:
    window.front_end("slow", "app", quota_per_s=1 / 99.9, burst=1)
    began = time.monotonic()
    await window.post(api_key="slow")
    answer = await window.post(api_key="slow")
    passed = time.monotonic() - began
    assert told(answer) == (429, "quota_exceeded")
    assert 99.9 - passed <= int(answer.headers["retry-after"]) <= 100


async def test_what_is_refused_for_its_form_costs_its_quota_too(window: Window) -> None:
    window.front_end("slow", "app", quota_per_s=0.1, burst=2)
    for _ in range(2):
        assert (await window.post(b"{", api_key="slow")).status_code == 400
    assert told(await window.post(b"{", api_key="slow")) == (429, "quota_exceeded")


async def test_a_key_may_be_bound_to_categories(window: Window) -> None:
    window.front_end("k", "app", categories=["environment"])
    allowed = await window.post({**REPORT, "category": "environment"}, api_key="k")
    other = await window.post({**REPORT, "category": "security"}, api_key="k")
    none = await window.post(api_key="k")
    assert told(allowed) == RIGHT
    assert told(other) == told(none) == (403, "category_not_granted")
    assert "environment" in other.json()["detail"]


async def test_a_flood_from_one_key_costs_no_other_key_anything(window: Window) -> None:
    window.front_end("flood", "app", quota_per_s=0.01, burst=5)
    flood = [await window.post(key=f"f{n}", api_key="flood") for n in range(40)]
    calm = [await window.post(key=f"c{n}") for n in range(10)]
    assert [told(one) for one in flood] == [RIGHT] * 5 + [(429, "quota_exceeded")] * 35
    assert {told(one) for one in calm} == {RIGHT}
    assert all(int(one.headers["retry-after"]) >= 1 for one in flood if one.status_code == 429)


async def test_a_lower_quota_holds_at_once_for_what_the_key_has_saved_up(window: Window) -> None:
    window.front_end("k", "app", quota_per_s=50, burst=100)
    assert told(await window.post(api_key="k")) == RIGHT
    window.front_end("k", "app", quota_per_s=0.01, burst=1)
    answers = [told(await window.post(key=f"n{n}", api_key="k")) for n in range(3)]
    assert answers == [RIGHT, (429, "quota_exceeded"), (429, "quota_exceeded")]


async def test_a_key_is_switched_off_and_on_again(window: Window) -> None:
    for more, expected in (
        ({}, RIGHT), ({"revoked_at": PAST}, (401, "api_key_revoked")), ({"zh": "再开"}, RIGHT),
    ):  # fmt: skip
        window.front_end("k", "app", **more)
        assert told(await window.post(api_key="k")) == expected


async def test_in_a_crowd_emergencies_are_let_in_last_of_all(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    async with open_window(intake_dsn, intake_secrets, in_flight_max=10) as window:
        window.front_end("busy", "busy")
        window.front_end("more", "more")
        window.front_end("person", "person", kind="mini_program")
        window.front_end("camera", "camera", kind="camera")
        started, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            started.release()
            yield b"{"
            await go_on.wait()
            yield b"}"

        async def hold(api_key: str) -> httpx.Response:
            headers = {"X-Api-Key": api_key, "Idempotency-Key": "k"}
            return await window.http.post("/v1/cases", content=slowly(), headers=headers)

        async def told_now(api_key: str, summary: str = "路灯不亮") -> tuple[int, str]:
            return told(await window.post({**REPORT, "summary": summary}, api_key=api_key))

        overloaded = (429, "overloaded")
        async with asyncio.TaskGroup() as tasks:
            for n in range(9):
                tasks.create_task(hold("busy" if n % 2 else "more"))
                await started.acquire()
                if n == 5:  # six are inside
                    assert await told_now("camera") == overloaded
                    assert await told_now("camera", "厂房着火") == RIGHT
                    assert await told_now("person") == RIGHT
                    assert told(await window.http.get("/v1/track/x")) == overloaded
            assert await told_now("person") == overloaded  # nine are
            assert await told_now("person", "没有着火") == overloaded
            assert await told_now("person", "我家着火了") == RIGHT
            tasks.create_task(hold("more"))
            await started.acquire()
            assert await told_now("person", "我家着火了") == overloaded  # a full house
            go_on.set()


async def test_too_many_at_once_are_told_to_come_again(
    intake_dsn: str, intake_secrets: Secrets
) -> None:
    async with open_window(intake_dsn, intake_secrets, in_flight_max=2) as window:
        started, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            started.release()
            yield b"{"
            await go_on.wait()
            yield b"}"

        async def post() -> tuple[int, str]:
            headers = {"X-Api-Key": "demo-key", "Idempotency-Key": "k"}
            answer = await window.http.post("/v1/cases", content=slowly(), headers=headers)
            return told(answer)

        async with asyncio.TaskGroup() as tasks:
            busy = [tasks.create_task(post()) for _ in range(2)]
            for _ in busy:
                await started.acquire()
            answer = await window.post()
            assert told(answer) == (429, "overloaded")
            assert answer.headers["retry-after"] == "1"
            go_on.set()
        assert {task.result()[0] for task in busy} == {422}
        assert told(await window.post()) == RIGHT
