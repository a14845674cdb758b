"""Fields that many doors take, with checks that their OpenAPI documents tell of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    GetJsonSchemaHandler,
)
from pydantic_core import CoreSchema

_YEARS = range(1900, 9000)  # that a database can hold in any zone
_DATED = re.compile(r"[0-9]{4}-")
_EXPECTED = (
    "应为带时区的时间，如 2025-03-03T10:00:00+08:00。 Expected a time with its offset, so written."
)


@dataclass(frozen=True, slots=True)
class Checked(AfterValidator):
    """A check, and what JSON Schema can tell of it."""

    shown: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(core), **self.shown}


def _written(moment: object) -> object:
    """Let only a date be a moment: a number, also as text, would be seconds since 1970."""
    if not isinstance(moment, str) or not _DATED.match(moment):
        raise ValueError(_EXPECTED)
    return moment


def _possible(moment: datetime) -> datetime:
    if moment.year not in _YEARS:
        raise ValueError("应在 1900 年到 8999 年之间。 Expected a year from 1900 to 8999.")
    return moment


Moment = Annotated[AwareDatetime, BeforeValidator(_written), AfterValidator(_possible)]
