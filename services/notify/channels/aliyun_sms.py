"""SMS by Aliyun Dysmsapi, 2017-05-25: SendSms, and QuerySendDetails for what got no answer.

The gateway has no key against a second SMS: `OutId` only comes back in details and receipts. So
whatever may have been sent is `Unknown`, and is looked up before it is sent again.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import httpx
import structlog

from services.notify.channels.acs3 import AccessKey, Call, signed_headers
from services.notify.channels.aliyun_codes import meaning_of, refusal
from services.notify.channels.lines import Lines
from services.notify.channels.port import OutMessage, Question
from services.notify.domain import contacts
from services.notify.domain.progress import Accepted, Missing, Outcome, RetryLater, Unknown
from services.notify.domain.wording import segments

log = structlog.get_logger()

_VERSION = "2017-05-25"
_CHINA = timezone(timedelta(hours=8))
_PAGE, _PAGES_MAX = 50, 20
# The provider's day of a send may differ from ours around midnight.
_DAY_MARGIN = timedelta(minutes=10)
_WAIT_S_MAX = 600.0
_CODE = re.compile(r"[A-Za-z0-9_.]{1,100}")
_GARBAGE = Unknown("garbage")
# Both would write the number, which stands in the query string.
_TALKATIVE = ("httpx", "httpcore")


@dataclass(frozen=True, slots=True)
class Account:
    """Whose SMS these are. `template_codes` has those that the provider gave another code."""

    url: str
    key: AccessKey
    sign_name: str
    template_codes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Answer:
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


class AliyunSms:
    """The channel `sms`. The time-outs of single steps are those of the lines."""

    needs = "phone"

    def __init__(
        self,
        account: Account,
        lines: Lines,
        deadline_s: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._account, self._lines, self._deadline_s, self._now = account, lines, deadline_s, now
        self._url = httpx.URL(account.url)
        self._host = self._url.netloc.decode()
        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)

    def address(self, contact: str) -> str | None:
        return contacts.mobile(contact)

    def masked(self, address: str) -> str:
        return contacts.masked(address)

    async def send(self, message: OutMessage) -> Outcome:
        """Send one text; only an answer that holds together says that it was or was not sent."""
        account = self._account
        fields = {
            "PhoneNumbers": message.address,
            "SignName": account.sign_name,
            "TemplateCode": account.template_codes.get(message.template, message.template),
            "TemplateParam": json.dumps(message.values, ensure_ascii=False),
            "OutId": str(message.reference),
        }
        answer = await self._call("SendSms", fields)
        if not isinstance(answer, _Answer):
            return answer
        if not answer.fine:
            return _refused(answer)
        biz_id = answer.body.get("BizId")
        if not isinstance(biz_id, str) or not biz_id:
            return _GARBAGE
        return Accepted(biz_id, segments(f"【{account.sign_name}】{message.text}"))

    async def look_up(self, question: Question) -> Accepted | Missing | Unknown:
        """Search the number's messages of that day for our reference."""
        for day in self._days(question.begun_at):
            for page in range(1, _PAGES_MAX + 1):
                fields = {
                    "PhoneNumber": question.address,
                    "SendDate": day,
                    "PageSize": str(_PAGE),
                    "CurrentPage": str(page),
                }
                answer = await self._call("QuerySendDetails", fields)
                if not isinstance(answer, _Answer):
                    return Unknown(answer.code)
                details = _details(answer) if answer.fine else None
                if details is None:
                    return Unknown(answer.code if answer.code != "OK" else _GARBAGE.code)
                for detail in details:
                    if detail.get("OutId") == str(question.reference):
                        return Accepted(None, _segments(detail))
                if len(details) < _PAGE:
                    break
        return Missing()

    def _days(self, begun_at: datetime) -> Iterator[str]:
        last = self._now().astimezone(_CHINA).date()  # a day to come is refused
        moments = (begun_at - _DAY_MARGIN, begun_at + _DAY_MARGIN)
        days = {min(moment.astimezone(_CHINA).date(), last) for moment in moments}
        return (f"{day:%Y%m%d}" for day in sorted(days, reverse=True))

    async def _call(self, action: str, fields: Mapping[str, str]) -> _Answer | RetryLater | Unknown:
        """Call the gateway. No text of an error or an answer is kept: it may hold the number."""
        date = self._now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        call = Call(self._host, action, _VERSION, fields, date, uuid4().hex)
        headers = signed_headers(call, self._account.key)
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


def _read(response: httpx.Response) -> _Answer | Unknown:
    try:
        body = json.loads(response.content)
        code = body["Code"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return _GARBAGE
    if not isinstance(body, dict) or not isinstance(code, str) or not _CODE.fullmatch(code):
        return _GARBAGE
    return _Answer(response.status_code, code, body, _wait_s(response.headers))


def _wait_s(headers: Mapping[str, str]) -> float | None:
    """Read how long to wait, in seconds, or in milliseconds by the gateway's own header."""
    for name, unit_s in (("x-acs-retry-after", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        if text.isascii() and text.isdigit():
            return min(int(text[:9]) * unit_s, _WAIT_S_MAX)
    return None


def _refused(answer: _Answer) -> Outcome:
    meaning = meaning_of(answer.code, answer.status)
    if meaning is None:
        log.error("gateway_code_unknown", code=answer.code, status=answer.status)
    elif meaning == "stop":
        log.error("gateway_refused_account", code=answer.code)
    words = answer.body.get("Message")
    return refusal(meaning, answer.code, words if isinstance(words, str) else "", answer.wait_s)


def _details(answer: _Answer) -> list[Mapping[str, Any]] | None:
    outer = answer.body.get("SmsSendDetailDTOs")
    found = outer.get("SmsSendDetailDTO") if isinstance(outer, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return None
    return found


def _segments(detail: Mapping[str, Any]) -> int | None:
    text = detail.get("Content")
    return segments(text) if isinstance(text, str) else None
