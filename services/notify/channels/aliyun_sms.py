"""SMS by Aliyun Dysmsapi, 2017-05-25: SendSms, and QuerySendDetails for what got no answer.

The gateway has no key against a second SMS: `OutId` only comes back in details and receipts. So
whatever may have been sent is `Unknown`, and is looked up before it is sent again.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import aiohttp

from services.notify.channels.acs3 import AccessKey
from services.notify.channels.aliyun_rpc import GARBAGE, Answer, Rpc, refused, utc_now
from services.notify.channels.port import OutMessage, Question
from services.notify.domain import contacts
from services.notify.domain.progress import Accepted, Missing, Outcome, Unknown
from services.notify.domain.wording import segments

_CHINA = timezone(timedelta(hours=8))
_PAGE, _PAGES_MAX = 50, 20
# The provider's day of a send may differ from ours around midnight.
_DAY_MARGIN = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose SMS these are. `template_codes` has those that the provider gave another code."""

    url: str
    key: AccessKey
    sign_name: str
    template_codes: Mapping[str, str] = field(default_factory=dict)


class AliyunSms:
    """The channel `sms`."""

    needs = "phone"

    def __init__(
        self,
        account: Account,
        http: aiohttp.ClientSession,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._account, self._now = account, now
        self._rpc = Rpc(account.url, account.key, http, now)

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
        answer = await self._rpc.call("SendSms", fields)
        if not isinstance(answer, Answer):
            return answer
        if not answer.fine:
            return refused(answer)
        biz_id = answer.body.get("BizId")
        if not isinstance(biz_id, str) or not biz_id:
            return GARBAGE
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
                answer = await self._rpc.call("QuerySendDetails", fields)
                if not isinstance(answer, Answer):
                    return Unknown(answer.code)
                details = _details(answer) if answer.fine else None
                if details is None:
                    return Unknown(answer.code if answer.code != "OK" else GARBAGE.code)
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


def _details(answer: Answer) -> list[Mapping[str, Any]] | None:
    outer = answer.body.get("SmsSendDetailDTOs")
    found = outer.get("SmsSendDetailDTO") if isinstance(outer, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        return None
    return found


def _segments(detail: Mapping[str, Any]) -> int | None:
    text = detail.get("Content")
    return segments(text) if isinstance(text, str) else None
