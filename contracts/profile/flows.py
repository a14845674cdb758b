"""Flows: the states a subject can be in, and the steps that lead from one to the next."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from contracts.profile.parts import (
    ActorId,
    CategoryId,
    Deadline,
    Every,
    Id,
    Length,
    LevelId,
    Many,
    Name,
    Named,
    Part,
    RecipientId,
    RoleId,
    Some,
    Unique,
    Words,
)

# The source state of a step that creates its subject.
DRAFT = "draft"

Means = Literal["resolve", "return_visit", "reopen", "move_up", "send_down", "cancel"]


class Step(Named):
    """One step: who may take it, from which states, and to which it leads."""

    from_states: Some[Id] = Field(alias="from")
    """`draft` means that the subject does not exist yet: the step creates it."""
    to: Id
    by: Some[ActorId]
    """Roles, or `reporter`, `handler` (who has the case now), `system` (by rule)."""
    means: Means | None = None
    """What the step is, whatever the town calls it. `resolve` settles the matter; `return_visit`
    asks the reporter and must need `satisfied`; `reopen` takes up again what was settled;
    `move_up` hands to the level above; `send_down` hands back below with an instruction;
    `cancel` ends without a settlement. A step of none of these kinds has no `means`."""
    sheet: bool = False
    """The step leaves a numbered, signed sheet."""
    deadline: Deadline | None = None
    """Runs beside the case's own deadline."""
    needs: Unique[Id] = ()
    """What must be handed in with the step, such as `reason`, `result`, `proof`, `satisfied`."""
    notify: Unique[RecipientId] = ()


class Scope(Part):
    """Which subjects take this flow before the default one. Empty lists do not narrow."""

    villages: Unique[Name] = ()
    categories: Unique[CategoryId] = ()
    level: LevelId | None = None
    reported_by: Unique[ActorId] = ()


class Rating(Part):
    """How the recipient rates the outcome."""

    scale: Some[Name]
    """From best to worst."""
    reopen_on: Unique[Name] = ()
    """Ratings, out of `scale`, upon which the work is done again."""
    default_after: Length | None = None
    """Who has not rated by then is taken to have given the best rating."""


class LookBack(Part):
    """Later checks whether a settled matter came back (回头看)."""

    zh: Name | None = None
    after: Some[Length]
    by: Some[RoleId]
    reopen_on_relapse: bool = False


class Flow(Named):
    """A way through states, from `start` to one of `end`."""

    subject: Literal[
        "case", "wish", "request", "project", "decision", "list_item", "activity", "handover",
        "honour",
    ]  # fmt: skip
    scope: Scope | None = None
    start: Id
    end: Some[Id]
    steps: Annotated[Many[Step], Field(min_length=1)]
    states: Mapping[Id, Words] = {}
    """The words that pages show for each state. A flow of subject `case` names all its states."""
    distinct: Many[Some[Id]] = ()
    """Groups of steps that must be taken by different persons."""
    public_steps: bool = False
    """The reporter sees each step as it is taken."""
    repeat: Every | None = None
    carry_over: bool = False
    """What is not done in one period goes on in the next."""
    rating: Rating | None = None
    look_back: LookBack | None = None

    @cached_property
    def steps_by_id(self) -> Mapping[str, Step]:
        return {step.id: step for step in self.steps}

    @cached_property
    def state_ids(self) -> tuple[str, ...]:
        """Every state, in the order in which steps name them; `draft` is none."""
        named = [self.start]
        for step in self.steps:
            named += [*step.from_states, step.to]
        return tuple(dict.fromkeys(state for state in [*named, *self.end] if state != DRAFT))

    @cached_property
    def step_ids_by_state(self) -> Mapping[str, tuple[str, ...]]:
        return {
            state: tuple(step.id for step in self.steps if state in step.from_states)
            for state in (DRAFT, *self.state_ids)
        }

    def step(self, step_id: str) -> Step:
        """Return a step; `KeyError` where the flow has none of this id."""
        return self.steps_by_id[step_id]

    def step_ids_from(self, state: str) -> tuple[str, ...]:
        """Return the steps that leave a state, in the profile's order; none for an unknown one."""
        return self.step_ids_by_state.get(state, ())
