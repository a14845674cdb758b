"""Cases: what kinds there are, how urgent they are, how grave, and who owns the unclear ones."""

from typing import Annotated, Literal

from pydantic import Field

from contracts.profile.parts import (
    CategoryId,
    ClassId,
    Deadline,
    DepartmentId,
    FieldId,
    FlowId,
    FrontEndId,
    Id,
    Length,
    LevelId,
    Many,
    Name,
    Named,
    Part,
    RoleId,
    SeverityId,
    Some,
    TeamId,
    Unique,
)


class Category(Named):
    """What a case is about."""

    group: Id | None = None
    """Categories of one group are counted together in reports."""
    department: DepartmentId | None = None
    default_class: ClassId
    """The class of a case that comes in without one."""
    flow: FlowId | None = None
    """The flow which cases of this category take before any other choice."""
    field: FieldId | None = None
    emphasis: bool = False
    deadline: Deadline | None = None
    """Takes the place of the class's deadline."""
    handlers: Unique[RoleId] = ()
    handler_team: TeamId | None = None


class CaseClass(Named):
    """How urgent a case is: the time to settle it, and the time to the first act."""

    deadline: Deadline
    first_action: Deadline | None = None


class Severity(Named):
    """How grave a case is."""

    ceiling: LevelId
    """The level at which it must be settled. Leaving it upward is a breach that is counted, not
    blocked."""


class FieldOfWork(Named):
    """A field of work by which categories are grouped for inspections."""


class FirstAsked(Part):
    """The first one asked owns the case (首问负责)."""

    enabled: bool = False
    zh: Name | None = None
    who: Unique[RoleId] = ()
    may_refuse: bool = False


class MergeRule(Part):
    """When two reports are one matter."""

    id: Id
    front_ends: Unique[FrontEndId] = ()
    """Only reports from these; empty means every front end."""
    same: Some[Literal["place", "category", "reporter", "element", "external_ref"]]
    """What both must share."""
    window: Length
    """How far apart they may be."""
    action: Literal["count_occurrence", "link_duplicate"] = "link_duplicate"


class Fallback(Part):
    """Who owns a case whose grid is unclear."""

    village_known: RoleId
    """When the village is known: a role at a level of kind village."""
    otherwise: RoleId = Field(alias="else")
    """When not even the village is known: a role at a level of kind town."""


class Emergency(Part):
    """A number to be called at once, and the words in a report that tell of it."""

    call: Annotated[str, Field(pattern="^[0-9]{3,12}$")]
    zh: Name
    en: Name
    words: Some[Name]


class Cases(Part):
    """Everything about cases but the steps they take."""

    default_flow: FlowId
    default_category: CategoryId
    """The category of a case that comes in without one."""
    default_severity: SeverityId
    """The severity of a case that comes in without one."""
    anonymous: bool = True
    """Whether a report may come without a name."""
    first_asked: FirstAsked = FirstAsked()
    fallback: Fallback
    border_m: Annotated[int, Field(ge=0, le=1000)] = 30
    """How near to a grid's border a point may lie before a person should look; 0: on it."""
    emergencies: Many[Emergency] | None = None
    """Whom a reporter is told to call, for which words. Left out: the usual list; empty: nobody."""
    merge: Many[MergeRule] = ()
    categories: Annotated[Many[Category], Field(min_length=1)]
    classes: Annotated[Many[CaseClass], Field(min_length=1)]
    severities: Annotated[Many[Severity], Field(min_length=1)]
    fields: Many[FieldOfWork] = ()
