"""How moments and lengths of time are said. `board.js` says them alike; change both together."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from services.console.domain.words import Words

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


def span(seconds: float, words: Words) -> str:
    """Say a length of at least a minute: 35 分, 2 小时 05 分, 3 天 4 小时."""
    minutes = int(seconds) // MINUTE_S
    days, minutes_left = divmod(minutes, DAY_S // MINUTE_S)
    hours, minutes_left = divmod(minutes_left, 60)
    if days:
        text = words.span_days_hours if hours else words.span_days
        return text.format(d=days, h=hours)
    if hours:
        text = words.span_hours_minutes if minutes_left else words.span_hours
        return text.format(h=hours, m=f"{minutes_left:02d}")
    return words.span_minutes.format(m=minutes_left)


def moment(at: datetime, now: datetime, zone: ZoneInfo, words: Words) -> str:
    """Say a moment by the town's calendar: 今天 16:00, 3月8日 09:00."""
    there, here = at.astimezone(zone), now.astimezone(zone)
    near = {0: words.today, 1: words.tomorrow, -1: words.yesterday}
    far = words.date if there.year == here.year else words.date_year
    return near.get((there.date() - here.date()).days, far).format(
        year=there.year,
        month=words.months.split()[there.month - 1],
        day=there.day,
        time=f"{there:%H:%M}",
    )


def remaining(due_at: datetime, now: datetime, words: Words) -> str:
    """Say what is left, or by how much it is over: 还有 2 小时 05 分, 超时 35 分."""
    left = (due_at - now).total_seconds()
    if left > 0:
        return words.left.format(span=span(left, words)) if left >= MINUTE_S else words.left_little
    over = -left
    return words.late.format(span=span(over, words)) if over >= MINUTE_S else words.late_just


def ago(at: datetime, now: datetime, words: Words) -> str:
    """Say how long ago, by the greatest unit alone: the exact time stands beside it."""
    seconds = int((now - at).total_seconds())
    if seconds < MINUTE_S:
        return words.just_now
    if seconds < HOUR_S:
        return words.minutes_ago.format(n=seconds // MINUTE_S)
    if seconds < DAY_S:
        return words.hours_ago.format(n=seconds // HOUR_S)
    return words.days_ago.format(n=seconds // DAY_S)


def header_date(at: datetime, zone: ZoneInfo, words: Words) -> str:
    """Say the day: 3月3日 周一."""
    local = at.astimezone(zone)
    return words.header_date.format(
        month=words.months.split()[local.month - 1],
        day=local.day,
        weekday=words.weekdays.split()[local.weekday()],
    )


def clock_time(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%H:%M}"


def exact(at: datetime, zone: ZoneInfo) -> str:
    """Say the exact instant with its zone."""
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M:%S} {local.isoformat()[-6:]}"


def day_of(now: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return when the town's present day began and when it ends."""
    midnight = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight, midnight + timedelta(days=1)
