"""Which scenarios there are: each under its id, with its town's profile and the hour it begins."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.scenarios.stage import Stage

Telling = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: `begins` is its town's time when it is told."""

    profile: str
    begins: str
    tell: Telling


SCENARIOS: dict[str, Scenario] = {}


def scenario(id_: str, profile: str, begins: str) -> Callable[[Telling], Telling]:
    """Enter a scenario under its id."""

    def enter(tell: Telling) -> Telling:
        assert id_ not in SCENARIOS, id_
        SCENARIOS[id_] = Scenario(profile, begins, tell)
        return tell

    return enter
