"""IvrCall: a call that speaks a reviewed text and waits for a key.

Source: Aliyun Dyvmsapi 2017-05-25, IvrCall (help.aliyun.com/document_detail/393521.html):
CalledShowNumber, CalledNumber, StartCode, StartTtsParams, PlayTimes, Timeout, ByeCode, MenuKeyMap,
OutId of at most 15 bytes. One number is called once a minute, five times an hour, twenty times a
day. What comes of it is a `VoiceReport` (help.aliyun.com/zh/vms/voicereport-7), with the status
codes of help.aliyun.com/document_detail/55085.html.
"""

import secrets
from dataclasses import dataclass, replace
from uuid import uuid4

from fastapi import Request, Response

from deploy.sandbox.provider import Fields, Provider, answer, refuse
from deploy.sandbox.receipts import DELIVERED, NOT_ANSWERED, decide_fate
from deploy.sandbox.refusal import Refusal
from deploy.sandbox.rules import (
    TEXT_LENGTH_MAX,
    Catalogue,
    length,
    missing_field,
    read_number,
    read_values,
    values_refusal,
)
from deploy.sandbox.sends import await_receipts, spoil
from deploy.sandbox.truth import Message

CALLS = "calls"  # all of a number's calls count together, whatever they say
OUT_ID_BYTES_MAX = 15
CALL_ID_LEAST = 10**11
PLAY_TIMES = ("1", "2", "3")


@dataclass(frozen=True, slots=True)
class Call:
    """An IvrCall request that may go out."""

    phone: str
    show_number: str
    template_code: str
    text: str
    out_id: str


def read_call(fields: Fields, catalogue: Catalogue) -> Call | Refusal:
    """Turn the fields of an IvrCall request into what the phone shall ring with."""
    refusal = missing_field(
        fields, "CalledShowNumber", "CalledNumber", "StartCode", "MenuKeyMap.1.Key"
    ) or _unfit(fields, catalogue)
    if refusal is not None:
        return refusal
    phone = read_number(fields["CalledNumber"])
    if phone is None:
        return Refusal("isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误")
    template = catalogue.templates[fields["StartCode"]]
    values = read_values(fields.get("StartTtsParams", ""))
    if isinstance(values, Refusal):
        return values
    refusal = values_refusal(template, values)
    if refusal is not None:
        return refusal
    text = template.fill(values)
    if length(text) > TEXT_LENGTH_MAX:
        return Refusal("isv.PARAM_LENGTH_LIMIT", f"语音内容超过{TEXT_LENGTH_MAX}字")
    return Call(phone, fields["CalledShowNumber"], template.code, text, fields.get("OutId", ""))


def _unfit(fields: Fields, catalogue: Catalogue) -> Refusal | None:
    if fields["CalledShowNumber"] not in catalogue.sign_names:
        return Refusal("isv.DISPLAY_NUMBER_ILLEGAL", "号显不合法")
    if len(fields.get("OutId", "").encode()) > OUT_ID_BYTES_MAX:
        return Refusal("isv.INVALID_PARAMETERS", f"OutId长度为1~{OUT_ID_BYTES_MAX}个字节")
    if fields.get("PlayTimes", "1") not in PLAY_TIMES:
        return Refusal("isv.INVALID_PARAMETERS", "PlayTimes取值范围为1~3")
    codes = ("StartCode", "ByeCode", "MenuKeyMap.1.Code")
    if any(code in fields and fields[code] not in catalogue.templates for code in codes):
        return Refusal("isv.TTS_TEMPLATE_ILLEGAL", "未找到审核通过的文本转语音模板")
    return None


async def place_call(provider: Provider, request: Request, fields: Fields) -> Response:
    """Refuse, or let the phone ring, and then answer; faults may step in between."""
    number = frozenset({read_number(fields.get("CalledNumber", "")) or ""})
    spoiled = await spoil(provider, request, number, "before")
    if spoiled is not None:
        return spoiled
    call = read_call(fields, provider.call_catalogue)
    if isinstance(call, Refusal):
        return refuse(call)
    key = (call.phone, CALLS)
    refusal = provider.call_windows.refusal([key], provider.clock())
    if refusal is not None:
        return refuse(refusal)
    call_id = f"{CALL_ID_LEAST + secrets.randbelow(9 * CALL_ID_LEAST)}^{secrets.randbelow(10**11)}"
    await _ring(provider, call, call_id)
    spoiled = await spoil(provider, request, number, "after")
    return spoiled or answer({"Code": "OK", "Message": "OK", "CallId": call_id})


async def _ring(provider: Provider, call: Call, call_id: str) -> None:
    """From here on the phone rings, until somebody answers or it has rung long enough."""
    now = provider.clock()
    fate = decide_fate(provider.settings.calls.ring_s, provider.faults.receipt_faults(call.phone))
    if fate.err_code == DELIVERED:
        fate = replace(fate, err_code=NOT_ANSWERED)
    message = Message(
        message_id=uuid4().hex,
        biz_id=call_id,
        out_id=call.out_id,
        phone=call.phone,
        sign_name=call.show_number,
        template_code=call.template_code,
        text=call.text,
        segments=1,
        accepted_at=now,
        reached_at=now if fate.reaches else None,
        call=True,
    )
    provider.messages.record(message)
    provider.call_windows.count((call.phone, CALLS), now)
    await await_receipts(provider, [(message, fate)])
