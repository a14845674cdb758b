"""Calls by Aliyun Dyvmsapi, 2017-05-25: IvrCall speaks a reviewed text and waits for the key 1.

Source: help.aliyun.com/document_detail/393521.html. `OutId` takes 15 bytes: the first 15 digits of
the attempt's id. Nothing can be looked up without the call's id, so a call whose answer was lost
counts as never made once its receipt has not come for a while.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from services.notify.channels.acs3 import AccessKey
from services.notify.channels.aliyun_rpc import GARBAGE, Answer, Rpc, refused
from services.notify.channels.port import OutMessage, Question
from services.notify.domain import contacts
from services.notify.domain.progress import Accepted, Missing, Outcome
from services.notify.domain.wording import CALL_CONFIRMED

KEY = "1"  # whoever presses it has heard
SHORT = 15  # digits of the attempt's id
_PLAY_TIMES, _KEY_WAIT_MS = "2", "5000"


@dataclass(frozen=True, slots=True)
class CallAccount:
    """Who calls, from which number. `template_codes` has those that the provider named anew."""

    url: str
    key: AccessKey
    show_number: str
    template_codes: Mapping[str, str] = field(default_factory=dict)


class AliyunVoice:
    """The channel `voice`."""

    needs = "phone"

    def __init__(self, account: CallAccount, http: aiohttp.ClientSession) -> None:
        self._account = account
        self._rpc = Rpc(account.url, account.key, http)

    def address(self, contact: str) -> str | None:
        return contacts.mobile(contact)

    def masked(self, address: str) -> str:
        return contacts.masked(address)

    async def send(self, message: OutMessage) -> Outcome:
        """Have a number called; whether anybody answers is told by the receipt."""
        thanks = self._code(CALL_CONFIRMED)
        fields = {
            "CalledShowNumber": self._account.show_number,
            "CalledNumber": message.address,
            "StartCode": self._code(message.template),
            "StartTtsParams": json.dumps(message.values, ensure_ascii=False),
            "PlayTimes": _PLAY_TIMES,
            "Timeout": _KEY_WAIT_MS,
            "MenuKeyMap.1.Key": KEY,
            "MenuKeyMap.1.Code": thanks,
            "ByeCode": thanks,
            "OutId": message.reference.hex[:SHORT],
        }
        answer = await self._rpc.call("IvrCall", fields)
        if not isinstance(answer, Answer):
            return answer
        if not answer.fine:
            return refused(answer)
        call_id = answer.body.get("CallId")
        return Accepted(call_id) if isinstance(call_id, str) and call_id else GARBAGE

    async def look_up(self, question: Question) -> Missing:
        del question
        return Missing()

    def _code(self, template: str) -> str:
        return self._account.template_codes.get(template, template)
