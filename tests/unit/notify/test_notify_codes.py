import pytest

from services.notify.channels.aliyun_codes import MEANINGS, meaning_of, refusal
from services.notify.domain.progress import (
    Outcome,
    Permanent,
    RateLimited,
    RetryLater,
    Unknown,
)

MINUTE, HOUR, DAY = 60, 3_600, 86_400
DAILY = "isv.BUSINESS_LIMIT_DAY"
FLOW = "isv.BUSINESS_LIMIT_CONTROL"


@pytest.mark.parametrize(
    ("code", "words", "status", "expected"),
    [
        (FLOW, "触发分钟级流控Permits:1", 200, RateLimited(FLOW, "recipient", MINUTE)),
        (FLOW, "触发小时级流控Permits:5", 200, RateLimited(FLOW, "recipient", HOUR)),
        (FLOW, "触发天级流控Permits:10", 200, RateLimited(FLOW, "recipient", DAY)),
        (FLOW, "", 200, RateLimited(FLOW, "recipient", HOUR)),
        (DAILY, "", 200, RateLimited(DAILY, "recipient", DAY)),
        ("Throttling.User", "", 429, RateLimited("Throttling.User", "account", 2.5)),
        ("Throttling.Api", "", 400, RateLimited("Throttling.Api", "account", 2.5)),
        ("SomethingNew", "", 429, RateLimited("SomethingNew", "account", 2.5)),
        ("isv.AMOUNT_NOT_ENOUGH", "", 200, RateLimited("isv.AMOUNT_NOT_ENOUGH", "account", 300)),
        ("InvalidAccessKeyId.NotFound", "", 404,
         RateLimited("InvalidAccessKeyId.NotFound", "account", 300)),
        ("isp.SYSTEM_ERROR", "", 200, RetryLater("isp.SYSTEM_ERROR")),
        ("isp.UNKNOWN", "", 200, Unknown("isp.UNKNOWN")),
        ("InternalError", "", 500, Unknown("InternalError")),
        ("ServiceUnavailable", "", 503, Unknown("ServiceUnavailable")),
        ("isv.MOBILE_NUMBER_ILLEGAL", "", 200, Permanent("isv.MOBILE_NUMBER_ILLEGAL")),
        ("isv.NEVER_HEARD_OF", "", 200, Permanent("isv.NEVER_HEARD_OF")),
        ("MissingPhoneNumbers", "", 400, Permanent("MissingPhoneNumbers")),
    ],
)  # fmt: skip
def test_what_a_code_means(code: str, words: str, status: int, expected: Outcome) -> None:
    assert refusal(meaning_of(code, status), code, words, 2.5) == expected


def test_a_code_that_nobody_has_described_is_told_apart() -> None:
    assert meaning_of("isv.NEVER_HEARD_OF", 200) is None
    assert all(meaning_of(code, 200) for code in MEANINGS)
