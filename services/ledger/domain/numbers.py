"""Numbers of citizens (GB 11643-1999) and of organisations (GB 32100-2015), and what is wrong.

Their form, their check character and a date of birth bind; the place in them does not, since no
list of places is whole (abolished counties, residence permits). No fault repeats a number.
"""

import re
import unicodedata
from datetime import date

Said = tuple[str, str]  # Chinese, English

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_CREDIT_CHARACTERS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_CREDIT_BASE = 31
_CITIZEN, _OLD = re.compile(r"\d{17}[\dX]", re.ASCII), re.compile(r"\d{15}", re.ASCII)
_CREDIT = re.compile(rf"[{_CREDIT_CHARACTERS}]{{18}}")
_MOBILE = re.compile(r"(?:0{0,2}86-?)?1[3-9]\d-?\d{4}-?\d{4}", re.ASCII)
_APART = "[ -]?"
_SAID_OF_PEOPLE = re.compile(
    rf"(?<!\d)(?:\d{{6}}{_APART}\d{{4}}{_APART}\d{{4}}{_APART}\d{{3}}[\dXx]"
    rf"|\d{{6}}{_APART}\d{{6}}{_APART}\d{{3}}"
    rf"|(?:0{{0,2}}86{_APART})?1[3-9]\d{_APART}\d{{4}}{_APART}\d{{4}})(?!\d)",
    re.ASCII,
)
_EARLIEST = date(1880, 1, 1)  # nobody has lived for longer

_FORM = "应为 18 位：17 位数字和一位校验码（数字或 X）。"
_FORM_EN = "Expected 18 places: 17 digits and a check character, a digit or X."


def western(text: str) -> str:
    """Bring a text to half-width, its digits to ASCII, and drop what cannot be seen of it."""
    plain = unicodedata.normalize("NFKC", text)
    if plain.isascii():
        return plain
    seen = (one for one in plain if unicodedata.category(one) != "Cf")
    return "".join(str(unicodedata.decimal(one, one)) for one in seen)


def as_kept(number: str) -> str:
    """Bring a number to the form in which it is kept: half-width, without spaces, capitals."""
    return "".join(western(number).split()).upper()


def wrong_citizen_number(number: str, today: date) -> Said | None:
    """Tell what is wrong with a citizen number in the form in which it is kept."""
    if _OLD.fullmatch(number):
        zh = "15 位旧号已停用：填现在的 18 位号码。"
        return zh, "A number of 15 digits is no longer valid: give the one of 18."
    if not _CITIZEN.fullmatch(number):
        return _FORM, _FORM_EN
    born = birth_date(number)
    if born is None or born < _EARLIEST:
        zh = "第 7 到 14 位不是真实的出生日期：请对照证件改正。"
        return zh, "Places 7 to 14 are no real date of birth: mend them by the card."
    if born > today:
        zh = "第 7 到 14 位的出生日期在将来：请对照证件改正。"
        return zh, "The date of birth in places 7 to 14 is in the future: mend it by the card."
    if citizen_check(number[:-1]) != number[-1]:
        zh = "校验码不对，有一位抄错了：请对照证件改正。"
        return zh, "The check character does not fit, so a digit is wrong: mend it by the card."
    return None


def is_personal(code: str, today: date) -> bool:
    """Tell whether a code is a citizen number or a mobile number of the mainland."""
    citizen = wrong_citizen_number(as_kept(code), today) is None
    return citizen or _MOBILE.fullmatch(code) is not None


def names_somebody(text: str) -> bool:
    """Tell whether a text holds a citizen number, right or wrong, or a mobile number."""
    return _SAID_OF_PEOPLE.search(western(text)) is not None


def birth_date(number: str) -> date | None:
    """Return the date of birth in a citizen number; None if there is no such day."""
    try:
        return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return None


def citizen_check(body: str) -> str:
    """Return the check character of the first 17 digits of a citizen number."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, body, strict=True))
    return _CHECKS[total % len(_CHECKS)]


def wrong_credit_code(code: str) -> Said | None:
    """Tell what is wrong with an organisation's credit code in the form in which it is kept."""
    if not _CREDIT.fullmatch(code):
        zh = "应为 18 位统一社会信用代码：数字和大写字母，没有 I、O、S、V、Z。"
        return zh, "Expected a credit code of 18 digits and capitals, without I, O, S, V and Z."
    if credit_check(code[:-1]) != code[-1]:
        zh = "校验码不对，有一位抄错了：请对照证照改正。"
        return zh, "The check character does not fit, so a place is wrong: mend it by the licence."
    return None


def credit_check(body: str) -> str:
    """Return the check character of the first 17 places of a credit code."""
    total = sum(
        pow(3, n, _CREDIT_BASE) * _CREDIT_CHARACTERS.index(place) for n, place in enumerate(body)
    )
    return _CREDIT_CHARACTERS[-total % _CREDIT_BASE]
