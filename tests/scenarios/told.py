"""Which scenarios there are: each under its id, with its town's profile and the hour it begins."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from tests.scenarios.stage import Stage

Telling = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: `begins` is its town's time when it is told; `profile` a name or a file."""

    profile: str
    begins: str
    tell: Telling


PROFILES = Path(__file__).with_name("profiles")
SCENARIOS: dict[str, Scenario] = {}


def scenario(id_: str, profile: str, begins: str) -> Callable[[Telling], Telling]:
    """Enter a scenario under its id; a profile `x.yaml` lies beside the tests."""
    if profile.endswith(".yaml"):
        profile = str(PROFILES / profile)

    def enter(tell: Telling) -> Telling:
        assert id_ not in SCENARIOS, id_
        SCENARIOS[id_] = Scenario(profile, begins, tell)
        return tell

    return enter
