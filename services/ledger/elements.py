"""What the registry knows beyond what readers need: persons, elements, links, party units.

None of these records leaves ledger; of a unit and a household, what only ledger needs stays too.
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field

from contracts import registry
from contracts.facts import Part, Sealed
from contracts.profile import SENSITIVE
from contracts.registry import Change, LonLat
from services.ledger.domain.numbers import wrong_credit_code
from services.ledger.faults import Wrong, both

Many = Annotated[tuple[str, ...], Field(max_length=1_000)]


class UnitAlias(Part):
    """A unit that this one has taken over: its old code and name, and when they ended."""

    code: str
    zh: str
    valid_to: AwareDatetime


class Unit(registry.Unit):
    """A unit of the tree, with the codes under which it, or what it was made of, was known."""

    aliases: tuple[UnitAlias, ...] = ()


class Household(registry.Household):
    """A household (户). `head` is a person who lives in it; `more_classes` are not exclusive.

    `watched` (重点关注) is for those who look after it.
    """

    head: str | None = None
    more_classes: Many = ()
    watched: bool = False
    sealed: Sealed | None = None


class Person(Part):
    """Somebody who lives in the town (人). Sealed: all that says who. `flags` are the profile's."""

    household: str | None = None
    flags: Many = ()
    watched: bool = False
    sealed: Sealed | None = None


class Place(Part):
    """A place in a grid (地): a square, a gate, a homestead. Sealed: name, address, note."""

    grid: str
    subtype: str | None = None
    point: LonLat | None = None
    sealed: Sealed | None = None


class Thing(Part):
    """A thing in a grid (物): a building, a camera, a vehicle. Sealed: name, address, note."""

    grid: str
    place: str | None = None
    subtype: str | None = None
    sealed: Sealed | None = None


class Matter(Part):
    """A matter of long life (事): a festival, a project, a dispute in mediation; no case.

    Sealed: name, note.
    """

    unit: str
    place: str | None = None
    persons: Many = ()
    subtype: str | None = None
    begins: date
    ends: date | None = None
    sealed: Sealed | None = None


class Organisation(Part):
    """An organisation (组织). Sealed: name, credit code (GB 32100), address, phone, note."""

    unit: str
    subtype: str | None = None
    founded: date | None = None
    dissolved: date | None = None
    sealed: Sealed | None = None


LinkedKind = Literal["unit", "household", "person", "organisation", "staff"]


class Link(Part):
    """Somebody looks after something (联): `link` is the profile's kind of link, such as 党员联户.

    Who holds a post at a grid or a group looks after it, and after its households, without a link.
    """

    link: str
    staff: str
    to_kind: LinkedKind
    to: str
    primary: bool = True


class PartyUnit(Part):
    """A unit of the party's tree, beside the tree of units; a joint one spans several `units`."""

    level: str
    zh: str
    parent: str | None = None
    units: Many = ()
    organisation: str | None = None
    members: Annotated[int, Field(ge=0, le=100_000)] | None = None
    instructor: str | None = None


class Code(Part):
    code: Annotated[str, Field(min_length=1, max_length=32)]
    zh: str
    en: str | None = None


class CodeList(Part):
    """One version of a code list, dated; its record's id is `list:version`.

    `confidence`: verified, stated elsewhere, recalled, or open; `signed_by` has read the standard.
    """

    list: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=20)]
    source: str
    confidence: Literal["verified", "stated", "recalled", "open"]
    signed_by: str | None = None
    valid_from: date
    valid_to: date | None = None
    items: Annotated[tuple[Code, ...], Field(min_length=1, max_length=50_000)]


# What each kind of record is held against at ledger's door: these, and what is published as it is.
MODELS: Mapping[str, type[BaseModel]] = {
    **Change.KINDS,
    "unit": Unit,
    "household": Household,
    "person": Person,
    "place": Place,
    "thing": Thing,
    "matter": Matter,
    "organisation": Organisation,
    "link": Link,
    "party_unit": PartyUnit,
    "code_list": CodeList,
}
# Sealed before they are kept, free text too: a homestead bears its owner's name.
PERSONAL: Mapping[str, tuple[str, ...]] = {
    "place": ("name", "address", "note"),
    "thing": ("name", "address", "note"),
    "matter": ("name", "note"),
    "organisation": ("name", "credit_code", "address", "phone", "note"),
}
# The fields that name records of another kind; of a link, `to_kind` tells the kind of `to`.
NAMED: Mapping[str, Mapping[str, str]] = {
    "person": {"household": "household"},
    "household": {"head": "person"},
    "place": {"grid": "unit"},
    "thing": {"grid": "unit", "place": "place"},
    "matter": {"unit": "unit", "place": "place", "persons": "person"},
    "organisation": {"unit": "unit"},
    "link": {"staff": "staff"},
    "party_unit": {
        "parent": "party_unit",
        "units": "unit",
        "organisation": "organisation",
        "instructor": "staff",
    },
}
_OUT_OF_ORDER = both("应不早于 {0}。", "Expected a day not before `{0}`.")


def wrong_element(record_id: str, record: BaseModel) -> Iterator[Wrong]:
    """Yield what is wrong with a record that its contract cannot tell."""
    match record:
        case Matter(begins=begins, ends=ends) if ends is not None and ends < begins:
            yield "ends", _OUT_OF_ORDER.format("begins")
        case Organisation(founded=begins, dissolved=ends) if begins and ends and ends < begins:
            yield "dissolved", _OUT_OF_ORDER.format("founded")
        case CodeList():
            yield from _code_list(record_id, record)
        case Person(flags=names):
            yield from _names("flags", names)
        case Household(more_classes=names):
            yield from _names("more_classes", names)
        case Place(point=(lon, lat)) if not (-180 <= lon <= 180 and -90 <= lat <= 90):  # noqa: PLR2004 - degrees
            zh = "应为 [经度, 纬度]，单位度，WGS-84。"
            yield "point", both(zh, "Expected [lon, lat] in degrees, WGS-84.")
        case _:
            pass


def _names(field: str, names: tuple[str, ...]) -> Iterator[Wrong]:
    if len(set(names)) < len(names):
        yield field, both("同一项写了两次，各写一次。", "One stands twice: name each once.")
    for n, name in enumerate(names):
        if name in SENSITIVE or name in SENSITIVE.values():
            zh = "敏感人群不在这里登记：删去；本镇登记的，由有权限的人逐人登记。"
            en = "No sensitive group is kept here: remove it; whoever may, records it by itself."
            yield f"{field}.{n}", both(zh, en)


def wrong_organisation(
    texts: Mapping[str, object], founded: object, today: date
) -> Iterator[Wrong]:
    """Yield what is wrong with an organisation's credit code, and with a founding to come."""
    code = texts.get("credit_code")
    said = wrong_credit_code(code) if isinstance(code, str) else None
    if said:
        yield "credit_code", both(*said)
    if isinstance(founded, str) and founded > today.isoformat():
        yield "founded", both("在将来：请改正。", "It is in the future: mend it.")


def _code_list(record_id: str, record: CodeList) -> Iterator[Wrong]:
    expected = f"{record.list}:{record.version}"
    if record_id != expected:
        yield "id", both(f"应为 {expected}。", f"Expected {expected}.")
    if record.valid_to is not None and record.valid_to < record.valid_from:
        yield "valid_to", _OUT_OF_ORDER.format("valid_from")
    seen: set[str] = set()
    for n, one in enumerate(record.items):
        if one.code in seen:
            zh, en = "这个代码前面已有：删去其一。", "This code stands above already: remove one."
            yield f"items.{n}.code", both(zh, en)
        seen.add(one.code)
