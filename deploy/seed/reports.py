"""Citizens' reports for the demo and the bench, as bodies for `POST /v1/cases`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from contracts.profile import Profile, parse
from deploy.seed.ground import Ring
from deploy.seed.matters import ASKS, MATTERS, Matter
from deploy.seed.plan import Body
from deploy.seed.town import TODAY, Entry

_PLACED = ("household", "grid", "point", "village", "nowhere")
_PLACED_WEIGHTS = (36, 24, 20, 12, 8)
_TOLD = ("full", "phone_only", "name_only", "anonymous")
_TOLD_WEIGHTS = (72, 8, 6, 14)
_NAMES_VILLAGE, _GIVES_SEVERITY, _GIVES_ADDRESS, _ON_WECHAT = 0.6, 0.4, 0.5, 0.3
_OLD_ENOUGH = 14
_TRIES = 1_000


@dataclass(slots=True)
class _Town:
    """What a report needs to know of the town."""

    tenant: str = ""
    categories: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    anonymous: bool = False
    village_levels: frozenset[str] = frozenset()
    villages: list[str] = field(default_factory=list)
    units: dict[str, Body] = field(default_factory=dict)
    grids: list[str] = field(default_factory=list)
    households: list[tuple[str, Body]] = field(default_factory=list)
    reporters: list[tuple[str, Body]] = field(default_factory=list)
    at_home: dict[str, list[tuple[str, Body]]] = field(default_factory=dict)


def reports(entries: Iterable[Entry], *, seed: int, count: int) -> Iterator[Body]:
    """Yield `count` reports of a generated town: same town and seed, same reports."""
    town = _read(entries)
    rng = Random(f"{seed}|reports")  # noqa: S311 - nothing here is secret
    for _ in range(count):
        matter = rng.choice(MATTERS)
        location, village = _location(town, rng)
        named = village and rng.random() < _NAMES_VILLAGE
        place = town.units[village]["zh"] if named else ""
        body: Body = {"tenant": town.tenant, **_words(matter, place, rng)}
        category = next((name for name in matter.categories if name in town.categories), None)
        if category:
            body["category"] = category
        if matter.severity in town.severities and rng.random() < _GIVES_SEVERITY:
            body["severity"] = matter.severity
        body["reporter"] = _reporter(town, location.get("household_id"), rng)
        body["location"] = location
        yield body


def _words(matter: Matter, place: str, rng: Random) -> Body:
    telling = rng.choice(matter.tellings)
    told = telling.format(since=rng.choice(matter.since), spot=rng.choice(matter.spots))
    return {
        "summary": f"{place}{matter.summary}",
        "description": f"{told}{rng.choice(ASKS)}",
    }


def _location(town: _Town, rng: Random) -> tuple[Body, str]:
    """Return a location as front ends give it, and the village it lies in, if any is told."""
    placed = rng.choices(_PLACED, _PLACED_WEIGHTS)[0]
    if placed == "household" and town.households:
        home, household = rng.choice(town.households)
        location: Body = {"household_id": home}
        if rng.random() < _GIVES_ADDRESS:
            location["address"] = household["address"]
        return location, _village_of(town, household["grid"])
    if placed == "village":
        village = rng.choice(town.villages)
        return {"village": village}, village
    if placed == "nowhere":
        return {}, ""
    grid = rng.choice(town.grids)
    if placed == "point":
        lon, lat = _point_in(town.units[grid]["polygon"][0], rng)
        return {"lat": lat, "lon": lon, "crs": "wgs84"}, _village_of(town, grid)
    return {"grid": grid}, _village_of(town, grid)


def _village_of(town: _Town, unit: str) -> str:
    at: str | None = unit
    while at and town.units[at]["level"] not in town.village_levels:
        at = town.units[at].get("parent")
    return at or ""


def _reporter(town: _Town, household: str | None, rng: Random) -> Body:
    told = rng.choices(_TOLD, _TOLD_WEIGHTS)[0]
    if (told == "anonymous" and town.anonymous) or not town.reporters:
        return {"anonymous": True} if town.anonymous else {}
    at_home = town.at_home.get(household or "")
    person, body = rng.choice(at_home or town.reporters)
    if told == "phone_only":
        return {"phone": body["phone"]}
    if told == "name_only":
        return {"name": body["name"]}
    reporter: Body = {"name": body["name"], "phone": body["phone"]}
    if rng.random() < _ON_WECHAT:
        reporter["openid"] = f"seed-{person}"
    return reporter


def _point_in(ring: Ring, rng: Random) -> tuple[float, float]:
    lons, lats = [lon for lon, _ in ring], [lat for _, lat in ring]
    for _ in range(_TRIES):
        lon = round(rng.uniform(min(lons), max(lons)), 6)
        lat = round(rng.uniform(min(lats), max(lats)), 6)
        if _inside(lon, lat, ring):
            return lon, lat
    raise RuntimeError("a grid's outline encloses next to nothing")


def _inside(lon: float, lat: float, ring: Ring) -> bool:
    """Count the borders to the east: an odd number is inside."""
    crossed = 0
    for (lon1, lat1), (lon2, lat2) in pairwise(ring):
        if (lat1 > lat) != (lat2 > lat):
            crossed += lon < lon1 + (lat - lat1) * (lon2 - lon1) / (lat2 - lat1)
    return crossed % 2 == 1


def _read(entries: Iterable[Entry]) -> _Town:
    town = _Town()
    for entry in entries:
        match entry.kind:
            case "tenant":
                town.tenant = entry.record_id
            case "profile":
                _read_profile(town, parse(entry.body["body"]))
            case "unit":
                _read_unit(town, entry)
            case "household":
                town.households.append((entry.record_id, entry.body))
            case "person":
                _read_person(town, entry)
    return town


def _read_profile(town: _Town, profile: Profile) -> None:
    town.categories = frozenset(profile.categories_by_id)
    town.severities = frozenset(profile.severities_by_id)
    town.anonymous = profile.cases.anonymous
    villages = (level.id for level in profile.levels if level.kind == "village")
    town.village_levels = frozenset(villages)


def _read_unit(town: _Town, entry: Entry) -> None:
    town.units[entry.record_id] = entry.body
    if entry.body["level"] in town.village_levels:
        town.villages.append(entry.record_id)
    if entry.body.get("polygon"):
        town.grids.append(entry.record_id)


def _read_person(town: _Town, entry: Entry) -> None:
    """Remember whoever is old enough and has a telephone."""
    age = TODAY.year - int(entry.body["birth_date"][:4])
    if age >= _OLD_ENOUGH and "phone" in entry.body:
        known = (entry.record_id, entry.body)
        town.reporters.append(known)
        town.at_home.setdefault(entry.body["household"], []).append(known)
