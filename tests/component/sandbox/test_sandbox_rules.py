import json

import pytest

from deploy.sandbox.refusal import Refusal
from deploy.sandbox.rules import (
    Catalogue,
    Order,
    Template,
    count_segments,
    length,
    read_number,
    read_order,
)

SIGN = "吹哨"
NOTICE = Template(
    "SMS_1", "通知", "${village}吹哨：${matter}。", {"village": 6, "matter": 20}, None
)
FREE = Template("SMS_2", "任意", "${text}", {"text": 500}, None)
PLAIN = Template("SMS_3", "到期", "今天到期。", {}, None)
BOUND = Template("SMS_4", "他签", "好", {}, frozenset({"别处"}))
CATALOGUE = Catalogue(
    frozenset({SIGN, "别处"}), {one.code: one for one in (NOTICE, FREE, PLAIN, BOUND)}
)


def fields(**changes: str) -> dict[str, str]:
    given = {
        "PhoneNumbers": "13800000012",
        "SignName": SIGN,
        "TemplateCode": "SMS_1",
        "TemplateParam": '{"village":"新民村","matter":"路灯不亮"}',
    }
    return {name: value for name, value in (given | changes).items() if value}


def outcome(**changes: str) -> str:
    order = read_order(fields(**changes), CATALOGUE)
    return order.code if isinstance(order, Refusal) else "OK"


def with_text(text: str) -> Order | Refusal:
    values = json.dumps({"text": text})
    return read_order(fields(TemplateCode="SMS_2", TemplateParam=values), CATALOGUE)


def test_an_order_carries_what_the_phone_shows() -> None:
    assert read_order(fields(OutId="a-1"), CATALOGUE) == Order(
        phones=("13800000012",),
        sign_name=SIGN,
        template_code="SMS_1",
        text="【吹哨】新民村吹哨：路灯不亮。",
        segments=1,
        out_id="a-1",
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        pytest.param("13800000012", "13800000012", id="bare"),
        pytest.param("+8613800000012", "13800000012", id="plus-86"),
        pytest.param("8613800000012", "13800000012", id="86"),
        pytest.param("008613800000012", "13800000012", id="0086"),
        pytest.param("+13800000012", "13800000012", id="plus-alone"),
        pytest.param("12800000012", None, id="no-such-range"),
        pytest.param("1380000001", None, id="ten-digits"),
        pytest.param("138000000123", None, id="twelve-digits"),
        pytest.param("013800000012", None, id="leading-zero"),
        pytest.param("+85298765432", None, id="hong-kong"),
        pytest.param("138 0000 0012", None, id="blanks"),
        pytest.param("１３８００００００１２", None, id="full-width"),
        pytest.param("", None, id="empty"),
    ],
)
def test_read_number(text: str, number: str | None) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({}, "OK", id="as-it-is"),
        pytest.param({"PhoneNumbers": ""}, "MissingPhoneNumbers", id="no-number"),
        pytest.param({"SignName": ""}, "MissingSignName", id="no-signature"),
        pytest.param({"TemplateCode": ""}, "MissingTemplateCode", id="no-template"),
        pytest.param({"PhoneNumbers": "12345"}, "isv.MOBILE_NUMBER_ILLEGAL", id="bad-number"),
        pytest.param(
            {"PhoneNumbers": "13800000012,12345"}, "isv.MOBILE_NUMBER_ILLEGAL", id="one-bad-of-two"
        ),
        pytest.param(
            {"PhoneNumbers": "13800000012,"}, "isv.MOBILE_NUMBER_ILLEGAL", id="trailing-comma"
        ),
        pytest.param(
            {"PhoneNumbers": ",".join(["13800000012"] * 1_000)}, "OK", id="a-thousand-numbers"
        ),
        pytest.param(
            {"PhoneNumbers": ",".join(["13800000012"] * 1_001)},
            "isv.MOBILE_COUNT_OVER_LIMIT",
            id="one-number-more",
        ),
        pytest.param({"SignName": "吹号"}, "isv.SMS_SIGNATURE_ILLEGAL", id="unknown-signature"),
        pytest.param({"SignName": "【吹哨】"}, "isv.SMS_SIGNATURE_ILLEGAL", id="brackets"),
        pytest.param({"SignName": "吹哨 "}, "isv.SMS_SIGNATURE_ILLEGAL", id="blank"),
        pytest.param(
            {"TemplateCode": "SMS_4"}, "isv.SMS_SIGNATURE_ILLEGAL", id="not-for-this-template"
        ),
        pytest.param({"TemplateCode": "SMS_9"}, "isv.SMS_TEMPLATE_ILLEGAL", id="unknown-template"),
        pytest.param({"OutId": "o" * 255}, "OK", id="longest-out-id"),
        pytest.param({"OutId": "o" * 256}, "isv.INVALID_PARAMETERS", id="out-id-too-long"),
    ],
)
def test_what_is_refused_before_the_text_is_made(changes: dict[str, str], code: str) -> None:
    assert outcome(**changes) == code


@pytest.mark.parametrize(
    ("values", "code"),
    [
        pytest.param('{"village":"新民村","matter":"路灯","more":"x"}', "OK", id="one-too-many"),
        pytest.param('{"village":"新民村"}', "isv.TEMPLATE_MISSING_PARAMETERS", id="one-missing"),
        pytest.param("", "isv.TEMPLATE_MISSING_PARAMETERS", id="none-at-all"),
        pytest.param(
            '{"village":"新民村","matter":""}', "isv.TEMPLATE_MISSING_PARAMETERS", id="empty"
        ),
        pytest.param('{"village":"新民村","matter":12}', "isv.INVALID_JSON_PARAM", id="number"),
        pytest.param('{"village":"新民村","matter":null}', "isv.INVALID_JSON_PARAM", id="null"),
        pytest.param('["新民村","路灯"]', "isv.INVALID_JSON_PARAM", id="list"),
        pytest.param("{'village':'新民村'}", "isv.INVALID_JSON_PARAM", id="single-quotes"),
        pytest.param("[" * 10_000, "isv.INVALID_JSON_PARAM", id="deep"),
        pytest.param(
            '{"village":"新民村","matter":"\\ud842"}',
            "isv.INVALID_JSON_PARAM",
            id="half-a-character",
        ),
        pytest.param('{"village":"新民村民委员","matter":"x"}', "OK", id="six-are-allowed"),
        pytest.param(
            '{"village":"新民村民委员会","matter":"x"}', "isv.PARAM_LENGTH_LIMIT", id="seven"
        ),
        pytest.param('{"village":"𠮷𠮷𠮷","matter":"x"}', "OK", id="three-of-two-units"),
        pytest.param('{"village":"𠮷𠮷𠮷x","matter":"x"}', "isv.PARAM_LENGTH_LIMIT", id="units"),
    ],
)
def test_the_variables_must_be_complete_strings_of_their_length(values: str, code: str) -> None:
    assert outcome(TemplateParam=values) == code


def test_a_template_without_variables_needs_none() -> None:
    assert outcome(TemplateCode="SMS_3", TemplateParam="") == "OK"


@pytest.mark.parametrize(
    ("value", "is_address"),
    [
        pytest.param("http://a.b", True, id="http"),
        pytest.param("HTTPS://A.B", True, id="upper-case"),
        pytest.param("请看www.x", True, id="www-behind-chinese"),
        pytest.param("详见baidu.com。", True, id="domain-behind-chinese"),
        pytest.param("gov.cn/12", True, id="with-path"),
        pytest.param("ｂａｉｄｕ．ｃｏｍ", True, id="full-width"),
        pytest.param("吹哨.中国", False, id="chinese-name-alone"),
        pytest.param("chuishao.中国", True, id="chinese-top-level"),
        pytest.param("10.0.0.1", True, id="ip"),
        pytest.param("今天16:00前", False, id="clock"),
        pytest.param("约3.5公里", False, id="decimal"),
        pytest.param("No.12", False, id="number"),
        pytest.param("WG-0303-001", False, id="case-number"),
        pytest.param("v1.2.3", False, id="version"),
        pytest.param("a.company", False, id="longer-word"),
        pytest.param("张三，李四", False, id="names"),
    ],
)
def test_no_variable_may_hold_an_address(value: str, is_address: bool) -> None:
    code = outcome(TemplateCode="SMS_2", TemplateParam=json.dumps({"text": value}))
    assert code == ("isv.PARAM_NOT_SUPPORT_URL" if is_address else "OK")


@pytest.mark.parametrize(
    ("units", "segments"),
    [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (160, 3), (201, 3), (202, 4), (500, 8)],
)
def test_segments_at_their_edges(units: int, segments: int) -> None:
    assert count_segments("字" * units) == segments


def test_an_emoji_and_a_rare_character_count_two() -> None:
    assert (length("🚨"), length("𠮷"), length("字"), length("a，")) == (2, 2, 1, 2)
    assert count_segments("字" * 68 + "🚨") == 1
    assert count_segments("字" * 69 + "🚨") == 2


def test_the_signature_counts_towards_the_length() -> None:
    shorter, longer = with_text("字" * 66), with_text("字" * 67)
    assert isinstance(shorter, Order)
    assert isinstance(longer, Order)
    assert (shorter.segments, longer.segments) == (1, 2)


def test_five_hundred_with_the_signature_are_the_most() -> None:
    longest, too_long = with_text("字" * 496), with_text("字" * 497)
    assert isinstance(longest, Order)
    assert length(longest.text) == 500
    assert isinstance(too_long, Refusal)
    assert too_long.code == "isv.PARAM_LENGTH_LIMIT"
