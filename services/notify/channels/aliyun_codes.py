"""What Aliyun's codes mean for a message: a table, and what holds for a code that is not in it."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Literal

from services.notify.domain.progress import (
    Permanent,
    RateLimited,
    RetryLater,
    Unknown,
)

Meaning = Literal["recipient", "account", "stop", "retry", "unknown", "permanent"]

_STOP_S = 300.0  # until then an operator may have paid, or mended the key
_ACCOUNT_S = 1.0
_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3_600.0, 86_400.0

# A code without an entry goes by the part before its last dot: `Throttling.User`.
MEANINGS: Mapping[str, Meaning] = {
    "isv.BUSINESS_LIMIT_CONTROL": "recipient",
    "BUSINESS_LIMIT_CONTROL_MINUTE": "recipient",
    "BUSINESS_LIMIT_CONTROL_PHONE": "recipient",
    "isv.BUSINESS_LIMIT_HOUR": "recipient",
    "isv.BUSINESS_LIMIT_DAY": "recipient",
    "Throttling": "account",
    "isp.SYSTEM_ERROR": "retry",
    # These two say that the gateway itself does not know: asking first costs one call.
    "isp.GATEWAY_ERROR": "unknown",
    "isp.UNKNOWN": "unknown",
    # Nothing goes out before an operator has acted.
    "isv.OUT_OF_SERVICE": "stop",
    "isv.AMOUNT_NOT_ENOUGH": "stop",
    "isv.ACCOUNT_ABNORMAL": "stop",
    "isv.ACCOUNT_NOT_EXISTS": "stop",
    "isv.PRODUCT_UN_SUBSCRIPT": "stop",
    "isv.PRODUCT_UNSUBSCRIBE": "stop",
    "isp.RAM_PERMISSION_DENY": "stop",
    "SignatureDoesNotMatch": "stop",
    "IncompleteSignature": "stop",
    "InvalidAccessKeyId": "stop",
    "InvalidTimeStamp": "stop",  # our clock is wrong
    "SignatureNonceUsed": "unknown",  # something on the way has repeated our call
    # This template or signature.
    "isv.SMS_TEMPLATE_ILLEGAL": "permanent",
    "isv.SMS_SIGNATURE_ILLEGAL": "permanent",
    "isv.TEMPLATE_MISSING_PARAMETERS": "permanent",
    "isv.INVALID_JSON_PARAM": "permanent",
    "isv.INVALID_PARAMETERS": "permanent",
    "isv.PARAM_LENGTH_LIMIT": "permanent",
    "isv.PARAM_NOT_SUPPORT_URL": "permanent",
    "isv.BLACK_KEY_CONTROL_LIMIT": "permanent",
    "isv.TTS_TEMPLATE_ILLEGAL": "permanent",
    "isv.DISPLAY_NUMBER_ILLEGAL": "permanent",
    # This number.
    "isv.MOBILE_NUMBER_ILLEGAL": "permanent",
    "isv.MOBILE_COUNT_OVER_LIMIT": "permanent",
}
# Of which window a recipient has had too much, in the words of the message or by the code.
_WINDOWS = (
    (re.compile("分钟|MINUTE"), _MINUTE_S),
    (re.compile("小时|HOUR"), _HOUR_S),
    (re.compile("天级|DAY"), _DAY_S),
)


def meaning_of(code: str, status: int) -> Meaning | None:
    """Look a code up; None for one that nobody has described, answered as a plain refusal."""
    known = MEANINGS.get(code) or MEANINGS.get(code.rpartition(".")[0])
    if known is not None:
        return known
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return "account"
    return "unknown" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else None


def refusal(
    meaning: Meaning | None, code: str, words: str, wait_s: float | None
) -> RetryLater | RateLimited | Permanent | Unknown:
    """Return what follows from a refusal; `wait_s` is how long the provider asks to wait."""
    match meaning:
        case "recipient":
            windows = (span for found, span in _WINDOWS if found.search(f"{code} {words}"))
            return RateLimited(code, "recipient", next(windows, _HOUR_S))
        case "account":
            return RateLimited(code, "account", wait_s or _ACCOUNT_S)
        case "stop":
            return RateLimited(code, "account", _STOP_S)
        case "retry":
            return RetryLater(code)
        case "unknown":
            return Unknown(code)
        case _:
            return Permanent(code)
