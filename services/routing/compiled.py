"""From contracts to rules: a published profile and registry become frozen values of the domain."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

from contracts import profile as town_profile
from contracts.calendar import Calendar
from contracts.profile import WEEKDAYS, Deadline, Duration, Profile
from contracts.profile.whistle import Arrival
from contracts.registry import Absence, BackupPair, Roster, Staff, TenantClock
from contracts.registry import Shift as ShiftRecord
from contracts.registry import Unit as UnitRecord
from services.chassis.clock import Offsets
from services.routing.domain.duty import Rosters, Shift
from services.routing.domain.rules import (
    BackupRules,
    Category,
    DeadlineRule,
    DutyRules,
    Flow,
    Rules,
    Rung,
    Span,
    Step,
    WhistleRules,
)
from services.routing.domain.town import GridMap, Town, Unit
from services.routing.domain.values import CLASS_DEADLINE, FIRST_ACTION
from services.routing.domain.worktime import WorkCalendar

_PSEUDO = ("handler", "system", "reporter")
_MONTHS, _MONTH_DAYS, _DAY_S = 12, 30, 86_400
_URGENT = "urgent"  # the glossary's own class, whatever else a town calls urgent


def rules_from(version: int, body: Mapping[str, object], official: Calendar | None = None) -> Rules:
    """Compile one version of a profile; with the official calendar, duty time can be told.

    Raises:
        ProfileError: the profile has faults; each is named by its path.
    """
    profile = town_profile.parse(body)
    cases = profile.cases
    named = {one.flow for one in cases.categories}
    return Rules(
        version=version,
        timezone=profile.clock.timezone,
        month_is_30_days=profile.clock.month_rule == "30_days",
        default_category=cases.default_category,
        default_severity=cases.default_severity,
        default_flow=cases.default_flow,
        fallback_village=cases.fallback.village_known,
        fallback_town=cases.fallback.otherwise,
        border_m=cases.border_m,
        categories={
            one.id: Category(
                one.default_class,
                one.flow,
                next(iter(_clocks((CLASS_DEADLINE, one.deadline))), None),
            )
            for one in cases.categories
        },
        severities=frozenset(one.id for one in cases.severities),
        classes={
            one.id: _clocks((CLASS_DEADLINE, one.deadline), (FIRST_ACTION, one.first_action))
            for one in cases.classes
        },
        flows={
            flow.id: _flow(flow, profile)
            for flow in profile.flows
            if flow.subject == "case" or flow.id in named
        },
        role_levels={role.id: role.level for role in profile.roles},
        ladder=tuple(profile.settle.ladder),
        skip_allowed=profile.settle.skip_allowed,
        levels={one.kind: one.id for one in reversed(profile.levels) if not one.outside_town},
        whistle=_whistle(profile),
        duty=_duty(profile),
        work_calendar=work_calendar_from(profile, official) if official else None,
    )


def _duty(profile: Profile) -> DutyRules:
    """Compile who has a case when; what is urgent is what quiet hours let through."""
    night, backup, first = profile.duty.after_hours, profile.duty.backup, profile.cases.first_asked
    quiet, handed = profile.notifications.quiet_hours, night.mode == "hand_to"
    calls = night.urgent if handed else None
    rest = night.non_urgent if handed else None
    can = {role.id: frozenset(role.can) for role in profile.roles}
    return DutyRules(
        urgent=frozenset((_URGENT, *(quiet.except_classes if quiet else ()))),
        hand_to=tuple(night.hand_to) if handed else (),
        call=tuple(calls.call) if calls else (),
        then_call=tuple(calls.then_call) if calls else (),
        ack_within=_span(calls.ack_within) if calls and calls.ack_within else None,
        via=tuple(calls.via) if calls else (),
        files=rest is not None and rest.action == "file_and_hand_over",
        hand_over_by=rest.hand_over_by if rest else None,
        backup=BackupRules(
            enabled=backup.mode != "none",
            joint=backup.urgent == "joint",
            replaces=backup.absent == "replace",
            symmetric=backup.symmetric,
            guided_by=tuple(backup.guided_by),
            ack_within=_span(backup.ack_within) if backup.ack_within else None,
        ),
        first_asked=frozenset(first.who if first.enabled and not first.may_refuse else ()),
        givers=frozenset(role for role, may in can.items() if "transfer" in may),
        takers=frozenset(role for role, may in can.items() if "accept" in may),
    )


def _whistle(profile: Profile) -> WhistleRules:
    whistle, upward = profile.whistle, profile.whistle.call_upward
    can = {role.id: frozenset(role.can) for role in profile.roles}
    towns = {level.id for level in profile.levels if level.kind == "town"}
    over = [role for role in profile.roles if {"supervise", "sign_off"} <= can[role.id]]
    levels = {role.id: role.level for role in profile.roles}
    ruling = whistle.refusal.ruling_within
    up = _clock_of_whistle("call_upward", upward.deadline) if upward.deadline else None
    return WhistleRules(
        enabled=whistle.enabled,
        blowers=tuple(whistle.blowers),
        targets=frozenset(whistle.targets),
        report_in={
            case_class: _clock_of_whistle("report_in", one)
            for case_class, one in whistle.report_in.items()
        },
        means=tuple(whistle.report_in_means),
        on_site_only=frozenset(whistle.on_site_only),
        arrival=_later_clocks("arrive", whistle.arrival),
        release=_later_clocks("release", whistle.release),
        ruling=DeadlineRule("rule", _span(ruling), "calendar", "state") if ruling else None,
        on_miss=tuple(
            Rung(_span(one.after), one.do, one.to)
            for one in sorted(whistle.on_miss, key=lambda one: _about_s(one.after))
        ),
        names_lead=whistle.lead == "blower_names",
        duplicate=whistle.duplicate,
        withdrawable=whistle.withdrawable,
        close_gate=whistle.close_gate,
        quorum=whistle.quorum or 1,
        upward_from=upward.from_level if upward.enabled else None,
        upward_to=upward.to if upward.enabled else None,
        upward=up if upward.enabled else None,
        upward_callers=tuple(
            role for role in whistle.blowers if levels.get(role) == upward.from_level
        ),
        joint_consult=whistle.joint_consult is not None,
        reporters=tuple(role for role, may in can.items() if "report_in" in may),
        heads=tuple(role for role, may in can.items() if {"report_in", "review"} <= may),
        supervisors=tuple(role.id for role in over if role.level in towns),
        superiors=tuple(role.id for role in over),
    )


def _later_clocks(id_: str, by_class: Mapping[str, Arrival]) -> dict[str, DeadlineRule]:
    """Compile the clocks of a later stage."""
    return {
        case_class: DeadlineRule(id_, _span(one.within), one.clock, "state")
        for case_class, one in by_class.items()
    }


def _clock_of_whistle(id_: str, one: Deadline) -> DeadlineRule:
    """Compile a clock that counts from a whistle."""
    return DeadlineRule(
        id=id_,
        within=_span(one.within),
        clock=one.clock,
        starts="state",
        warn_share=one.warn_at,
        by_time=one.by_time,
    )


def work_calendar_from(profile: Profile, official: Calendar) -> WorkCalendar:
    """Compile when a town is on duty. Its own holidays are off even where a notice has work."""
    days_off = {day: False for year in official.years for day in year.days_off}
    worked = {day: True for year in official.years for day in year.workdays}
    return WorkCalendar(
        zone=ZoneInfo(profile.clock.timezone),
        spans=tuple(
            (_since_midnight(first), _since_midnight(last))
            for first, last in sorted(profile.duty.spans)
        ),
        weekdays=frozenset(WEEKDAYS.index(day) for day in profile.clock.workdays),
        exceptions=days_off | worked | dict.fromkeys(profile.clock.holidays, False),
        official_years=frozenset(year.year for year in official.years if year.official),
        version=official.version,
    )


def _since_midnight(moment: time) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute)


def _span(duration: Duration) -> Span:
    return Span(duration.years * _MONTHS + duration.months, duration.days, duration.seconds)


def _about_s(duration: Duration) -> int:
    """Return how long about a duration is: enough to tell which of two is over first."""
    months = duration.years * _MONTHS + duration.months
    return (months * _MONTH_DAYS + duration.days) * _DAY_S + duration.seconds


def _clocks(
    *named: tuple[str, Deadline | None], states: frozenset[str] = frozenset()
) -> tuple[DeadlineRule, ...]:
    """Compile deadlines, but for those that count from a whistle: they are not the case's."""
    return tuple(
        DeadlineRule(
            id=id_,
            within=_span(one.within),
            clock=one.clock,
            starts="state" if one.counts_from == "step_entered" else one.counts_from,
            warn_share=one.warn_at,
            states=states,
            by_time=one.by_time,
        )
        for id_, one in named
        if one is not None and one.counts_from != "blown"
    )


def _flow(flow: town_profile.Flow, profile: Profile) -> Flow:
    scope = flow.scope
    return Flow(
        id=flow.id,
        start=flow.start,
        end=frozenset(flow.end),
        steps=tuple(
            Step(
                id=step.id,
                from_states=frozenset(step.from_states),
                to=step.to,
                roles=tuple(role for role in step.by if role not in _PSEUDO),
                by_handler="handler" in step.by,
                by_system="system" in step.by,
                means=step.means,
                needs=tuple(step.needs),
                by_reporter="reporter" in step.by,
            )
            for step in flow.steps
        ),
        distinct=tuple(frozenset(group) for group in flow.distinct),
        villages=frozenset(scope.villages if scope else ()),
        categories=frozenset(scope.categories if scope else ()),
        narrowed=flow.subject != "case" or bool(scope and (scope.reported_by or scope.level)),
        deadlines=tuple(chain.from_iterable(_step_deadlines(step, profile) for step in flow.steps)),
    )


def _step_deadlines(step: town_profile.Step, profile: Profile) -> Iterable[DeadlineRule]:
    """Give a step its clock; a return visit without one of its own has the one for settling."""
    states = frozenset(step.from_states)
    visit = profile.settle.return_visit
    if step.deadline is None and step.means == "return_visit" and visit.required and visit.within:
        within = _span(visit.within)
        return (DeadlineRule(f"step.{step.id}", within, "calendar", "state", states=states),)
    return _clocks((f"step.{step.id}", step.deadline), states=states)


def rosters_from(
    rosters: Iterable[Roster], absences: Iterable[Absence], pairs: Iterable[BackupPair]
) -> Rosters:
    """Compile hours, absences and pairs; a grid in two pairs keeps the first, by their ids."""
    away: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for one in absences:
        away[one.staff].append((one.begin, one.end))
    groups: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        if not groups.keys() & set(pair.grids):
            groups |= dict.fromkeys(pair.grids, pair.grids)
    kept = list(rosters)
    return Rosters(
        staff={one.staff: tuple(map(_shift, one.shifts)) for one in kept if one.staff},
        units={one.unit: tuple(map(_shift, one.shifts)) for one in kept if one.unit},
        absences={staff: tuple(of) for staff, of in away.items()},
        groups=groups,
    )


def _shift(shift: ShiftRecord) -> Shift:
    first, last = (
        timedelta(hours=int(text[:2]), minutes=int(text[3:])) for text in (shift.begin, shift.end)
    )
    days = None if shift.days is None else frozenset(map(WEEKDAYS.index, shift.days))
    return Shift(first, last, days)


def town_from(
    units: Mapping[str, UnitRecord],
    staff: Mapping[str, Staff],
    levels: Mapping[str, str],
    duty: Rosters | None = None,
) -> Town:
    """Compile the registry's units and rosters."""
    rosters: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    serving: dict[str, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    for staff_id, one in staff.items():
        for post in one.posts:
            rosters[post.unit, post.role].append((post.rank, staff_id))
            if one.department is not None:
                serving[one.department][post.role].append((post.rank, staff_id))
    of_domain = {
        unit_id: Unit(unit_id, unit.level, unit.zh, unit.parent, unit.polygon)
        for unit_id, unit in units.items()
    }
    grids = [unit for unit in of_domain.values() if unit.level == levels["grid"]]
    return Town(
        units=of_domain,
        posts={post: tuple(id_ for _, id_ in sorted(held)) for post, held in rosters.items()},
        grid_level=levels["grid"],
        village_level=levels["village"],
        town_level=levels["town"],
        grid_map=GridMap(grids),
        departments={
            department: {
                role: tuple(id_ for _, id_ in sorted(held)) for role, held in roles.items()
            }
            for department, roles in serving.items()
        },
        rosters=duty or Rosters(),
    )


def offsets_from(clock: TenantClock) -> Offsets:
    """Compile the tenant's virtual time."""
    return Offsets(tuple((one.from_at, timedelta(seconds=one.seconds)) for one in clock.offsets))
