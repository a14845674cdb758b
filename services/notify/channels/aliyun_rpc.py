"""Calls of Aliyun's gateways (RPC style, ACS3 signature), and what their answers mean."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import aiohttp
import structlog
from yarl import URL

from services.notify.channels.acs3 import AccessKey, Call, signed_headers
from services.notify.channels.aliyun_codes import meaning_of, refusal
from services.notify.domain.progress import Outcome, RetryLater, Unknown
from services.telemetry import traces

log = structlog.get_logger()

VERSION = "2017-05-25"  # of texts and of calls alike
GARBAGE = Unknown("garbage")
_WAIT_S_MAX = 600.0
_CODE = re.compile(r"[A-Za-z0-9_.]{1,100}")
# An idle connection is let go before the far end cuts it: a cut one looks like a lost call.
_KEEP_ALIVE_S = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: an object with a code, whatever the status was."""

    status: int
    code: str
    body: Mapping[str, Any]
    wait_s: float | None

    @property
    def fine(self) -> bool:
        return self.status == HTTPStatus.OK and self.code == "OK"


def utc_now() -> datetime:
    return datetime.now(UTC)


def lines(count: int, connect_s: float, deadline_s: float) -> aiohttp.ClientSession:
    """Open a client for so many calls at a time, each of which has to be done by the deadline."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=count, keepalive_timeout=_KEEP_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=deadline_s, sock_connect=connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Content-Type",),
    )


class Rpc:
    """One gateway and one account."""

    def __init__(
        self,
        url: str,
        key: AccessKey,
        http: aiohttp.ClientSession,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._key, self._http, self._now = key, http, now
        self._url = URL(url).origin()

    async def call(self, action: str, fields: Mapping[str, str]) -> Answer | RetryLater | Unknown:
        """Call the gateway. No text of an error or an answer is kept: it may hold the number."""
        date = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        host = self._url.host_port_subcomponent or ""
        call = Call(host, action, VERSION, fields, date, uuid4().hex)
        headers = {**signed_headers(call, self._key), **traces.current()}
        sent_as_signed = URL(f"{self._url}/?{call.query}", encoded=True)
        try:
            async with self._http.post(
                sent_as_signed, headers=headers, data=b"", allow_redirects=False
            ) as response:
                return _read(response.status, response.headers, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return RetryLater("not_connected")
        except (aiohttp.ClientError, TimeoutError):
            return Unknown("no_answer")


def _read(status: int, headers: Mapping[str, str], content: bytes) -> Answer | Unknown:
    try:
        body = json.loads(content)
        code = body["Code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return GARBAGE
    if not isinstance(body, dict) or not isinstance(code, str) or not _CODE.fullmatch(code):
        return GARBAGE
    return Answer(status, code, body, _wait_s(headers))


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """Read how long to wait, in seconds, or in milliseconds by the gateway's own header."""
    for name, unit_s in (("x-acs-retry-after", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        if text.isascii() and text.isdigit():
            return min(int(text[:9]) * unit_s, _WAIT_S_MAX)
    return None


def refused(answer: Answer) -> Outcome:
    meaning = meaning_of(answer.code, answer.status)
    if meaning is None:
        log.error("gateway_code_unknown", code=answer.code, status=answer.status)
    elif meaning == "stop":
        log.error("gateway_refused_account", code=answer.code)
    words = answer.body.get("Message")
    return refusal(meaning, answer.code, words if isinstance(words, str) else "", answer.wait_s)
