"""A signer written from the provider's description alone: it shares no line with what it tests."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from deploy.sandbox.provider import Provider
from tests.waiting import PATIENCE_S

KEY, SECRET = "LTAIsandbox", "sandbox-secret"
MORNING = datetime(2026, 3, 3, 1, 30, tzinfo=UTC)  # 09:30 in China
WANG = "13800000012"
LI = "13900000110"

NUMBERS = count(1)


@dataclass(slots=True)
class Clock:
    """Stands still until a test moves it."""

    now: datetime = MORNING

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


@dataclass(frozen=True, slots=True)
class How:
    """What a request claims, and with whose key it is signed."""

    action: str = "SendSms"
    key: str = KEY
    secret: str = SECRET
    nonce: str = ""
    version: str = "2017-05-25"
    body: bytes = b""


Pairs = Iterable[tuple[str, str]]


def signed_headers(fields: Pairs, host: str, at: datetime, how: How) -> dict[str, str]:
    headers = {
        "host": host,
        "x-acs-action": how.action,
        "x-acs-content-sha256": hashlib.sha256(how.body).hexdigest(),
        "x-acs-date": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": how.nonce or uuid4().hex,
        "x-acs-version": how.version,
    }
    names = ";".join(sorted(headers))
    canonical = (
        f"POST\n/\n{encode(fields)}\n"
        + "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        + f"\n{names}\n{headers['x-acs-content-sha256']}"
    )
    to_sign = "ACS3-HMAC-SHA256\n" + hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.new(how.secret.encode(), to_sign.encode(), "sha256").hexdigest()
    headers["authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={how.key},SignedHeaders={names},Signature={signature}"
    )
    return headers


def encode(fields: Pairs) -> str:
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in sorted(fields))


def notice(**changes: str) -> dict[str, str]:
    """The fields of an acceptable SendSms request."""
    fields = {
        "PhoneNumbers": WANG,
        "SignName": "吹哨",
        "TemplateCode": "SMS_1",
        "TemplateParam": '{"matter":"路灯不亮"}',
        "OutId": f"out-{next(NUMBERS)}",
    }
    return fields | changes


@dataclass(slots=True)
class Caller:
    """Calls one gateway as a product would, and looks behind its scenes."""

    http: httpx.AsyncClient
    clock: Clock
    provider: Provider

    async def call(self, fields: Mapping[str, str], **claims: Any) -> httpx.Response:
        return await self.call_with(fields.items(), **claims)

    async def call_with(self, fields: Pairs, **claims: Any) -> httpx.Response:
        how = How(**claims)
        host = self.http.base_url.netloc.decode()
        headers = signed_headers(fields, host, self.clock(), how)
        return await self.http.post(f"/?{encode(fields)}", headers=headers, content=how.body)

    async def send(self, **changes: str) -> httpx.Response:
        return await self.call(notice(**changes))

    async def details(self, **changes: str) -> dict[str, Any]:
        fields = {
            "PhoneNumber": WANG,
            "SendDate": "20260303",
            "PageSize": "10",
            "CurrentPage": "1",
        }
        answer = await self.call(fields | changes, action="QuerySendDetails")
        body: dict[str, Any] = answer.json()
        return body

    async def until_reported(self, count: int) -> None:
        """Wait until the operator has had its say on so many messages."""
        messages = self.provider.messages
        async with asyncio.timeout(PATIENCE_S):
            while sum(1 for message in messages.every() if message.receipt) < count:
                await messages.wait()

    async def until_confirmed(self, count: int) -> None:
        """Wait until the callback has taken so many receipts."""
        messages = self.provider.messages
        async with asyncio.timeout(PATIENCE_S):
            while sum(1 for message in messages.every() if message.receipt_taken_at) < count:
                await messages.wait()

    async def reached(self, **where: str) -> list[dict[str, Any]]:
        answer = await self.http.get("/sandbox/messages", params=where)
        answer.raise_for_status()
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return messages

    async def fault(self, **fault: Any) -> None:
        answer = await self.http.post("/sandbox/faults", json={"faults": [fault]})
        assert answer.status_code == 201, answer.text


Send = Callable[[dict[str, Any]], Awaitable[None]]
TAKEN = b'{"code":0,"msg":"ok"}'


class Callback:
    """The product's end of the receipts: keeps each batch and answers as it is told."""

    def __init__(self) -> None:
        self.url = ""
        self.batches: list[list[dict[str, Any]]] = []
        self.answers: list[tuple[int, bytes]] = []
        self._arrived = asyncio.Condition()

    def reset(self) -> None:
        self.batches.clear()
        self.answers.clear()

    def receipts(self) -> list[dict[str, Any]]:
        return [receipt for batch in self.batches for receipt in batch]

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many receipts have arrived, taken or not."""
        async with asyncio.timeout(PATIENCE_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.receipts()) >= count)
        return self.receipts()

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send
    ) -> None:
        assert scope["method"] == "POST"
        body, more = b"", True
        while more:
            event = await receive()
            body, more = body + event.get("body", b""), event.get("more_body", False)
        async with self._arrived:
            self.batches.append(json.loads(body))
            self._arrived.notify_all()
        status, answer = self.answers.pop(0) if self.answers else (200, TAKEN)
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
