"""Calls of Aliyun's gateways (RPC style, ACS3 signature), and what their answers mean."""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import structlog

from services.notify.channels.acs3 import AccessKey, Call, signed_headers
from services.notify.channels.aliyun_codes import meaning_of, refusal
from services.notify.channels.lines import Lines
from services.notify.domain.progress import Outcome, RetryLater, Unknown
from services.telemetry import traces

log = structlog.get_logger()

VERSION = "2017-05-25"  # of texts and of calls alike
GARBAGE = Unknown("garbage")
_WAIT_S_MAX = 600.0
_CODE = re.compile(r"[A-Za-z0-9_.]{1,100}")
# Both would write the number, which stands in the query string.
_TALKATIVE = ("httpx", "httpcore")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: an object with a code, whatever the status was."""

    status: int
    code: str
    body: Mapping[str, Any]
    wait_s: float | None

    @property
    def fine(self) -> bool:
        return self.status == httpx.codes.OK and self.code == "OK"


def utc_now() -> datetime:
    return datetime.now(UTC)


class Rpc:
    """One gateway and one account. The time-outs of single steps are those of the lines."""

    def __init__(
        self,
        url: str,
        key: AccessKey,
        lines: Lines,
        deadline_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._key, self._lines, self._deadline_s, self._now = key, lines, deadline_s, now
        self._url = httpx.URL(url)
        self._host = self._url.netloc.decode()
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)

    async def call(self, action: str, fields: Mapping[str, str]) -> Answer | RetryLater | Unknown:
        """Call the gateway. No text of an error or an answer is kept: it may hold the number."""
        date = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        call = Call(self._host, action, VERSION, fields, date, uuid4().hex)
        headers = {**signed_headers(call, self._key), **traces.current()}
        # Sent as signed: the client need not parse and write the query anew.
        target = {"target": f"/?{call.query}".encode()}
        try:
            async with asyncio.timeout(self._deadline_s), self._lines.one() as http:
                response = await http.post(
                    self._url, headers=headers, content=b"", extensions=target
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return RetryLater("not_connected")
        except (httpx.HTTPError, TimeoutError):
            return Unknown("no_answer")
        return _read(response)


def _read(response: httpx.Response) -> Answer | Unknown:
    try:
        body = json.loads(response.content)
        code = body["Code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return GARBAGE
    if not isinstance(body, dict) or not isinstance(code, str) or not _CODE.fullmatch(code):
        return GARBAGE
    return Answer(response.status_code, code, body, _wait_s(response.headers))


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
