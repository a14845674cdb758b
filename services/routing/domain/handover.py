"""The hand-over sheet (移交单): filed after hours, signed for in the morning."""

from dataclasses import asdict, replace
from datetime import datetime
from uuid import uuid5

from services.routing.domain.assigning import opening_roles
from services.routing.domain.town import Setting
from services.routing.domain.values import (
    HAND_OVER,
    Actor,
    Case,
    Decision,
    Fact,
    NewTimer,
    Owner,
    Refused,
    Sheet,
)


def sheet_of(case: Case, due_at: datetime) -> Sheet:
    """Return the sheet with which a case that has just been opened is filed."""
    id_ = uuid5(case.case_id, "handover")
    return Sheet(id_, case.grid or case.owner.unit, case.owner, case.received_at, due_at)


def file_sheet(opened: Decision, due_at: datetime) -> Decision:
    """File an opened case; its sheet has a clock of its own. Whoever records it numbers it."""
    sheet = sheet_of(opened.case, due_at)
    filed = {
        "handover_id": sheet.handover_id,
        "unit": sheet.unit,
        "owner": asdict(sheet.filed_by),
        "due_at": due_at,
    }
    clock = {"deadline": HAND_OVER, "clock": "calendar", "armed": True, "due_at": due_at}
    facts = (
        *opened.facts,
        Fact("handover.filed.v1", filed),
        Fact("case.deadline_set.v1", clock),
    )
    running = opened.case.running | {HAND_OVER}
    case = replace(opened.case, seq=len(facts), running=running)
    timers = (*opened.timers, NewTimer(HAND_OVER, "miss", due_at, due_at))
    return replace(opened, case=case, facts=facts, timers=timers, sheet=sheet)


def receive(
    case: Case, sheet: Sheet, actor: Actor, now: datetime, setting: Setting
) -> Decision | Refused:
    """Sign for a sheet; the case is the signer's, unless it has gone on to somebody since."""
    if sheet.received_at is not None:
        return Refused("sheet_received", (sheet.received_by or "",))
    by = _receiver(case, sheet, actor, setting)
    if isinstance(by, Refused):
        return by
    about = {"handover_id": sheet.handover_id, "by": asdict(by)}
    late = now > sheet.due_at
    facts = [Fact("handover.received.v1", {**about, "at": now, "late": late})]
    after = case
    if case.owner == sheet.filed_by and not case.closed:
        after = replace(case, owner=by, call=None)
        owners = {"from_owner": asdict(case.owner), "owner": asdict(by)}
        facts.append(Fact("case.handed_over.v1", {**about, **owners}))
    seq = case.seq + len(facts)
    after = replace(after, seq=seq, human_seq=seq, running=case.running - {HAND_OVER})
    signed = replace(sheet, received_at=now, received_by=actor.staff)
    return Decision(after, tuple(facts), ended=frozenset((HAND_OVER,)), sheet=signed)


def _receiver(case: Case, sheet: Sheet, actor: Actor, setting: Setting) -> Owner | Refused:
    """Return as whom somebody may sign: the grid's own worker, or one who stands in for him."""
    roles = opening_roles(setting.rules.flows[case.flow])
    held = [role for role in roles if role in actor.roles]
    if not held:
        return Refused("role_not_allowed", roles)
    backup = setting.rules.duty.backup
    partners = setting.town.rosters.partners(sheet.unit, symmetric=backup.symmetric)
    for unit in (sheet.unit, *(partners if backup.enabled else ())):
        if unit in actor.units:
            return Owner(unit, held[0], actor.staff)
    return Refused("unit_not_allowed", (sheet.unit,))
