"""What becomes of a case whose reporter takes it back. Pure: no clock, no I/O."""

from collections.abc import Mapping
from datetime import datetime

from services.routing.domain.steps import take_step
from services.routing.domain.town import Setting
from services.routing.domain.values import REPORTER, Act, Actor, Case, Decision, Refused


def withdraw(
    case: Case, given: Mapping[str, object], now: datetime, setting: Setting
) -> Decision | None:
    """Take the step by which the flow lets a reporter end his case; None: it has none now."""
    steps = setting.rules.flows[case.flow].onward(case.state)
    step = next((one for one in steps if one.by_reporter and one.means == "cancel"), None)
    if step is None:
        return None
    him = Actor(REPORTER, reporter=True)
    done = take_step(case, Act(step.id, him, given, case.seq), now, setting)
    return None if isinstance(done, Refused) else done
