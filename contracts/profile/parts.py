"""What every section of a profile is made of: ids, names, references, times and deadlines."""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import date, time
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from contracts.profile.duration import PATTERN, Duration
from contracts.profile.problems import shown

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)

ITEMS_MAX = 1000
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTH_DAY_MAX = 31


class Part(BaseModel):
    """A part of a profile: frozen, its types strict, unknown keys refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
    )


Pool = Literal[
    "level", "party_level", "role", "actor", "recipient", "department", "team", "flow",
    "category", "class", "severity", "field", "cadence", "channel", "front_end", "person_flag",
    "notice", "score",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ref:
    """Marks an id that stands elsewhere in the profile; `references.py` looks it up."""

    pool: Pool


def _fault(zh: str, en: str) -> PydanticCustomError:
    return PydanticCustomError("profile", "{en}", {"zh": zh, "en": en})


def _all_different(items: tuple[H, ...]) -> tuple[H, ...]:
    if len(set(items)) < len(items):
        twice = sorted({str(item) for item in items if items.count(item) > 1})
        names = ", ".join(twice)
        raise _fault(
            f"{names} 写了不止一次，留一个即可", f"{names} stands more than once — keep one"
        )
    return items


def _duration(value: Any) -> Duration:  # noqa: ANN401 - whatever the file holds
    try:
        return Duration.parse(value)
    except (TypeError, ValueError):
        raise _fault(
            f"{shown(value)} 不是时长，应如 PT30M、PT8H、P7D、P1M",
            f"{shown(value)} is no duration — write it like PT30M, PT8H, P7D, P1M",
        ) from None


def _time(value: Any) -> time:  # noqa: ANN401 - whatever the file holds
    if isinstance(value, str) and re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", value):
        return time.fromisoformat(value)
    raise _fault(
        f'{shown(value)} 不是时刻，应写成带引号的 "08:30"（不带引号时 YAML 会读成数字）',
        f'{shown(value)} is no time of day — write it in quotes, like "08:30"',
    )


def _day(value: Any) -> date:  # noqa: ANN401 - whatever the file holds
    try:
        if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return date.fromisoformat(value)
    except (TypeError, ValueError):
        pass  # no text (a bare date of YAML, which JSON does not know), or no day
    raise _fault(
        f'{shown(value)} 不是日期，应写成带引号的 "2025-10-01"',
        f'{shown(value)} is no date — write it in quotes, like "2025-10-01"',
    )


def _day_mark(value: Any) -> str | int:  # noqa: ANN401 - whatever the file holds
    if isinstance(value, str) and value in WEEKDAYS:
        return value
    if type(value) is int and 1 <= value <= MONTH_DAY_MAX:
        return value
    raise _fault(
        f"{shown(value)} 不是日子，应为 mon … sun（按周）或 1 … 31（按月）",
        f"{shown(value)} is no day — expected mon … sun (of a week) or 1 … 31 (of a month)",
    )


def _text_form(value: object) -> str:
    return str(value)


def _hhmm(value: time) -> str:
    return value.isoformat(timespec="minutes")


ID_PATTERN = "^[a-z][a-z0-9_]*$"
_ID = Field(pattern=ID_PATTERN, max_length=64)

Id: TypeAlias = Annotated[str, _ID]
LevelId: TypeAlias = Annotated[str, _ID, Ref("level")]
PartyLevelId: TypeAlias = Annotated[str, _ID, Ref("party_level")]
RoleId: TypeAlias = Annotated[str, _ID, Ref("role")]
ActorId: TypeAlias = Annotated[str, _ID, Ref("actor")]  # a role, `reporter`, `handler`, `system`
RecipientId: TypeAlias = Annotated[str, _ID, Ref("recipient")]  # a role, `reporter`, `handler`
DepartmentId: TypeAlias = Annotated[str, _ID, Ref("department")]
TeamId: TypeAlias = Annotated[str, _ID, Ref("team")]
FlowId: TypeAlias = Annotated[str, _ID, Ref("flow")]
CategoryId: TypeAlias = Annotated[str, _ID, Ref("category")]
ClassId: TypeAlias = Annotated[str, _ID, Ref("class")]
SeverityId: TypeAlias = Annotated[str, _ID, Ref("severity")]
FieldId: TypeAlias = Annotated[str, _ID, Ref("field")]
CadenceId: TypeAlias = Annotated[str, _ID, Ref("cadence")]
ChannelId: TypeAlias = Annotated[str, _ID, Ref("channel")]
FrontEndId: TypeAlias = Annotated[str, _ID, Ref("front_end")]
PersonFlagId: TypeAlias = Annotated[str, _ID, Ref("person_flag")]
NoticeId: TypeAlias = Annotated[str, _ID, Ref("notice")]
ScoreId: TypeAlias = Annotated[str, _ID, Ref("score")]

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=500)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000)]

# YAML and JSON have lists, a frozen value has tuples: the one place where types are not strict.
Many: TypeAlias = Annotated[tuple[T, ...], Strict(strict=False), Field(max_length=ITEMS_MAX)]
Unique: TypeAlias = Annotated[
    tuple[H, ...],
    Strict(strict=False),
    Field(max_length=ITEMS_MAX, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_all_different),
]
Some: TypeAlias = Annotated[
    tuple[H, ...],
    Strict(strict=False),
    Field(min_length=1, max_length=ITEMS_MAX, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_all_different),
]

Length: TypeAlias = Annotated[
    Duration,
    PlainValidator(_duration),
    PlainSerializer(_text_form),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["PT30M", "P7D", "P1M"]}),
]
TimeOfDay: TypeAlias = Annotated[
    time,
    PlainValidator(_time),
    PlainSerializer(_hhmm),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}),
]
Day: TypeAlias = Annotated[
    date,
    PlainValidator(_day),
    PlainSerializer(_text_form),
    WithJsonSchema({"type": "string", "format": "date"}),
]
DayMark: TypeAlias = Annotated[
    str | int,
    PlainValidator(_day_mark),
    WithJsonSchema(
        {"anyOf": [{"enum": list(WEEKDAYS)}, {"type": "integer", "minimum": 1, "maximum": 31}]}
    ),
]
Span: TypeAlias = Annotated[tuple[TimeOfDay, TimeOfDay], Strict(strict=False)]

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
CountKind = Literal["exact", "at_least", "about", "unknown"]
CheckLevel = Literal["strict", "warn", "off"]
Direction = Literal["in", "out", "both"]


class Words(Part):
    """What pages show; where English is missing, they show the Chinese."""

    zh: Name
    en: Name | None = None


class Named(Part):
    """Something with an id and a name. Lists of such items merge by the id."""

    id: Id
    zh: Name
    en: Name | None = None


class Deadline(Part):
    """By when something must be done, and what happens when it is not."""

    within: Length
    """The time allowed. The duty clock takes hours and minutes only: a duty day is `PT8H`."""
    clock: Literal["calendar", "duty"] = "calendar"
    """`calendar` counts all time; `duty` counts duty spans on workdays."""
    counts_from: Literal["reported", "accepted", "assigned", "step_entered", "blown"]
    """The moment from which the time runs."""
    warn_at: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The share of the time after which the handler is warned, once."""
    on_overdue: Unique[
        Literal["notify_handler", "notify_superior", "escalate", "whistle", "flag"]
    ] = ()
    """What is done when the time is over, once."""
    by_time: TimeOfDay | None = None
    """On the day `within` leads to, not later than this time."""


class Every(Part):
    """How often something recurs."""

    unit: Literal["day", "workday", "week", "month", "quarter", "half_year", "year", "adhoc"]
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    """How many times in each period."""
    by: TimeOfDay | None = None
    """The time of day by which it must be done."""
    days: Unique[DayMark] = ()
    """`mon` … `sun` of a week, or 1 … 31 of a month."""


def item_key(item: object) -> str | None:
    """Return what a list's item is known by: its `id`, else its `when`."""
    if isinstance(item, Mapping):
        key = item.get("id") or item.get("when")
    else:
        key = getattr(item, "id", None) or getattr(item, "when", None)
    return key if isinstance(key, str) else None
