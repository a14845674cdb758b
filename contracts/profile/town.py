"""The town itself: its tree of units, the people in it, what links them, when they are on duty."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.profile.parts import (
    ChannelId,
    CheckLevel,
    Count,
    CountKind,
    Day,
    DepartmentId,
    Id,
    Length,
    LevelId,
    Many,
    Name,
    Named,
    Part,
    PartyLevelId,
    PersonFlagId,
    RoleId,
    Some,
    Span,
    Text,
    TimeOfDay,
    Unique,
    Weekday,
)

Permission = Literal[
    "report", "verify", "accept", "dispatch", "handle", "transfer", "supervise", "close",
    "return_visit", "whistle", "report_in", "mediate", "register", "evaluate", "score", "review",
    "view", "sign_off", "claim", "propose", "sensitive",
]  # fmt: skip
LevelKind = Literal["household_group", "microgrid", "grid", "village", "area", "town", "county"]


class Town(Part):
    """Which town this is. `published` is the day of the account the profile was written from."""

    id: Id
    zh: Name
    en: Name | None = None
    county: Name | None = None
    city: Name | None = None
    province: Name | None = None
    published: Name | None = None
    mottoes: Many[Text] = ()


class Clock(Part):
    """The town's calendar."""

    timezone: Annotated[str, Field(pattern="^[A-Za-z0-9_+/-]+$", max_length=64)]
    """An IANA zone, such as Asia/Shanghai."""
    workdays: Some[Weekday]
    holidays: Unique[Day] = ()
    """Days which are no workdays whatever their weekday."""
    month_rule: Literal["clip", "30_days"] = "clip"
    """`clip`: 31 January and one month is the end of February; `30_days`: a month is 30 days."""
    week_starts: Literal["mon", "sun"] = "mon"


class Level(Named):
    """One level of the tree of units; `parent` is the level above."""

    kind: LevelKind
    parent: LevelId | None = None
    count: Count | None = None
    count_kind: CountKind = "unknown"
    count_check: CheckLevel = "warn"
    """How loudly the registry complains when it holds another number of units."""
    former_count: Count | None = None
    """How many there were before a reorganisation."""
    drawn_by: Text | None = None
    """The rule by which borders are drawn."""
    outside_town: bool = False
    """The level belongs to somebody above the town."""


class PartyLevel(Named):
    """One level of the party's tree, which stands beside the tree of units."""

    kind: LevelKind
    parent: PartyLevelId | None = None
    attaches_to: LevelId | None = None
    count: Count | None = None
    count_kind: CountKind = "unknown"
    count_check: CheckLevel = "warn"
    parents_max: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many units one party unit may span (joint party groups)."""
    min_members: Annotated[int, Field(ge=1, le=1000)] | None = None
    """A party unit with fewer members must join a joint unit."""


class Population(Part):
    """Figures for checks; no rule depends on them."""

    registered: Count | None = None
    resident: Count | None = None
    households: Count | None = None
    served: Count | None = None
    party_members: Count | None = None


class Bounds(Part):
    """At least and at most so many."""

    min: Count | None = None
    max: Count | None = None


class Role(Named):
    """A kind of post. Who holds it is registry data."""

    level: LevelId
    headcount: Count | None = None
    headcount_kind: CountKind = "unknown"
    per_unit: Bounds | None = None
    """How many of them one unit of the role's level has."""
    time: Literal["full", "part", "volunteer", "ex_officio"] | None = None
    can: Unique[Permission] = ()
    serves: Literal["any", "rural", "enterprise", "community"] = "any"


class Link(Named):
    """Who answers for whom, and for how many: party member and households, worker and grid."""

    from_role: RoleId
    to: Literal[
        "household", "person", "grid", "microgrid", "village", "role", "voter", "enterprise",
        "household_group",
    ]  # fmt: skip
    min: Count | None = None
    max: Count | None = None
    mean: Annotated[float, Field(ge=0)] | None = None
    check: CheckLevel = "warn"
    full_coverage: bool = False
    """Nobody at the far end may be without a link."""
    exclude_flags: Unique[PersonFlagId] = ()
    active_from_role_count: Count | None = None
    """How many holders of the role have links at all."""


class Team(Named):
    """Roles that work together at a level."""

    level: LevelId
    head: RoleId | None = None
    roles: Unique[RoleId]
    count: Count | None = None
    attendance: Unique[Literal["resident", "rotating", "on_call"]] = ()
    purpose: Text | None = None
    min_each_role: Count | None = None
    """The team is complete when it has so many of each role."""


class Department(Named):
    """A department that can be called by a whistle."""

    level: LevelId | None = None
    line: Name | None = None
    """The vertical line it belongs to above the town."""


class Center(Named):
    """A centre: a place where roles and departments sit together."""

    level: LevelId
    count: Count | None = None
    merges: Many[Name] = ()
    """The former centres it was made from."""
    rooms: Many[Name] = ()
    roles: Unique[RoleId] = ()
    departments: Unique[DepartmentId] = ()
    services: Many[Name] = ()
    checklist: Many[Name] = ()
    unit: Name | None = None
    """The name of the one unit that has it."""


class UrgentAfterHours(Part):
    """Who is called when something urgent comes in after hours."""

    call: Unique[RoleId] = ()
    ack_within: Length | None = None
    """Without an answer in this time `then_call` are called."""
    via: Unique[ChannelId] = ()
    then_call: Unique[RoleId] = ()


class OrdinaryAfterHours(Part):
    """What becomes of the rest."""

    action: Literal["file_and_hand_over", "queue"] = "queue"
    hand_over_by: TimeOfDay | None = None
    sign_off: bool = False
    """The daytime worker signs the hand-over sheet."""


class AfterHours(Part):
    """Who owns new cases outside duty spans and workdays."""

    mode: Literal["same_roles", "hand_to"]
    hand_to: Unique[RoleId] = ()
    urgent: UrgentAfterHours | None = None
    non_urgent: OrdinaryAfterHours | None = None


class Backup(Part):
    """Who stands in for whom (AB角). The pairs themselves are registry data."""

    mode: Literal["none", "adjacent_grids", "named"]
    zh: Name | None = None
    urgent: Literal["joint", "replace"] = "replace"
    """`joint`: both are assigned to an urgent case."""
    absent: Literal["replace", "queue"] = "replace"
    symmetric: bool = True
    guided_by: Unique[RoleId] = ()
    ack_within: Length | None = None


class Duty(Part):
    """When people are on duty, and what holds when they are not."""

    spans: Annotated[Many[Span], Field(min_length=1)]
    """Pairs of quoted times, each from earlier to later on one day, none overlapping."""
    hours_min: Annotated[float, Field(ge=0, le=24)] = 0
    """The spans of a day must add up to at least so many hours."""
    after_hours: AfterHours
    backup: Backup
