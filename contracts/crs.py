"""In which system a point is given, and what it is in WGS-84, in which everything here reckons.

GCJ-02 (Amap, Tencent, WeChat) shifts a point by 50 to 700 m inside China; BD-09 (Baidu) shifts it
once more. Neither has a published inverse, so the shift is undone step by step, to well below a
millimetre. CGCS2000 and WGS-84 differ by centimetres and count as one. Degrees; pure.
"""

import math
from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

CRS: TypeAlias = Literal["wgs84", "cgcs2000", "gcj02", "bd09"]
SHOWN = tuple(name.upper() for name in get_args(CRS))  # as people write them
LonLat = tuple[float, float]
_Shift = Callable[[LonLat], LonLat]

# The ellipsoid of Krasovsky, 1940, in which the shift is reckoned; metres.
_RADIUS_M = 6_378_245.0
_ECCENTRICITY = 0.00669342162296594323
_BAIDU = math.pi * 3000 / 180
_ROUNDS_MAX = 20
_NEAR_ENOUGH = 1e-10  # degrees: a hundredth of a millimetre
# Where the shift is defined, with room for the shift itself.
_LON, _LAT = (72.004, 137.8347), (0.8293, 55.8271)


def normal_crs(text: str) -> str:
    """Return the name in its one form, whichever way it is written: `GCJ-02`, `gcj02`."""
    return text.strip().lower().replace("-", "").replace("_", "")


def in_china(lon: float, lat: float) -> bool:
    """Tell whether a point lies where GCJ-02 and BD-09 are defined: a box around China."""
    return _LON[0] <= lon <= _LON[1] and _LAT[0] <= lat <= _LAT[1]


def to_wgs84(lon: float, lat: float, crs: CRS) -> LonLat:
    """Return the point in WGS-84. A shifted one must lie in China."""
    match crs:
        case "wgs84" | "cgcs2000":
            return lon, lat
        case "gcj02":
            return _undone(wgs84_to_gcj02, (lon, lat))
        case "bd09":
            return _undone(wgs84_to_bd09, (lon, lat))


def _undone(shift: _Shift, shifted: LonLat) -> LonLat:
    lon, lat = shifted
    for _ in range(_ROUNDS_MAX):
        there = shift((lon, lat))
        off_lon, off_lat = there[0] - shifted[0], there[1] - shifted[1]
        lon, lat = lon - off_lon, lat - off_lat
        if max(abs(off_lon), abs(off_lat)) < _NEAR_ENOUGH:
            break
    return lon, lat


def wgs84_to_bd09(point: LonLat) -> LonLat:
    """Shift a point as Baidu does."""
    x, y = wgs84_to_gcj02(point)
    length = math.hypot(x, y) + 0.00002 * math.sin(y * _BAIDU)
    angle = math.atan2(y, x) + 0.000003 * math.cos(x * _BAIDU)
    return length * math.cos(angle) + 0.0065, length * math.sin(angle) + 0.006


def wgs84_to_gcj02(point: LonLat) -> LonLat:
    """Shift a point as Chinese map services do."""
    lon, lat = point
    x, y = lon - 105.0, lat - 35.0
    sine = math.sin(math.radians(lat))
    magic = 1 - _ECCENTRICITY * sine * sine
    per_lat = _RADIUS_M * (1 - _ECCENTRICITY) / (magic * math.sqrt(magic)) * math.pi / 180
    per_lon = _RADIUS_M / math.sqrt(magic) * math.cos(math.radians(lat)) * math.pi / 180
    return lon + _east_m(x, y) / per_lon, lat + _north_m(x, y) / per_lat


def _east_m(x: float, y: float) -> float:
    metres = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * math.sqrt(abs(x))
    metres += _waves(x, (20, 6), (20, 2)) + _waves(x, (20, 1), (40, 1 / 3))
    return metres + _waves(x, (150, 1 / 12), (300, 1 / 30))


def _north_m(x: float, y: float) -> float:
    metres = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * math.sqrt(abs(x))
    metres += _waves(x, (20, 6), (20, 2)) + _waves(y, (20, 1), (40, 1 / 3))
    return metres + _waves(y, (160, 1 / 12), (320, 1 / 30))


def _waves(at: float, *waves: tuple[float, float]) -> float:
    return sum(height * math.sin(at * often * math.pi) for height, often in waves) * 2 / 3
