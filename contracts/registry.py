"""The registry as readers see it: the current state of each record, on the compacted topic.

Ledger owns the registry. Its changes come in sets: a reader applies a set whole or not at all,
and a set ends with the record marked `last` or where another set of the same tenant begins.
Key `tenant|kind|id`; a record without a body removes. Persons never leave ledger.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field, TypeAdapter

from contracts.calendar import Calendar
from contracts.events import CONTENT_TYPE, Fact, Unreadable, read_body, read_text
from contracts.facts import Part, Sealed

LonLat = tuple[float, float]
Ring = tuple[LonLat, ...]

_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class Alias(Part):
    """Another name of the tenant, such as a division code, while it is valid."""

    code: str
    valid_from: AwareDatetime
    valid_to: AwareDatetime | None = None


class Tenant(Fact):
    """A town. Its slug is opaque and never used again; division codes are dated aliases."""

    TYPE = "registry.tenant.v1"
    zh: str
    en: str
    aliases: tuple[Alias, ...] = ()


class ProfileVersion(Fact):
    """One version of the town's way of working; the record's id is the version number."""

    TYPE = "registry.profile.v1"
    version: int = Field(ge=1)
    body: dict[str, Any]  # the merged profile; `contracts.profile` reads it


class FrontEnd(Fact):
    """Who may post for this tenant, and how much. Only the digest of its key is ever kept.

    `categories` empty means every category; `departments` are those for which it may act, none
    where it is empty; `quota_per_s` is per intake process.
    """

    TYPE = "registry.front_end.v1"
    zh: str
    kind: str
    key_digest: str
    categories: tuple[str, ...] = ()
    departments: tuple[str, ...] = ()
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    quota_per_s: float = Field(50, gt=0)
    burst: int = Field(100, ge=1)


class Unit(Fact):
    """A unit of the tree: household group, grid, village, town.

    `level` is the profile's level id; `polygon` is the outline of a grid, WGS-84, [lon, lat]
    rings, the first the outside.
    """

    TYPE = "registry.unit.v1"
    level: str
    zh: str
    parent: str | None = None
    polygon: tuple[Ring, ...] = ()


class Post(Part):
    """One place on a roster: `rank` 1 comes first."""

    unit: str
    role: str
    rank: int = Field(1, ge=1)


class Staff(Fact):
    """Somebody who works for the town. Sealed: name, phone, openid."""

    TYPE = "registry.staff.v1"
    posts: tuple[Post, ...]
    department: str | None = None
    sealed: Sealed


Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
ClockTime = Annotated[str, Field(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]


class Shift(Part):
    """Hours of a day by the town's wall clock, `24:00` its end; a night is two shifts.

    Without `days` it is worked on workdays, by the official calendar.
    """

    begin: ClockTime
    end: ClockTime
    days: tuple[Weekday, ...] | None = None


class Roster(Fact):
    """When one member of staff, or a unit as a whole, is on duty.

    His own roster goes before his unit's; without either the profile's hours hold.
    """

    TYPE = "registry.roster.v1"
    staff: str | None = None
    unit: str | None = None
    shifts: tuple[Shift, ...]


class Absence(Fact):
    """Somebody is away; why is nobody's business here."""

    TYPE = "registry.absence.v1"
    staff: str
    begin: AwareDatetime
    end: AwareDatetime


class BackupPair(Fact):
    """Adjacent grids whose workers stand in for each other (AB角): two, or three where odd.

    Who is away is replaced by the next in the order, and after the last by the first.
    """

    TYPE = "registry.backup_pair.v1"
    grids: tuple[str, ...] = Field(min_length=2, max_length=3)


class Department(Fact):
    """A department that can be called."""

    TYPE = "registry.department.v1"
    zh: str
    level: str


class Household(Fact):
    """Where a household belongs; who lives there stays in ledger."""

    TYPE = "registry.household.v1"
    grid: str
    group: str | None = None
    household_class: str | None = None


class ClockOffset(Part):
    """From this real instant on, the tenant's time runs `seconds` ahead of the database's."""

    from_at: AwareDatetime
    seconds: float


class TenantClock(Fact):
    """The tenant's virtual time: development alone. Ordered by `from_at`."""

    TYPE = "registry.clock.v1"
    offsets: tuple[ClockOffset, ...]


Kind = Literal[
    "tenant",
    "profile",
    "front_end",
    "unit",
    "staff",
    "department",
    "household",
    "clock",
    "calendar",
    "roster",
    "absence",
    "backup_pair",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One record of `ledger.registry`. `data` is None where the record is removed."""

    event_id: UUID
    tenant_id: str
    kind: Kind
    record_id: str
    change_set: str
    last: bool
    valid_from: datetime
    data: Fact | None

    KINDS: ClassVar[Mapping[str, type[Fact]]] = {
        "tenant": Tenant,
        "profile": ProfileVersion,
        "front_end": FrontEnd,
        "unit": Unit,
        "staff": Staff,
        "department": Department,
        "household": Household,
        "clock": TenantClock,
        "calendar": Calendar,
        "roster": Roster,
        "absence": Absence,
        "backup_pair": BackupPair,
    }

    @property
    def key(self) -> bytes:
        return f"{self.tenant_id}|{self.kind}|{self.record_id}".encode()

    @property
    def body(self) -> bytes | None:
        return self.data.model_dump_json(exclude_none=True).encode() if self.data else None

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ce_specversion": "1.0",
            "ce_id": str(self.event_id),
            "ce_type": self.KINDS[self.kind].TYPE,
            "ce_source": "/ledger",
            "ce_subject": f"{self.kind}/{self.record_id}",
            "ce_time": self.valid_from.isoformat(timespec="milliseconds"),
            "ce_tenant": self.tenant_id,
            "ce_changeset": self.change_set,
            "ce_last": "true" if self.last else "false",
            "content-type": CONTENT_TYPE,
        }


def read_change(
    headers: Mapping[str, bytes], body: bytes | None, kinds: Container[str] = Change.KINDS
) -> Change | None:
    """Turn a record of `ledger.registry` into a change; `None` is a kind unknown to this reader.

    A record that is not of `kinds` is read without its body: it still begins and ends sets.

    Raises:
        Unreadable: headers or body break the contract.
    """
    text = read_text(headers)
    kind, _, record_id = text["ce_subject"].partition("/")
    model = Change.KINDS.get(kind)
    if model is None:
        return None
    if not record_id or not text.get("ce_changeset"):
        raise Unreadable(f"{text['ce_type']}: subject or change set is missing")
    try:
        return Change(
            event_id=UUID(text["ce_id"]),
            tenant_id=text["ce_tenant"],
            kind=kind,  # type: ignore[arg-type]  # looked up just above
            record_id=record_id,
            change_set=text["ce_changeset"],
            last=text.get("ce_last") == "true",
            valid_from=_TIME.validate_python(text["ce_time"]),
            data=read_body(model, body) if body is not None and kind in kinds else None,
        )
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"{text['ce_type']}: a header has the wrong form") from error
