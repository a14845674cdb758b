"""What is wrong with a line of a change set, told to people: Chinese first, English beside it."""

from collections.abc import Iterator, Mapping

from pydantic import ValidationError

from services.doors.faults import field_of, message_of

Wrong = tuple[str, str]  # the field, and what was expected, in both languages
# What a table of official days says of itself, by the `type` of its error.
_OF_CALENDARS: Mapping[str, tuple[str, str]] = {
    "holiday_length": (
        "应为 1 到 {days} 天，从 first 到 last。",
        "Expected 1 to {days} days, from `first` to `last`.",
    ),
    "day_of_another_year": (
        "{day} 不属于 {year} 年：改日期或年份。",
        "{day} does not belong to {year}: mend the day or the year.",
    ),
    "no_weekend_day": (
        "{day} 不是周末，本来就上班：请删去。",
        "{day} is no weekend day, a workday already: remove it.",
    ),
    "years_out_of_order": (
        "每年写一次，按先后排列。",
        "Expected each year once, in order.",
    ),
    "day_told_twice": (
        "这些日子写了不止一次：{days}。各留一处。",
        "Told more than once: {days}. Leave each in one place.",
    ),
}


def both(zh: str, en: str) -> str:
    """Say it in both languages."""
    return f"{zh} {en}"


def wrong_by(error: ValidationError) -> Iterator[Wrong]:
    """Name each faulty field of a line and what was expected; never repeat the value."""
    errors = error.errors(include_url=False, include_input=False)
    around = {one["loc"][:n] for one in errors for n in range(len(one["loc"]))}
    for one in errors:
        if one["type"] == "too_short" and one["loc"] in around:
            continue  # its faulty entries, each named by itself, were not counted
        own = _OF_CALENDARS.get(one["type"])
        said = both(*own).format(**one.get("ctx", {})) if own else message_of(one)
        yield field_of(one["loc"], "line"), said
