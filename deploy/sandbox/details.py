"""QuerySendDetails: what became of the texts to one number on one day.

Pure: the day of today and the messages are arguments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from deploy.sandbox.receipts import CHINA, china_time
from deploy.sandbox.refusal import Refusal
from deploy.sandbox.rules import missing_field, read_number
from deploy.sandbox.truth import Message

PAGE_SIZE_MAX = 50
DAYS_BACK_MAX = 30
DIGITS_MAX = 6

WAITING, FAILED, SUCCEEDED = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Question:
    phone: str
    day: date
    page_size: int
    page: int
    biz_id: str | None


def read_question(fields: Mapping[str, str], today: date) -> Question | Refusal:
    """The day is China's, and at most thirty days ago."""
    missing = missing_field(fields, "PhoneNumber", "SendDate", "PageSize", "CurrentPage")
    if missing:
        return missing
    phone = read_number(fields["PhoneNumber"])
    if phone is None:
        return Refusal("isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误")
    day = _read_day(fields["SendDate"])
    if day is None or not today - timedelta(days=DAYS_BACK_MAX) <= day <= today:
        return _invalid("SendDate")
    page_size = _read_count(fields["PageSize"])
    if not 1 <= page_size <= PAGE_SIZE_MAX:
        return _invalid("PageSize")
    page = _read_count(fields["CurrentPage"])
    if page < 1:
        return _invalid("CurrentPage")
    return Question(phone, day, page_size, page, fields.get("BizId") or None)


def answer_question(question: Question, of_phone: Iterable[Message]) -> dict[str, object]:
    """One page, the newest first; the number counts all pages."""
    found = [
        message
        for message in of_phone
        if message.accepted_at.astimezone(CHINA).date() == question.day
        and question.biz_id in (None, message.biz_id)
    ]
    found.reverse()
    start = (question.page - 1) * question.page_size
    page = found[start : start + question.page_size]
    return {
        "Code": "OK",
        "Message": "OK",
        "TotalCount": len(found),
        "SmsSendDetailDTOs": {"SmsSendDetailDTO": [detail(message) for message in page]},
    }


def detail(message: Message) -> dict[str, str | int]:
    """One SmsSendDetailDTO; what the operator has not said is absent."""
    facts: dict[str, str | int] = {
        "PhoneNum": message.phone,
        "SendStatus": WAITING,
        "SendDate": china_time(message.accepted_at),
        "TemplateCode": message.template_code,
        "Content": message.text,
        "OutId": message.out_id,
    }
    if message.receipt:
        facts["SendStatus"] = SUCCEEDED if message.receipt.success else FAILED
        facts["ReceiveDate"] = china_time(message.receipt.reported_at)
        facts["ErrCode"] = message.receipt.err_code
    return facts


def _read_day(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=CHINA).date()
    except ValueError:
        return None


def _read_count(text: str) -> int:
    """-1 for what is no number, which no range admits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else -1


def _invalid(name: str) -> Refusal:
    return Refusal("isv.INVALID_PARAMETERS", f"参数异常:{name}")
