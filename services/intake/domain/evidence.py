"""Where and when a photo was taken, by what its camera wrote (EXIF 2.32, 4.6.5 and 4.6.6).

It is evidence, not fact: devices are wrong, and tags can be written by anybody. What makes no sense
counts as not written.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_TAKEN, _TAKEN_OFFSET = 0x9003, 0x9011  # DateTimeOriginal, OffsetTimeOriginal
_LAT_REF, _LAT, _LON_REF, _LON = 1, 2, 3, 4
_OFFSET = re.compile(r"[+-](?:0\d|1[0-4]):[0-5]\d")
Tags = Mapping[int, object]


@dataclass(frozen=True, slots=True)
class Evidence:
    """`taken_at` is ISO 8601, without an offset where the camera wrote none; degrees of WGS-84."""

    taken_at: str | None = None
    lat: float | None = None
    lon: float | None = None


def read_evidence(exif: Tags, gps: Tags) -> Evidence:
    """Read the tags of the EXIF and the GPS directory."""
    lat = _degrees(gps.get(_LAT), gps.get(_LAT_REF), "NS", 90)
    lon = _degrees(gps.get(_LON), gps.get(_LON_REF), "EW", 180)
    if lat is None or lon is None or lat == lon == 0:  # 0, 0 is a device that did not know
        lat = lon = None
    return Evidence(_moment(exif.get(_TAKEN), exif.get(_TAKEN_OFFSET)), lat, lon)


def _degrees(parts: object, ref: object, signs: str, limit: int) -> float | None:
    if not isinstance(parts, tuple) or len(parts) != 3 or ref not in tuple(signs):  # noqa: PLR2004 - degrees, minutes, seconds
        return None
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    found = degrees + minutes / 60 + seconds / 3_600
    sane = min(degrees, minutes, seconds) >= 0 and minutes < 60 and seconds <= 60  # noqa: PLR2004 - of a circle
    if not math.isfinite(found) or not sane or found > limit:
        return None
    return round(-found if ref == signs[1] else found, 7)


def _moment(taken: object, offset: object) -> str | None:
    if not isinstance(taken, str):
        return None
    try:
        at = datetime.strptime(taken.rstrip("\0 "), "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - local time
    except ValueError:
        return None
    shown = offset.rstrip("\0 ") if isinstance(offset, str) else ""
    return at.isoformat(timespec="seconds") + (shown if _OFFSET.fullmatch(shown) else "")
