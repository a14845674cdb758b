"""How somebody is told that his budget of a day is spent, and the document tells of it."""

from datetime import datetime
from typing import Any

from services.chassis.http import Problem
from services.doors.document import refusal

SPENT: dict[int | str, dict[str, Any]] = {
    429: refusal("The budget of the day is spent: Retry-After")
}


def spent_up(
    code: str, said: tuple[str, str], now: datetime, ends: datetime, **most: int
) -> Problem:
    """Say which budget does not suffice, in both languages, and from when on there is a new one."""
    (zh, en), until = said, ends.isoformat()
    headers = {"Retry-After": str(int((ends - now).total_seconds()) + 1)}
    zh, en = f"{zh}，{until} 起重新计。", f"{en} anew at {until}."
    return Problem(429, code, zh, en, headers, **most, resets_at=until)
