"""SendSms: one text to one or many phones, and everything that can go wrong on the way."""

import asyncio
import secrets
from contextlib import suppress
from http import HTTPStatus
from typing import assert_never
from uuid import uuid4

from fastapi import Request, Response

from deploy.sandbox.faults import (
    Error500,
    Garbage,
    Hang,
    Refuse,
    Reset,
    Throttle,
    When,
)
from deploy.sandbox.provider import Fields, Provider, answer, refuse
from deploy.sandbox.receipts import Fate, decide_fate
from deploy.sandbox.refusal import Refusal
from deploy.sandbox.rules import Order, read_numbers, read_order
from deploy.sandbox.server import reset_connection
from deploy.sandbox.truth import Message

BIZ_ID_LEAST = 10**17
GARBAGE = b'{"Code":"OK","BizId":"\xff\xfe'
INTERNAL_ERROR = Refusal(
    "InternalError",
    "The request processing has failed due to some unknown error.",
    HTTPStatus.INTERNAL_SERVER_ERROR,
)
THROTTLED = Refusal(
    "Throttling.User", "Request was denied due to user flow control.", HTTPStatus.TOO_MANY_REQUESTS
)
CLOSING = Refusal(
    "ServiceUnavailable",
    "The request has failed due to a temporary failure of the server.",
    HTTPStatus.SERVICE_UNAVAILABLE,
)


async def send_sms(provider: Provider, request: Request, fields: Fields) -> Response:
    """Refuse, or let it reach every phone named, and then answer; faults may step in between."""
    numbers = frozenset(read_numbers(fields.get("PhoneNumbers", "")))
    spoiled = await spoil(provider, request, numbers, "before")
    if spoiled is not None:
        return spoiled
    order = read_order(fields, provider.catalogue)
    if isinstance(order, Refusal):
        return refuse(order)
    keys = [(phone, order.template_code) for phone in order.phones]
    refusal = provider.windows.refusal(keys, provider.clock())
    if refusal is not None:
        return refuse(refusal)
    biz_id = f"{BIZ_ID_LEAST + secrets.randbelow(9 * BIZ_ID_LEAST)}^0"
    sent = accept(provider, order, biz_id)
    await await_receipts(provider, sent)
    spoiled = await spoil(provider, request, numbers, "after")
    return spoiled or answer({"Code": "OK", "Message": "OK", "BizId": biz_id})


def accept(provider: Provider, order: Order, biz_id: str) -> list[tuple[Message, Fate]]:
    """From here on the phones show it, whatever the caller comes to hear."""
    now = provider.clock()
    sent: list[tuple[Message, Fate]] = []
    for phone in order.phones:
        faults = provider.faults.receipt_faults(phone)
        fate = decide_fate(provider.settings.receipts.delay_s, faults)
        message = Message(
            message_id=uuid4().hex,
            biz_id=biz_id,
            out_id=order.out_id,
            phone=phone,
            sign_name=order.sign_name,
            template_code=order.template_code,
            text=order.text,
            segments=order.segments,
            accepted_at=now,
            reached_at=now if fate.reaches else None,
        )
        provider.messages.record(message)
        provider.windows.count((phone, order.template_code), now)
        sent.append((message, fate))
    return sent


async def await_receipts(provider: Provider, sent: list[tuple[Message, Fate]]) -> None:
    """Receipts come later, but for those that are to overtake the answer."""
    overtaking = [(message, fate) for message, fate in sent if fate.before_answer]
    for message, fate in sent:
        if not fate.before_answer:
            provider.reporter.expect(message, fate)
    await asyncio.gather(*(provider.reporter.report_and_push(*pair) for pair in overtaking))


async def spoil(
    provider: Provider, request: Request, numbers: frozenset[str], when: When
) -> Response | None:
    """The answer that a fault puts in place of the right one; None lets the send go on."""
    fault = provider.faults.answer_fault(numbers, when)
    match fault:
        case None:
            return None
        case Reset():
            return await cut(request)
        case Hang():
            return await hang(provider, request, fault)
        case _:
            return wrong_answer(fault)


def wrong_answer(fault: Error500 | Throttle | Refuse | Garbage) -> Response:
    match fault:
        case Error500():
            return refuse(INTERNAL_ERROR)
        case Throttle():
            return refuse(THROTTLED, fault.retry_after_ms)
        case Refuse():
            return refuse(Refusal(fault.code, fault.message, fault.status))
        case Garbage():
            return Response(GARBAGE, media_type="application/json")
        case _:
            assert_never(fault)


async def hang(provider: Provider, request: Request, fault: Hang) -> Response | None:
    """Keep the caller waiting; a stop of the process ends the wait, and nothing is sent then."""
    with suppress(TimeoutError):
        await asyncio.wait_for(provider.closing.wait(), fault.seconds)
        return refuse(CLOSING)
    return await cut(request) if fault.then == "reset" else None


async def cut(request: Request) -> Response:
    """The response is for the framework only; nobody is left to read it."""
    reset_connection(request)
    while (await request.receive())["type"] != "http.disconnect":
        continue
    return Response(status_code=HTTPStatus.NO_CONTENT)
