"""Quiet hours: a span of the town's wall clock in which nobody is disturbed."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Quiet:
    """From `start` on, until `end`, which is quiet no more; it may span midnight."""

    start: time
    end: time


def quiet_until(quiet: Quiet | None, now: datetime, timezone: str) -> datetime | None:
    """Return when the quiet hours end that `now` (tenant's time) lies in; None outside of them.

    A span that ends as it begins is none.
    """
    if quiet is None or quiet.start == quiet.end:
        return None
    local = now.astimezone(ZoneInfo(timezone))
    begun, over = quiet.start <= local.time(), quiet.end <= local.time()
    spans = quiet.end < quiet.start
    if not ((begun or not over) if spans else (begun and not over)):
        return None
    day = local.date() + timedelta(days=1 if over else 0)
    return datetime.combine(day, quiet.end, local.tzinfo).astimezone(UTC)
