"""The whole profile of a town, and the lookups that services need."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from contracts.profile.cases import CaseClass, Cases, Category, Severity
from contracts.profile.doors import FrontEnd, Integration, Notifications, Privacy, ReplayFigure
from contracts.profile.flows import Flow
from contracts.profile.parts import Many, Part, Text
from contracts.profile.routine import Cadence, ListOfThings, Points, Registry, Risk
from contracts.profile.town import (
    Center,
    Clock,
    Department,
    Duty,
    Level,
    Link,
    PartyLevel,
    Population,
    Role,
    Team,
    Town,
)
from contracts.profile.whistle import Settle, Whistle


class Profile(Part):
    """All that differs between towns. Lookups by id raise `KeyError` for an id unknown to it."""

    schema_id: Literal["town-profile/1"] = Field(alias="schema")
    extends: Text | None = None
    """The file it was merged with; merged, it is provenance alone."""
    town: Town
    clock: Clock
    levels: Annotated[Many[Level], Field(min_length=3)]
    """A tree by `parent`; their order has no meaning."""
    party_levels: Many[PartyLevel] = ()
    population: Population = Population()
    roles: Annotated[Many[Role], Field(min_length=1)]
    links: Many[Link] = ()
    teams: Many[Team] = ()
    departments: Many[Department] = ()
    centers: Many[Center] = ()
    duty: Duty
    cases: Cases
    flows: Annotated[Many[Flow], Field(min_length=1)]
    settle: Settle
    whistle: Whistle
    cadences: Many[Cadence]
    lists: Many[ListOfThings] = ()
    points: Points = Points(enabled=False)
    registry: Registry
    risk: Risk = Risk()
    notifications: Notifications
    front_ends: Annotated[Many[FrontEnd], Field(min_length=1)]
    integrations: Many[Integration] = ()
    privacy: Privacy = Privacy()
    replay: Many[ReplayFigure] = ()
    assumed: Many[Text] = ()
    """Dotted paths, by ids, of values which are our proposals and no facts of the town."""
    not_expressed: Many[Text] = ()
    """What the town does and this profile cannot say."""

    @cached_property
    def levels_by_id(self) -> Mapping[str, Level]:
        return {level.id: level for level in self.levels}

    @cached_property
    def roles_by_id(self) -> Mapping[str, Role]:
        return {role.id: role for role in self.roles}

    @cached_property
    def departments_by_id(self) -> Mapping[str, Department]:
        return {department.id: department for department in self.departments}

    @cached_property
    def flows_by_id(self) -> Mapping[str, Flow]:
        return {flow.id: flow for flow in self.flows}

    @cached_property
    def categories_by_id(self) -> Mapping[str, Category]:
        return {category.id: category for category in self.cases.categories}

    @cached_property
    def classes_by_id(self) -> Mapping[str, CaseClass]:
        return {case_class.id: case_class for case_class in self.cases.classes}

    @cached_property
    def severities_by_id(self) -> Mapping[str, Severity]:
        return {severity.id: severity for severity in self.cases.severities}

    @cached_property
    def levels_above(self) -> Mapping[str, tuple[Level, ...]]:
        parents = {level.id: level.parent for level in self.levels}
        return {
            level_id: tuple(self.levels_by_id[above] for above in chain(parents, level_id))
            for level_id in parents
        }

    def level(self, level_id: str) -> Level:
        return self.levels_by_id[level_id]

    def levels_up(self, level_id: str) -> tuple[Level, ...]:
        """Return the levels above one, the nearest first, without itself."""
        return self.levels_above[level_id]

    def role(self, role_id: str) -> Role:
        return self.roles_by_id[role_id]

    def department(self, department_id: str) -> Department:
        return self.departments_by_id[department_id]

    def flow(self, flow_id: str) -> Flow:
        return self.flows_by_id[flow_id]

    def category(self, category_id: str) -> Category:
        return self.categories_by_id[category_id]

    def case_class(self, class_id: str) -> CaseClass:
        return self.classes_by_id[class_id]

    def severity(self, severity_id: str) -> Severity:
        return self.severities_by_id[severity_id]


def chain(following: Mapping[str, str | None], start: str) -> tuple[str, ...]:
    """Return what follows one after another; it stops at an unknown id, and once around a circle.

    In a circle the start itself stands in the chain.
    """
    seen: list[str] = []
    here = following.get(start)
    while here is not None and here in following and here not in seen:
        seen.append(here)
        here = following[here]
    return tuple(seen)
