"""A tenant's virtual clock: set freely at first, only forward afterwards. Development alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

AHEAD_MAX = timedelta(days=20 * 366)


@dataclass(frozen=True, slots=True)
class Offset:
    """From this real instant on, the tenant's time runs so far ahead (or behind, if negative)."""

    from_at: datetime
    ahead: timedelta


@dataclass(frozen=True, slots=True)
class Refused:
    """Why the clock does not move."""

    zh: str
    en: str


def now_of(offsets: Sequence[Offset], real: datetime) -> datetime:
    """Return the tenant's time."""
    return real + offsets[-1].ahead if offsets else real


def moved(offsets: Sequence[Offset], real: datetime, to: datetime) -> tuple[Offset, ...] | Refused:
    """Move the clock to a moment, or tell why not."""
    ahead = to - real
    if abs(ahead) > AHEAD_MAX:
        return Refused("时钟最多只能拨二十年", "the clock moves by twenty years at the most")
    if offsets and ahead < offsets[-1].ahead:
        return Refused("时钟设定之后只能往前拨", "once set, the clock only goes forward")
    return (*offsets, Offset(real, ahead))
