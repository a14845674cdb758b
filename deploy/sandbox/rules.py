"""What the provider sends and what it refuses to send.

Pure: no clock, no network, no memory. How often somebody may be written to is in `limits`.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from deploy.sandbox.refusal import Refusal

TEXT_LENGTH_MAX = 500
SINGLE_LENGTH_MAX = 70
PART_LENGTH = 67
NUMBERS_MAX = 1_000
OUT_ID_LENGTH_MAX = 255

PLACEHOLDER = re.compile(r"\$\{([A-Za-z][A-Za-z0-9_]*)\}")
MAINLAND_MOBILE = re.compile(r"(?:\+86|0086|86|\+)?(1[3-9][0-9]{9})")
# ASCII only, so that a Chinese character before a domain counts as a border.
ADDRESS = re.compile(
    r"https?:|//|\bwww\."
    r"|\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"
    r"|[a-z0-9-]\.(?:com|cn|net|org|gov|edu|info|biz|top|xyz|vip|site|shop|link|club|ltd|ink"
    r"|io|cc|me|co|tv|app|dev|mobi|wang|ren|公司|中国|网络|网址)(?![a-z0-9])",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Template:
    """A reviewed text; nothing but its named variables can differ from message to message."""

    code: str
    name: str
    content: str
    variables: Mapping[str, int]  # name -> greatest length
    sign_names: frozenset[str] | None = None  # None: goes with every signature of the account

    def fill(self, values: Mapping[str, str]) -> str:
        return PLACEHOLDER.sub(lambda match: values[match[1]], self.content)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What has been reviewed for this account."""

    sign_names: frozenset[str]
    templates: Mapping[str, Template]


@dataclass(frozen=True, slots=True)
class Order:
    """A SendSms request that may go out."""

    phones: tuple[str, ...]
    sign_name: str
    template_code: str
    text: str
    segments: int
    out_id: str


Fields = Mapping[str, str]


def read_order(fields: Fields, catalogue: Catalogue) -> Order | Refusal:
    """Turn the fields of a SendSms request into what the phones shall show."""
    for check in CHECKS:
        refusal = check(fields, catalogue)
        if refusal is not None:
            return refusal
    template = catalogue.templates[fields["TemplateCode"]]
    values = read_values(fields.get("TemplateParam", ""))
    if isinstance(values, Refusal):
        return values
    refusal = values_refusal(template, values)
    if refusal is not None:
        return refusal
    text = f"【{fields['SignName']}】{template.fill(values)}"
    if length(text) > TEXT_LENGTH_MAX:
        return Refusal("isv.PARAM_LENGTH_LIMIT", f"短信内容超过{TEXT_LENGTH_MAX}字")
    return Order(
        phones=read_numbers(fields["PhoneNumbers"]),
        sign_name=fields["SignName"],
        template_code=template.code,
        text=text,
        segments=count_segments(text),
        out_id=fields.get("OutId", ""),
    )


def missing_field(fields: Fields, *names: str) -> Refusal | None:
    """The gateway in front of the business asks for the mandatory fields."""
    for name in names:
        if not fields.get(name):
            message = f"{name} is mandatory for this action."
            return Refusal(f"Missing{name}", message, HTTPStatus.BAD_REQUEST)
    return None


def fields_refusal(fields: Fields, catalogue: Catalogue) -> Refusal | None:
    del catalogue
    refusal = missing_field(fields, "PhoneNumbers", "SignName", "TemplateCode")
    if refusal is None and len(fields.get("OutId", "")) > OUT_ID_LENGTH_MAX:
        return Refusal("isv.INVALID_PARAMETERS", f"OutId长度应小于{OUT_ID_LENGTH_MAX + 1}")
    return refusal


def numbers_refusal(fields: Fields, catalogue: Catalogue) -> Refusal | None:
    """One number that is none spoils the whole request."""
    del catalogue
    numbers = fields["PhoneNumbers"].split(",")
    if len(numbers) > NUMBERS_MAX:
        return Refusal("isv.MOBILE_COUNT_OVER_LIMIT", f"手机号码数量超过限制{NUMBERS_MAX}")
    if any(read_number(number) is None for number in numbers):
        return Refusal("isv.MOBILE_NUMBER_ILLEGAL", "手机号码格式错误")
    return None


def sign_name_refusal(fields: Fields, catalogue: Catalogue) -> Refusal | None:
    if fields["SignName"] in catalogue.sign_names:
        return None
    return Refusal("isv.SMS_SIGNATURE_ILLEGAL", "该账号下找不到对应签名")


def template_refusal(fields: Fields, catalogue: Catalogue) -> Refusal | None:
    """The template must be known, and reviewed for this signature."""
    template = catalogue.templates.get(fields["TemplateCode"])
    if template is None:
        return Refusal("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板")
    if template.sign_names is not None and fields["SignName"] not in template.sign_names:
        return Refusal("isv.SMS_SIGNATURE_ILLEGAL", "签名与模板不匹配")
    return None


Check = Callable[[Fields, Catalogue], Refusal | None]
CHECKS: tuple[Check, ...] = (
    fields_refusal,
    numbers_refusal,
    sign_name_refusal,
    template_refusal,
)


def read_values(text: str) -> dict[str, str] | Refusal:
    """The variables as a JSON object of strings; 12 instead of "12" is refused, as in earnest."""
    try:
        values = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return Refusal("isv.INVALID_JSON_PARAM", "参数格式错误,请修改为标准的JSON格式")
    if not isinstance(values, dict) or not all(_is_text(value) for value in values.values()):
        return Refusal("isv.INVALID_JSON_PARAM", "JSON参数只接受字符串值")
    return values


def values_refusal(template: Template, values: Mapping[str, str]) -> Refusal | None:
    """Each variable of the template is there, short enough, and leads nowhere."""
    for name, length_max in template.variables.items():
        value = values.get(name, "")
        if not value:
            return Refusal("isv.TEMPLATE_MISSING_PARAMETERS", f"模板变量缺少对应参数值:{name}")
        if length(value) > length_max:
            return Refusal("isv.PARAM_LENGTH_LIMIT", f"参数超过长度限制:{name}<={length_max}")
        if ADDRESS.search(unicodedata.normalize("NFKC", value)):
            return Refusal("isv.PARAM_NOT_SUPPORT_URL", f"变量不支持传入URL:{name}")
    return None


def read_number(text: str) -> str | None:
    """The eleven digits of a mainland mobile number, however its country is written."""
    match = MAINLAND_MOBILE.fullmatch(text)
    return match[1] if match else None


def read_numbers(text: str) -> tuple[str, ...]:
    """Those of a comma list that are numbers, in the order given."""
    return tuple(number for part in text.split(",") if (number := read_number(part)))


def length(text: str) -> int:
    """Phones count UTF-16 code units: a Chinese character is one, an emoji two."""
    return len(text.encode("utf-16-le")) // 2


def count_segments(text: str) -> int:
    """A long text is cut into parts, each of which gives three places to its numbering."""
    units = length(text)
    return 1 if units <= SINGLE_LENGTH_MAX else -(-units // PART_LENGTH)


def _is_text(value: object) -> bool:
    """A lone surrogate passes JSON but is no character, so no phone could show it."""
    return isinstance(value, str) and not any("\ud800" <= char <= "\udfff" for char in value)
