"""Why somebody does what he does, in his own words, for the audit log."""

from typing import Annotated

from pydantic import Field

from contracts.text import NOT_KEPT, WRITTEN, is_blank
from services.doors.fields import Checked
from services.ledger.domain.numbers import names_somebody
from services.ledger.faults import both


def without_controls(text: str) -> str:
    """Refuse control characters in what somebody writes."""
    if NOT_KEPT.search(text):
        raise ValueError(
            both("不收控制字符，请删去。", "Control characters are not kept: remove them.")
        )
    return text


def _said(text: str) -> str:
    if is_blank(without_controls(text)):
        raise ValueError(both("不能空白，请写明理由。", "This must not be blank: say why."))
    if names_somebody(text):
        zh = "理由会留在审计日志里，抹不掉：这里不写任何人的身份证号和手机号。"
        en = "It stays in the audit log for ever: write no numbers of people here."
        raise ValueError(both(zh, en))
    return text


_SAID = Checked(_said, {"pattern": WRITTEN})
Reason = Annotated[str, Field(max_length=200), _SAID]
LongReason = Annotated[str, Field(min_length=5, max_length=200), _SAID]
