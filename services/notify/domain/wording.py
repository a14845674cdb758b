"""The words of a message: reviewed texts with short variables, never a name, never free text."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from string import Template as Text
from zoneinfo import ZoneInfo

from services.notify.domain.recipients import Case, Part
from services.notify.domain.town import Rules, Town

SINGLE_LENGTH_MAX = 70
_PART_LENGTH = 67
_CUT = "…"
UNKNOWN_DUE = "规定时限"  # of a clock that cannot be told yet
# What a reply is answered with: which codes may be answered, or that there is nothing to answer.
REPLY_UNCLEAR, REPLY_NONE = "reply_unclear", "reply_none"
# Behind a notice: its text that can be answered; what is spoken in a call.
_REPLY, _CALL = "_reply", "_call"
CALL_CONFIRMED = "call_confirmed"  # what is spoken once the key is pressed


@dataclass(frozen=True, slots=True)
class Template:
    """A reviewed text. `variables` maps each name in it to its greatest length."""

    name: str
    content: str
    variables: Mapping[str, int]

    @property
    def named(self) -> set[str]:
        """The variables that stand in the text."""
        return set(Text(self.content).get_identifiers())

    def values(self, words: Mapping[str, str]) -> dict[str, str]:
        """Return what fills the text, each value cut to its length."""
        return {name: shorten(words[name], most) for name, most in self.variables.items()}

    def text(self, values: Mapping[str, str]) -> str:
        return Text(self.content).substitute(values)


def length(text: str) -> int:
    """Count as phones do, in UTF-16 units: a Chinese character is one, an emoji two."""
    return len(text.encode("utf-16-le")) // 2


def segments(text: str) -> int:
    """Count what a text is charged as, its signature included."""
    units = length(text)
    return 1 if units <= SINGLE_LENGTH_MAX else -(-units // _PART_LENGTH)


def shorten(text: str, most: int) -> str:
    """Cut a text that is too long, and show it."""
    if length(text) <= most:
        return text
    while length(text) > most - 1:
        text = text[:-1]
    return text + _CUT


def text_of(notice: str, channel: str, words: Mapping[str, str]) -> str:
    """Name the text that tells a notice: by SMS, whoever has a code to answer is told of it."""
    if channel == "voice":
        return f"{notice}{_CALL}"
    return f"{notice}{_REPLY}" if channel == "sms" and words.get("code") else notice


def notice_of(text: str) -> str:
    """Return the notice that a text tells."""
    return text.removesuffix(_REPLY).removesuffix(_CALL)


def words(
    case: Case, rules: Rules, town: Town, part: Part | None = None, code: str | None = None
) -> dict[str, str]:
    """Return what texts may name of a case, or of a department's part in it, but for the due time.

    A department without a name is named by its id.
    """

    def name(department: str | None) -> str:
        return rules.departments.get(department, department) if department else ""

    return {
        "code": code or "",
        "number": case.number,
        "category": rules.categories.get(case.category, case.category),
        "place": _place(case, town) or rules.town_name,
        "department": name(part.department) if part else "",
        "proposed": name(part.proposed) if part else "",
    }


def _place(case: Case, town: Town) -> str:
    """Name the place; a grid often bears its village's name already."""
    grid, village = town.name(case.grid), town.name(case.village)
    return grid if grid.startswith(village) else village + grid


def due_words(due_at: datetime, now: datetime, timezone: str) -> str:
    """Say by when, on the town's wall clock; `now` is the tenant's time of sending."""
    zone = ZoneInfo(timezone)
    local, today = due_at.astimezone(zone), now.astimezone(zone).date()
    day = "今天" if local.date() == today else f"{local.month}月{local.day}日"
    return f"{day} {local:%H:%M}"
