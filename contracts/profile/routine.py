"""What recurs and what is kept: obligations, lists, points, the registry, risks."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from contracts.profile.parts import (
    CadenceId,
    Count,
    Every,
    FlowId,
    Id,
    Length,
    LevelId,
    Many,
    Name,
    Named,
    Part,
    RoleId,
    ScoreId,
    Text,
    Unique,
)

# Sensitive groups that are known as such, by their ids: nothing in the registry may be called so.
SENSITIVE: Mapping[str, str] = {
    "mental_disorder": "精神障碍",
    "drug_use": "吸毒",
    "hiv": "艾滋",
    "released_prisoner": "刑满释放",
    "community_correction": "社区矫正",
    "minor": "未成年",
}


class Cadence(Named):
    """An obligation which opens for every period and every unit of its level."""

    actor: RoleId
    kind: Literal[
        "report", "meeting", "patrol", "visit", "summary", "assessment", "analysis", "training",
        "activity", "inspection", "attendance", "signing",
    ]  # fmt: skip
    level: LevelId | None = None
    every: Every
    covers: Text | None = None
    parts: Many[Name] = ()
    agenda: Many[Name] = ()
    zero_report: bool = False
    """An empty report must still be sent."""
    feeds: CadenceId | None = None
    """The collector that takes the results of the period."""
    grace: Length | None = None
    """How long after the period's end evidence still counts."""
    produces: Text | None = None
    on_miss: Unique[Literal["remind", "notify_superior", "score", "flag"]] = ()
    shift: Length | None = None


class ListOfThings(Named):
    """A list the town keeps."""

    items_are: Text
    owner: RoleId | None = None
    count: Count | None = None
    flow: FlowId | None = None
    """The flow each item takes."""
    public: bool = False
    parts: Many[Name] = ()


class PointRule(Part):
    """Points for an obligation met (a cadence's id) or for what happens to a case."""

    when: ScoreId
    points: float
    cap_per_day: Annotated[float, Field(ge=0)] | None = None


class Grade(Part):
    """The grade which begins at so many points."""

    id: Id
    zh: Name
    en: Name | None = None
    from_points: float = Field(alias="from")
    pay_factor: Annotated[float, Field(ge=0)] | None = None


class Points(Part):
    """The score of each worker."""

    enabled: bool
    zh: Name | None = None
    who: Unique[RoleId] = ()
    tied_to_pay: bool = False
    scale: Literal["sum", "percent"] = "sum"
    """`percent`: earned of what could be earned in the period, times 100, held in 0 … 100."""
    rules: Many[PointRule] = ()
    grades: Many[Grade] = ()
    cycle: Unique[CadenceId] = ()


class Element(Part):
    """One of the five kinds of things the registry holds (人、地、物、事、组织)."""

    id: Literal["person", "place", "thing", "matter", "organisation"]
    zh: Name
    en: Name | None = None
    subtypes: Unique[Id] = ()


class HouseholdClass(Named):
    """A class of households. `exclusive` ones shut each other out; `watch` is seen by few."""

    watch: bool = False
    exclusive: bool = False


class SensitiveGroup(Named):
    """A sensitive group of people (敏感人群) that the town keeps, apart from the registry."""


class Registry(Part):
    """What the registry keeps."""

    named_in_source: bool = False
    history: bool = True
    elements: Annotated[Many[Element], Field(min_length=5)]
    household_classes: Many[HouseholdClass]
    person_flags: Unique[Id] = ()
    sensitive_groups: Many[SensitiveGroup] = ()
    """Left out, none is kept. Who sees them has a role that can `sensitive`."""
    unit_attributes: Many[Name] = ()


class Analysis(Part):
    """A regular look at what may become a risk."""

    level: LevelId
    every: Every
    scope: Many[Name] = ()
    lead: RoleId | None = None


class Signal(Named):
    """A pattern that asks for attention; `rule` says it in words."""

    rule: Text


class Risk(Part):
    """How the town looks for risks."""

    analysis: Many[Analysis] = ()
    steps: Many[Name] = ()
    signals: Many[Signal] = ()
