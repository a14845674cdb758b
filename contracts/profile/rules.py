"""What must hold within one profile beyond form and references: order, sums, circles, levels."""

from collections.abc import Iterator, Mapping
from datetime import time
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from contracts.profile.parts import Deadline, Every, Span, item_key
from contracts.profile.problems import Problem
from contracts.profile.references import PSEUDO_ROLES
from contracts.profile.routine import SENSITIVE
from contracts.profile.town import Bounds, Link
from contracts.profile.walking import parts_of
from contracts.profile.whistle import Arrival
from contracts.profile.whole import Profile, chain


def everywhere(profile: Profile) -> Iterator[Problem]:
    """Rules for parts which stand in many places."""
    for path, part in parts_of(profile):
        if isinstance(part, Deadline | Arrival):
            yield from _deadline(path, part)
        elif isinstance(part, Every):
            yield from _every(path, part)
        elif isinstance(part, Bounds | Link):
            yield from _bounds(path, part)


def _deadline(path: str, deadline: Deadline | Arrival) -> Iterator[Problem]:
    if deadline.clock == "duty" and not deadline.within.has_clock_time_only:
        yield Problem(
            f"{path}within",
            f"工作时钟只用小时和分钟，{str(deadline.within)!r} 不行；一个工作日写 PT8H",
            f"the duty clock takes hours and minutes only, not {str(deadline.within)!r}"
            " — write a duty day as PT8H",
        )


def _every(path: str, every: Every) -> Iterator[Problem]:
    fits: Mapping[str, type] = {"week": str, "month": int}
    kind = fits.get(every.unit)
    for day in every.days:
        if kind is None or not isinstance(day, kind):
            yield Problem(
                f"{path}days",
                f"{day!r} 与周期 {every.unit} 不合：week 用 mon … sun，month 用 1 … 31，其余不写",
                f"{day!r} does not fit the unit {every.unit}: week takes mon … sun,"
                " month takes 1 … 31, others take none",
            )


def _bounds(path: str, bounds: Bounds | Link) -> Iterator[Problem]:
    if bounds.min is not None and bounds.max is not None and bounds.min > bounds.max:
        yield Problem(
            f"{path}min",
            f"下限 {bounds.min} 大于上限 {bounds.max}，请对调或改正",
            f"min {bounds.min} is greater than max {bounds.max} — swap or mend them",
        )


def clock(profile: Profile) -> Iterator[Problem]:
    try:
        ZoneInfo(profile.clock.timezone)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        yield Problem(
            "clock.timezone",
            f"没有时区 {profile.clock.timezone!r}，应如 Asia/Shanghai",
            f"unknown time zone {profile.clock.timezone!r}; expected one like Asia/Shanghai",
        )


def tree(profile: Profile) -> Iterator[Problem]:
    """Levels and collectors lead somewhere, and never back to where they began."""
    following: Mapping[str, Mapping[str, str | None]] = {
        "levels.{}.parent": {level.id: level.parent for level in profile.levels},
        "party_levels.{}.parent": {level.id: level.parent for level in profile.party_levels},
        "cadences.{}.feeds": {cadence.id: cadence.feeds for cadence in profile.cadences},
    }
    for path, links in following.items():
        for start in links:
            if start in chain(links, start):
                yield Problem(
                    path.format(start),
                    f"绕一圈又回到 {start!r}，请断开",
                    f"leads in a circle back to {start!r} — break it",
                )


def roles(profile: Profile) -> Iterator[Problem]:
    for role in profile.roles:
        if role.id in PSEUDO_ROLES:
            yield Problem(
                f"roles.{role.id}",
                f"{role.id!r} 是保留字（{', '.join(PSEUDO_ROLES)}），请换一个标识",
                f"{role.id!r} is reserved ({', '.join(PSEUDO_ROLES)}) — choose another id",
            )


def duty(profile: Profile) -> Iterator[Problem]:
    spans = profile.duty.spans
    for start, end in spans:
        if start >= end:
            yield Problem(
                "duty.spans",
                f"{_span((start, end))} 应从早到晚，且不跨零点",
                f"{_span((start, end))} must run from earlier to later within one day",
            )
    for first, second in pairwise(sorted(spans)):
        if second[0] < first[1]:
            yield Problem(
                "duty.spans",
                f"{_span(first)} 与 {_span(second)} 重叠，请改成一段或错开",
                f"{_span(first)} and {_span(second)} overlap — join or part them",
            )
    hours = sum(_minutes(end) - _minutes(start) for start, end in spans) / 60
    if hours < profile.duty.hours_min:
        yield Problem(
            "duty.spans",
            f"合计 {hours:g} 小时，不足 duty.hours_min 的 {profile.duty.hours_min:g} 小时",
            f"add up to {hours:g} h, less than the {profile.duty.hours_min:g} h of duty.hours_min",
        )
    if profile.duty.after_hours.mode == "hand_to" and not profile.duty.after_hours.hand_to:
        yield Problem(
            "duty.after_hours.hand_to",
            "mode 为 hand_to 时要写明交给哪些角色",
            "is missing though mode is hand_to — name the roles",
        )


def cases(profile: Profile) -> Iterator[Problem]:
    """Cases take a flow for cases; who owns the unclear ones sits where these land."""
    flow = profile.flows_by_id.get(profile.cases.default_flow)
    if flow and flow.subject != "case":
        yield Problem(
            "cases.default_flow",
            f"流程 {flow.id!r} 的 subject 是 {flow.subject}，这里要 case",
            f"the flow {flow.id!r} is of subject {flow.subject}; expected one of subject case",
        )
    owners = profile.cases.fallback
    for key, role_id, kind in (
        ("village_known", owners.village_known, "village"),
        ("else", owners.otherwise, "town"),
    ):
        role = profile.roles_by_id.get(role_id)
        level = profile.levels_by_id.get(role.level) if role else None
        if role and level and level.kind != kind:
            yield Problem(
                f"cases.fallback.{key}",
                f"角色 {role_id!r} 在 {level.id!r}（{level.kind}）一级，这里要 {kind} 一级的角色",
                f"role {role_id!r} sits at level {level.id!r} of kind {level.kind};"
                f" expected a role at a level of kind {kind}",
            )


def ladder(profile: Profile) -> Iterator[Problem]:
    parents = {level.id: level.parent for level in profile.levels}
    if not {parent for parent in parents.values() if parent} <= parents.keys():
        return  # the unknown parent is reported; whatever follows from it is not
    for lower, upper in pairwise(profile.settle.ladder):
        if lower in parents and upper in parents and upper not in chain(parents, lower):
            yield Problem(
                "settle.ladder",
                f"{upper!r} 不在 {lower!r} 之上，请从下往上排",
                f"{upper!r} is not above {lower!r} — order the ladder from the bottom upward",
            )


def quiet_hours(profile: Profile) -> Iterator[Problem]:
    quiet = profile.notifications.quiet_hours
    if quiet and quiet.start == quiet.end:
        yield Problem(
            "notifications.quiet_hours.to",
            "起止相同，等于没有；不设免打扰就删去这一段",
            "is the same as from — leave quiet hours out where there are none",
        )


def sensitive_groups(profile: Profile) -> Iterator[Problem]:
    """Whoever belongs to a sensitive group is not told by a flag or a class that all may see."""
    apart = {*SENSITIVE, *(group.id for group in profile.registry.sensitive_groups)}
    classes = [one.id for one in profile.registry.household_classes]
    for field, ids in (
        ("person_flags", profile.registry.person_flags),
        ("household_classes", classes),
    ):
        for word in apart.intersection(ids):
            yield Problem(
                f"registry.{field}.{word}",
                f"{word!r} 是敏感人群，不能作标记或户类别：写在 registry.sensitive_groups",
                f"{word!r} is a sensitive group, no flag and no class:"
                " put it in registry.sensitive_groups",
            )


def assumed(profile: Profile, mapping: Mapping[str, Any]) -> Iterator[Problem]:
    for path in profile.assumed:
        if not _exists(path, mapping):
            yield Problem(
                f"assumed.{path}",
                "没有这个位置，请改正路径或删去这一条",
                "does not exist — mend the path or take it out",
            )


def _exists(path: str, mapping: Mapping[str, Any]) -> bool:
    here: object = mapping
    for part in path.split("."):
        if isinstance(here, Mapping):
            here = here.get(part)
        elif isinstance(here, list | tuple):
            here = next((item for item in here if item_key(item) == part), None)
        else:
            here = None
        if here is None:
            return False
    return True


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute


def _span(span: Span) -> str:
    return "–".join(moment.isoformat(timespec="minutes") for moment in span)
