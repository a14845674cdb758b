"""Calls to a case: who is called, who answers, and what follows if nobody does."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from services.routing.domain import duty
from services.routing.domain.deadlines import add
from services.routing.domain.owners import fallback_owner
from services.routing.domain.rules import Rules, Span
from services.routing.domain.town import Setting
from services.routing.domain.values import (
    ANSWER,
    Actor,
    Case,
    Decision,
    Fact,
    OpenCall,
    Owner,
    Refused,
)


def after(now: datetime, within: Span | None, rules: Rules) -> datetime | None:
    """Return when a time that begins now is over; None: it has no end."""
    return None if within is None else add(now, within, rules)


def unreachable(
    roles: Iterable[str], grid: str | None, village: str | None, now: datetime, setting: Setting
) -> frozenset[str]:
    """Return who of these roles' rosters cannot be turned to now."""
    town, calendar = setting.town, setting.rules.work_calendar
    if calendar is None:
        return town.rosters.away(now)
    units = ((role, setting.unit_for(role, grid, village)) for role in roles)
    return frozenset(
        staff
        for role, unit in units
        for staff in town.posts.get((unit or "", role), ())
        if not duty.reachable(staff, town.rosters, calendar, now)
    )


def of_roles(
    roles: Sequence[str], grid: str | None, village: str | None, now: datetime, setting: Setting
) -> tuple[Owner, ...]:
    """Return for each role the first who can be turned to; the role alone where nobody can."""
    off = unreachable(roles, grid, village, now, setting)
    units = ((role, setting.unit_for(role, grid, village)) for role in roles)
    return tuple(
        Owner(unit, role, setting.town.first_on_roster(unit, role, off))
        for role, unit in units
        if unit is not None
    )


def called_fact(call: OpenCall, told: Sequence[Owner], rules: Rules) -> Fact:
    """Announce a call."""
    data = {
        "reason": call.reason,
        "call": call.number,
        "called": tuple(asdict(one) for one in call.called),
        "told": tuple(asdict(one) for one in told),
        "via": rules.duty.via if call.reason == "urgent_after_hours" else (),
        "ack_due_at": call.due_at,
    }
    return Fact("case.called.v1", data)


def answer(case: Case, actor: Actor) -> Decision | Refused:
    """Take the answer of somebody who was called; the case stays with its owner."""
    call = case.call
    if call is None or case.closed:
        return Refused("nobody_called")
    by = next((is_him for one in call.called if (is_him := one.held_by(actor))), None)
    if by is None:
        return Refused("not_called", tuple(one.staff or one.role for one in call.called))
    fact = Fact("case.call_answered.v1", {"call": call.number, "by": asdict(by)})
    seq = case.seq + 1
    answered = replace(case, seq=seq, human_seq=seq, call=None)
    return Decision(answered, (fact,), ended=frozenset((ANSWER,)))


def unanswered(case: Case, now: datetime, setting: Setting) -> tuple[Case, tuple[Fact, ...]]:
    """Let the time of a call run out; without facts it no longer matters.

    At night those who come next are called; a partner who does not answer loses the case to the
    village.
    """
    call, rules = case.call, setting.rules
    if call is None or case.closed or call.due_at is None:
        return case, ()
    where = (case.grid, case.village, now, setting)
    if call.reason == "backup_called":
        guides = of_roles(rules.duty.backup.guided_by, *where)
        away = setting.town.rosters.away(now)
        owner = next(
            (one for one in guides if one.staff), fallback_owner(case.village, setting, away)
        )
        fact = Fact("case.assigned.v1", {"owner": asdict(owner), "rule": "backup.unanswered"})
        return replace(case, seq=case.seq + 1, owner=owner, call=None, joint=()), (fact,)
    called = of_roles(rules.duty.then_call, *where)
    if not called:
        return replace(case, call=None), ()
    next_call = OpenCall(call.reason, call.number + 1, called, None)
    fact = called_fact(next_call, (), rules)
    return replace(case, seq=case.seq + 1, call=next_call), (fact,)
