"""Settling level by level, and the whistle that calls departments when a level cannot."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from contracts.profile.parts import (
    ClassId,
    Deadline,
    DepartmentId,
    Length,
    LevelId,
    Many,
    Name,
    Part,
    RoleId,
    Some,
    Unique,
)


class ReturnVisit(Part):
    """The reporter is asked before a case closes."""

    required: bool = False
    within: Length | None = None
    by: Unique[RoleId] = ()


class Settle(Part):
    """Where a case is settled first, and the way up from there."""

    ladder: Some[LevelId]
    """From the bottom upward; each level stands above the one before it."""
    skip_allowed: bool = False
    """Whether a case may pass over a rung."""
    per_level: Deadline | None = None
    """The time each rung has."""
    return_visit: ReturnVisit = ReturnVisit()


class MissStep(Part):
    """What is done so long after the due time, unless the department has reported in by then."""

    after: Length
    do: Literal["remind", "notify_head", "escalate", "score", "call_upward"]
    to: LevelId | None = None
    """The level to which `escalate` goes."""


class Arrival(Part):
    """By when a department that has reported in is on the spot; its report-in starts the clock."""

    within: Length
    """The time allowed. The duty clock takes hours and minutes only: a duty day is `PT8H`."""
    clock: Literal["calendar", "duty"] = "calendar"
    """`calendar` counts all time; `duty` counts duty spans on workdays."""


class Release(Arrival):
    """By when a department on the spot is let go; its arrival starts the clock."""


class Refusal(Part):
    """What becomes of a department's refusal."""

    ruling_within: Length | None = None
    """How long a ruling may take, by calendar time; then the arbiter's superior hears."""


class CallUpward(Part):
    """The town calls, the county answers (乡呼区应)."""

    enabled: bool = False
    zh: Name | None = None
    from_level: LevelId | None = Field(None, alias="from")
    to: LevelId | None = None
    deadline: Deadline | None = None


class Whistle(Part):
    """Who calls which departments, by when they report in, and what a miss leads to."""

    enabled: bool
    zh: Name | None = None
    named_in_source: bool = False
    blowers: Unique[RoleId] = ()
    """Each must hold the permission `whistle`. One that may `report_in` blows once it has come."""
    targets: Unique[DepartmentId] = ()
    report_in: Mapping[ClassId, Deadline] = {}
    """By case class; every class has one."""
    report_in_means: Some[Literal["app_ack", "on_site", "remote"]] = (
        "app_ack",
        "on_site",
        "remote",
    )
    on_site_only: Unique[ClassId] = ()
    """Classes in which nothing but coming on the spot counts as a report-in."""
    arrival: Mapping[ClassId, Arrival] = {}
    """By case class: a miss climbs `on_miss` anew; a class without one has no such clock."""
    release: Mapping[ClassId, Release] = {}
    """By case class: whoever blew is told of a miss; a class without one has no such clock."""
    refusal: Refusal = Refusal()
    lead: Literal["first_named", "blower_names", "center"] = "first_named"
    """Which department leads, whose report-in lets the case go on: the first named unless the
    blower names another; or, of several, whom he must name. `center` is as yet the former."""
    close_gate: Literal["lead", "all", "quorum"] = "lead"
    """Whose report-in a case waits for before it can be settled."""
    quorum: int | None = Field(None, ge=1)
    """How many, where the gate is a quorum."""
    joint_consult: Name | None = None
    """What it is called here when departments agree on one result; without, they cannot."""
    on_miss: Many[MissStep] = ()
    """Each runs from the due time and stops at the department's report-in."""
    call_upward: CallUpward = CallUpward()
    duplicate: Literal["merge", "reject"] = "merge"
    """What becomes of a second whistle for the same case and department."""
    withdrawable: bool = True
