"""Names and other texts of the register: the form in which they are kept, and what is wrong. Pure.

No fault repeats a text.
"""

import re
import unicodedata

from services.ledger.domain.numbers import Said, western

_NAMES_MAX = 50
_OTHERS_MAX = 200  # names of places, matters and organisations
_PEOPLE = ("person", "staff")
_LINES = ("address", "note")  # may have several
_CONTROL = re.compile(r"[\x01-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROL_BUT_LINES = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_PHONE = re.compile(r"\+?[0-9](?:[ -]*[0-9]){4,19}")
_AREA = re.compile(r"\(([+0-9 ]+)\)[ -]*")
_DASHES = dict.fromkeys(map(ord, "‐‑‒–—−"), "-")


def seen(text: str) -> str:
    """Bring a text to the form in which it is kept: NFC, without what only formats it."""
    if not text.isprintable():
        text = "".join(one for one in text if unicodedata.category(one) != "Cf")
    return unicodedata.normalize("NFC", text).strip()


def phone_as_kept(phone: str) -> str:
    """Bring a telephone number to ASCII, (0546)1234567 to 0546-1234567; other spaces stay."""
    plain = _AREA.sub(r"\1-", western(phone).translate(_DASHES), count=1)
    return " ".join(plain.split())


def wrong_text(kind: str, field: str, text: str) -> Said | None:
    """Tell what is wrong with a text in the form in which it is kept."""
    if (_CONTROL_BUT_LINES if field in _LINES else _CONTROL).search(text):
        return "不收控制字符和换行，请删去。", "Control characters are not kept: remove them."
    if field == "phone" and text and not _PHONE.fullmatch(text):
        zh = "应为一个电话号码，5 到 20 位数字，可有 +、空格和连字符，如 0546-1234567。"
        return zh, "Expected one phone number of 5 to 20 digits, with +, spaces and hyphens alone."
    if field == "name" and not text:
        return "不能空白：写明名称。", "This must not be blank: give the name."
    most = _NAMES_MAX if kind in _PEOPLE else _OTHERS_MAX
    if field == "name" and len(text) > most:
        return f"最多 {most} 个字：写短一些。", f"Expected at most {most} characters: shorten it."
    return None
