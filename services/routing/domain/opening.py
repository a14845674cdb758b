"""The opening of a case: its place, its owner, its flow and its first clocks."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

from services.routing.domain.assigning import Assignment, assign
from services.routing.domain.calls import called_fact
from services.routing.domain.deadlines import start_clocks
from services.routing.domain.handover import file_sheet
from services.routing.domain.place import locate
from services.routing.domain.rules import Rules
from services.routing.domain.town import Setting
from services.routing.domain.values import ANSWER, Case, Decision, Fact, NewTimer, Report, Tried


def open_case(case_id: UUID, report: Report, received_at: datetime, setting: Setting) -> Decision:
    """Open a case: one grid or a named reason, one owner always, and the clocks that run now.

    The number is drawn by whoever records it: it depends on what else is recorded.
    """
    town, rules = setting.town, setting.rules
    place = locate(report, town, rules.border_m)
    category, severity, case_class, chosen = _kind(report, rules)
    village_name = town.units[place.village].name if place.village else None
    flow = rules.flow_for(category, village_name)
    given = assign(flow, place.grid, place.village, case_class, received_at, setting)
    case = Case(
        case_id=case_id,
        flow=flow.id,
        category=category,
        severity=severity,
        case_class=case_class,
        grid=place.grid,
        village=place.village,
        state=flow.start,
        owner=given.owner,
        received_at=received_at,
        placed_by=place.placed_by,
        fallback=given.fallback or place.fallback,
        joint=given.joint,
        call=given.call,
        border=place.border,
    )
    opened = Fact("case.opened.v1", _opened(case, report, rules))
    assigned, kept = _assigned(case, given, rules)
    started = [
        one
        for one in rules.deadlines_of(category, case_class, flow)
        if one.starts in ("reported", "assigned")
        or (one.starts == "state" and flow.start in one.states)
    ]
    clocks, timers = start_clocks(started, received_at, rules)
    facts = (opened, *assigned, *clocks)
    running = frozenset(one.id for one in started)
    case = replace(case, seq=len(facts), running=running)
    why = (*place.tried, *chosen, Tried("flow", held=True, because=flow.id), *given.tried)
    decision = Decision(case, facts, (*timers, *kept), why=why)
    return file_sheet(decision, given.sheet_due_at) if given.sheet_due_at else decision


def _assigned(
    case: Case, given: Assignment, rules: Rules
) -> tuple[list[Fact], tuple[NewTimer, ...]]:
    """Tell who has it and who is called, and keep the moment by which he must answer."""
    data: dict[str, object] = {"owner": asdict(given.owner), "rule": given.rule}
    if given.joint:
        data["joint"] = tuple(asdict(one) for one in given.joint)
    facts = [Fact("case.assigned.v1", data)]
    if case.call is None:
        return facts, ()
    facts.append(called_fact(case.call, given.told, rules))
    due_at = case.call.due_at
    return facts, () if due_at is None else (NewTimer(ANSWER, "miss", due_at, due_at),)


def _kind(report: Report, rules: Rules) -> tuple[str, str, str, tuple[Tried, ...]]:
    """Tell category, severity and class; what the profile does not know counts as not given."""
    known = report.category in rules.categories
    category = report.category if known and report.category else rules.default_category
    known_severity = report.severity in rules.severities
    severity = report.severity if known_severity and report.severity else rules.default_severity
    known_class = report.case_class in rules.classes
    by_category = rules.categories[category].case_class
    case_class = report.case_class if known_class and report.case_class else by_category
    tried = (
        Tried("category.given", known, category),
        Tried("severity.given", known_severity, severity),
        Tried("class.given", known_class, case_class),
    )
    return category, severity, case_class, tried


def _opened(case: Case, report: Report, rules: Rules) -> Mapping[str, object]:
    return {
        "front_end": report.front_end,
        "category": case.category,
        "severity": case.severity,
        "class": case.case_class,
        "flow": case.flow,
        "profile_version": rules.version,
        "state": case.state,
        "grid": case.grid,
        "village": case.village,
        "placed_by": case.placed_by,
        "fallback": case.fallback,
        "border": asdict(case.border) if case.border else None,
        "owner": asdict(case.owner),
        "received_at": case.received_at,
    }
