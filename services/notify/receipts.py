"""Receipts: what a provider tells of messages, in batches, at least once, in any order."""

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.chassis.http import Problem, read_json
from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.notify.channels.aliyun_voice import KEY, SHORT
from services.notify.domain.progress import Delivered, Undelivered
from services.notify.record import Recorder, Told
from services.notify.store import attempts
from services.notify.store.attempts import Found, Receipt
from services.telemetry.metrics import count

log = structlog.get_logger()

ALIYUN, ALIYUN_VOICE = "aliyun", "aliyun_voice"
PUSHED_MAX = 1_000
_ANSWERED = frozenset({"200000", "200001", "200008"})  # heard; hung up; no key in time
_NO_KEY = "call.no_key"
_SHORT = re.compile(f"[0-9a-f]{{{SHORT}}}")


class AliyunReceipt(BaseModel):
    """One element of the pushed array; what is not needed is not read."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    phone_number: Annotated[str, Field(min_length=1, max_length=32)]
    biz_id: Annotated[str, Field(min_length=1, max_length=64)]
    out_id: Annotated[str, Field(max_length=255)] = ""
    success: bool
    err_code: Annotated[str, Field(max_length=100)] = ""


class AliyunVoiceReport(BaseModel):
    """One element of the array pushed about calls (`VoiceReport`)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    call_id: Annotated[str, Field(min_length=1, max_length=64)]
    callee: Annotated[str, Field(min_length=1, max_length=32)]
    status_code: Annotated[str, Field(pattern="^[0-9]{1,10}$")]
    out_id: Annotated[str, Field(max_length=255)] = ""
    dtmf: Annotated[str, Field(max_length=64)] = ""

    def receipt(self) -> AliyunReceipt:
        """Return it as a receipt: whoever was called has heard only if he pressed the key."""
        heard = self.status_code in _ANSWERED and KEY in self.dtmf
        return AliyunReceipt(
            phone_number=self.callee,
            biz_id=self.call_id,
            out_id=self.out_id,
            success=heard,
            err_code=_NO_KEY if self.status_code in _ANSWERED else f"call.{self.status_code}",
        )


def read_receipts(provider: str, body: bytes, keys: KeyRing) -> list[Receipt]:
    """Read a batch; a receipt that is none is counted and left out, or all would come again.

    Raises:
        Problem: it is not a list, or too long a one.
    """
    given = read_json(body)
    if not isinstance(given, list) or len(given) > PUSHED_MAX:
        zh, en = f"应为至多 {PUSHED_MAX} 条回执的列表。", f"Expected a list of up to {PUSHED_MAX}."
        raise Problem(400, "receipts_malformed", zh, en)
    found = []
    for one in given:
        try:
            if provider == ALIYUN_VOICE:
                told = AliyunVoiceReport.model_validate(one).receipt()
            else:
                told = AliyunReceipt.model_validate(one)
            found.append(_receipt(provider, told, keys))
        except ValidationError:
            count("chuishao_receipts_total", end="rejected")
            log.warning("receipt_rejected", kind=provider)
    return found


def _receipt(provider: str, told: AliyunReceipt, keys: KeyRing) -> Receipt:
    phone = hmac.new(keys.pepper, f"phone|{told.phone_number}".encode(), sha256).hexdigest()
    code = told.err_code.replace("\0", "") or "undelivered"
    texts = (told.biz_id.replace("\0", ""), phone, told.out_id.replace("\0", ""))
    return Receipt(provider, *texts, told.success, code)


async def take_receipts(conn: Connection, recorder: Recorder, receipts: Sequence[Receipt]) -> None:
    """Keep receipts and what follows from them, in the caller's transaction.

    A receipt may be faster than the answer to its call: the attempt is there before the call.
    """
    fresh = await attempts.put_receipts(conn, receipts)
    references = {one.reference: id_ for one in fresh if (id_ := _uuid(one.reference))}
    references |= await attempts.by_short(conn, [o.reference for o in fresh if _is_short(o)])
    found = await attempts.by_reference(conn, list(references.values()))
    told = []
    for one in fresh:
        place = found.get(references[one.reference]) if one.reference in references else None
        if place is None:
            count("chuishao_receipts_total", end="foreign")
        else:
            count("chuishao_receipts_total", end="delivered" if one.success else "undelivered")
            told.append(_told(one, place))
    count("chuishao_receipts_total", len(receipts) - len(fresh), end="known")
    if told:
        await recorder.record(conn, told)


def _told(receipt: Receipt, place: Found) -> Told:
    by_key = receipt.provider == ALIYUN_VOICE  # without it a call is not delivered
    news = Delivered(by_key) if receipt.success else Undelivered(receipt.code)
    return Told(place.key, place.case_id, place.number, news)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _is_short(receipt: Receipt) -> bool:
    return receipt.provider == ALIYUN_VOICE and _SHORT.fullmatch(receipt.reference) is not None
