"""A point that was handed in: what must come with it, and what it is in WGS-84."""

from collections.abc import Mapping

from contracts.crs import CRS, SHOWN, in_china, normal_crs, to_wgs84
from contracts.facts import Location, Point

_NAMES = ", ".join(SHOWN)
_SHIFTED = ("gcj02", "bd09")


def given_crs(value: object) -> object:
    """Bring a system's name to its one form.

    Raises:
        ValueError: it is none that is known; the message lists them.
    """
    if value is None:
        return None
    name = normal_crs(value) if isinstance(value, str) else ""
    if name.upper() not in SHOWN:
        raise ValueError(f"应为坐标系 {_NAMES} 之一。 Expected one of {_NAMES}.")
    return name


def check_point(lon: float, lat: float, crs: CRS | None) -> None:
    """Refuse a point that no front end can have meant.

    Raises:
        ValueError: it says what to mend.
    """
    if crs is None:
        zh = f"给了坐标就要说明坐标系：{_NAMES}（微信、高德是 GCJ02，百度是 BD09，GPS 是 WGS84）。"
        en = f"Say in which system the point is: one of {_NAMES} (a GPS gives WGS84)."
        raise ValueError(f"{zh} {en}")
    if in_china(lon, lat):
        return
    if in_china(lat, lon):
        zh, en = "经纬度像是写反了：lat 是纬度。", "lat and lon look swapped: lat is the latitude."
        raise ValueError(f"{zh} {en}")
    if crs in _SHIFTED:
        zh = f"{crs.upper()} 只在中国境内有定义，境外的点请用 WGS84。"
        en = f"{crs.upper()} is defined inside China alone: send WGS84 for a point outside."
        raise ValueError(f"{zh} {en}")


def located(
    lon: float | None, lat: float | None, crs: CRS | None, clues: Mapping[str, str | None]
) -> Location:
    """Put a place as facts tell it: the point in WGS-84, and as it was given in another system."""
    if lon is None or lat is None or crs is None:
        return Location(**clues)
    if crs == "wgs84":
        return Location(lon=lon, lat=lat, crs=crs, **clues)
    east, north = to_wgs84(lon, lat, crs)
    given = Point(lon=lon, lat=lat, crs=crs)
    return Location(lon=round(east, 7), lat=round(north, 7), crs="wgs84", given=given, **clues)
