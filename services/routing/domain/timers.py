"""What happens when a moment comes: a warning or a miss, each once."""

from dataclasses import replace
from datetime import datetime

from services.routing.domain.values import Case, Fact, TimerKind


def fire(
    case: Case, deadline: str, kind: TimerKind, due_at: datetime, now: datetime
) -> tuple[Case, Fact | None]:
    """Fire one timer of a case. `due_at` is the deadline itself, for a warning as for a miss.

    Without a fact the timer is void: its clock has ended, or a warning comes too late to warn.
    """
    if case.closed or deadline not in case.running:
        return case, None
    if kind == "warn" and due_at <= now:
        return case, None
    type_ = "case.deadline_warned.v1" if kind == "warn" else "case.deadline_missed.v1"
    running = case.running - {deadline} if kind == "miss" else case.running
    fact = Fact(type_, {"deadline": deadline, "due_at": due_at})
    return replace(case, seq=case.seq + 1, running=running), fact
