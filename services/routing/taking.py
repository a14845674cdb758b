"""Recording a step with all that follows from it: offers that are moot, departments let go."""

from collections.abc import Sequence
from dataclasses import replace

from contracts.events import effect_id
from services.chassis.postgres import Connection
from services.routing.domain.release import release
from services.routing.domain.slot import Slot
from services.routing.domain.town import Setting
from services.routing.domain.values import SYSTEM, Case, Decision, Owner
from services.routing.record import Announced, record_act, record_settled
from services.routing.store import handing


async def record_step(
    conn: Connection,
    about: Announced,
    before: Case,
    decision: Decision,
    called: Sequence[Slot],
    setting: Setting,
) -> Case:
    """Record a step on a case whose lock the caller holds; return what the case is after it."""
    after = decision.case
    await record_act(conn, about.telling(decision.facts, after.seq), decision)
    if after.closed or after.owner != before.owner:
        await handing.moot(conn, [(about.tenant_id, about.case_id)])
    if after.closed and any(slot.pending for slot in called):
        after = await _let_go(conn, about, after, called, setting)
    return after


async def _let_go(
    conn: Connection, about: Announced, case: Case, called: Sequence[Slot], setting: Setting
) -> Case:
    """Let every department go whose case has closed."""
    by = Owner(case.owner.unit, SYSTEM, SYSTEM)
    going = [slot for slot in called if slot.pending]
    gone = release(case, going, by, about.at, setting.rules)
    cause = effect_id(about.case_id, f"closed/{case.seq}")
    await record_settled(conn, replace(about, cause=cause).telling(gone.facts, gone.case.seq), gone)
    return gone.case
