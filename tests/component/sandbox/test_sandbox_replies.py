"""What somebody answers on a phone is pushed as the provider pushes it."""

import re
from collections.abc import AsyncIterator

import pytest

from tests.component.sandbox.caller import LI, WANG, Callback, Caller
from tests.component.sandbox.conftest import Start


@pytest.fixture
async def answering(start: Start, callback: Callback) -> AsyncIterator[Caller]:
    replies = {"callback_url": callback.url, "retry_first_s": 0.01, "retry_longest_s": 0.02}
    async with start(replies=replies) as caller:
        yield caller


async def cards(caller: Caller) -> list[str]:
    html = (await caller.http.get("/phones")).text
    return re.findall(r'class="phone" id="(phone-\w+)"', html)


async def answer(caller: Caller, card: str, content: object) -> int:
    reply = await caller.http.post(f"/phones/{card}/replies", json={"content": content})
    return reply.status_code


async def test_an_answer_is_pushed_as_an_array_of_one(
    answering: Caller, callback: Callback
) -> None:
    await answering.send(PhoneNumbers=LI)
    await answering.send()
    assert await answer(answering, (await cards(answering))[0], "1 4711") == 202
    (pushed,) = await callback.until(1)
    assert isinstance(pushed.pop("sequence_id"), int)
    assert pushed == {
        "phone_number": WANG,
        "send_time": "2026-03-03 09:30:00",
        "content": "1 4711",
        "sign_name": "吹哨",
        "dest_code": "1069000000000",
    }


async def test_an_answer_comes_again_until_it_is_taken(
    answering: Caller, callback: Callback
) -> None:
    callback.answers = [(503, b""), (200, b'{"code":"0"}'), (200, b"garbage")]
    await answering.send()
    await answer(answering, (await cards(answering))[0], "1")
    pushed = await callback.until(4)
    assert len({one["sequence_id"] for one in pushed}) == 1


@pytest.mark.parametrize("content", ["", "字" * 501, None, 1])
async def test_what_no_phone_would_send_is_refused(answering: Caller, content: object) -> None:
    await answering.send()
    assert await answer(answering, (await cards(answering))[0], content) == 422


async def test_a_phone_that_is_not_there_answers_nothing(answering: Caller) -> None:
    assert await answer(answering, "phone-000000000000", "1") == 404


async def test_where_nobody_hears_replies_there_is_no_box(sandbox: Caller) -> None:
    await sandbox.send()
    (card,) = await cards(sandbox)
    assert 'class="reply"' not in (await sandbox.http.get("/phones")).text
    assert await answer(sandbox, card, "1") == 404
