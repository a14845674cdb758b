"""The opening of a case: its place, its owner, its flow and its first clocks."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from uuid import UUID

from services.routing.domain.deadlines import start_clocks
from services.routing.domain.owners import opening_owner
from services.routing.domain.place import locate
from services.routing.domain.rules import Rules
from services.routing.domain.town import Setting
from services.routing.domain.values import Case, Decision, Fact, Report, Tried


def open_case(case_id: UUID, report: Report, received_at: datetime, setting: Setting) -> Decision:
    """Open a case: one grid or a named reason, one owner always, and the clocks that run now.

    The number is drawn by whoever records it: it depends on what else is recorded.
    """
    town, rules = setting.town, setting.rules
    place = locate(report, town)
    category, severity, case_class, chosen = _kind(report, rules)
    village_name = town.units[place.village].name if place.village else None
    flow = rules.flow_for(category, village_name)
    owner, rule, tried = opening_owner(flow, place.grid, place.village, setting)
    fallback = place.fallback
    if rule != "roster" and place.grid is not None:
        fallback = "nobody_on_roster"
    case = Case(
        case_id=case_id,
        flow=flow.id,
        category=category,
        severity=severity,
        case_class=case_class,
        grid=place.grid,
        village=place.village,
        state=flow.start,
        owner=owner,
        received_at=received_at,
        placed_by=place.placed_by,
        fallback=fallback,
    )
    opened = Fact("case.opened.v1", _opened(case, report, rules))
    assigned = Fact("case.assigned.v1", {"owner": asdict(owner), "rule": rule})
    started = [
        one
        for one in rules.deadlines_of(category, case_class, flow)
        if one.starts in ("reported", "assigned")
        or (one.starts == "state" and flow.start in one.states)
    ]
    clocks, timers = start_clocks(started, received_at, rules)
    facts = (opened, assigned, *clocks)
    case = replace(case, seq=len(facts), running=frozenset(one.id for one in started))
    why = (*place.tried, *chosen, Tried("flow", held=True, because=flow.id), *tried)
    return Decision(case, facts, timers, why=why)


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
        "owner": asdict(case.owner),
        "received_at": case.received_at,
    }
