"""From contracts to rules: profile, registry and templates become frozen values of the domain."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts import profile as town_profile
from contracts.profile import NOTICES, Duration, Profile
from contracts.registry import Post, TenantClock
from contracts.registry import Unit as UnitRecord
from services.chassis.clock import Offsets
from services.notify.domain.quiet import Quiet
from services.notify.domain.recipients import SUPERIOR
from services.notify.domain.town import Rule, Rules, Town, Unit
from services.notify.domain.wording import (
    CALL_CONFIRMED,
    REPLY_NONE,
    REPLY_UNCLEAR,
    Template,
    notice_of,
)

TEMPLATES_FILE = Path(__file__).with_name("templates.json")
CALL_TEMPLATES_FILE = Path(__file__).with_name("call_templates.json")
_OWN = frozenset({*NOTICES, REPLY_UNCLEAR, REPLY_NONE, CALL_CONFIRMED})
REFUSED = "whistle_refused"
_DAY_S = 86_400
_MONTH_DAYS, _YEAR_DAYS = 30, 365


def rules_from(version: int, body: Mapping[str, object]) -> Rules:
    """Compile one version of a profile.

    Raises:
        ProfileError: the profile has faults; each is named by its path.
    """
    profile = town_profile.parse(body)
    retry, quiet = profile.notifications.retry, profile.notifications.quiet_hours
    can = {role.id: frozenset(role.can) for role in profile.roles}
    return Rules(
        version=version,
        timezone=profile.clock.timezone,
        town_name=profile.town.zh,
        told=_told(profile),
        tries_max=max(retry.times, 1) if retry else 1,
        wait_s=_seconds(retry.wait) if retry else 0.0,
        last_channel=retry.then if retry else None,
        categories={one.id: one.zh for one in profile.cases.categories},
        role_levels={role.id: role.level for role in profile.roles},
        levels={one.kind: one.id for one in reversed(profile.levels) if not one.outside_town},
        departments={one.id: one.zh for one in profile.departments},
        reporters=frozenset(role for role, may in can.items() if "report_in" in may),
        heads=tuple(role for role, may in can.items() if {"report_in", "review"} <= may),
        supervisors=tuple(role for role, may in can.items() if {"supervise", "sign_off"} <= may),
        reply_means=_reply_means(profile),
        on_site_only=frozenset(profile.whistle.on_site_only),
        quiet=Quiet(quiet.start, quiet.end) if quiet else None,
        loud_classes=frozenset(quiet.except_classes) if quiet else frozenset(),
    )


def _reply_means(profile: Profile) -> Literal["app_ack", "remote"] | None:
    for means in ("app_ack", "remote"):
        if means in profile.whistle.report_in_means:
            return means
    return None


def _told(profile: Profile) -> tuple[Rule, ...]:
    """Compile who is told what; of a refusal its arbiter hears also where no rule says so."""
    rules = profile.notifications.rules
    told = [Rule(one.id or one.when, one.when, tuple(one.to), tuple(one.via)) for one in rules]
    if not any(rule.notice == REFUSED for rule in told):
        there = {channel.id for channel in profile.notifications.channels}
        via = next((one for one in ("sms", "app") if one in there), min(there))
        told.append(Rule(REFUSED, REFUSED, (SUPERIOR,), (via,)))
    return tuple(told)


def _seconds(wait: Duration) -> float:
    """Between two tries a month is 30 days: nobody looks at a calendar for that."""
    days = wait.days + wait.months * _MONTH_DAYS + wait.years * _YEAR_DAYS
    return float(days * _DAY_S + wait.seconds)


def town_from(
    units: Mapping[str, Mapping[str, Any]],
    staff: Mapping[str, Mapping[str, Any]],
    levels: Mapping[str, str],
) -> Town:
    """Compile the registry's units and rosters."""
    rosters: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)
    serving: dict[str, dict[str, list[tuple[int, str]]]] = defaultdict(lambda: defaultdict(list))
    for staff_id, one in staff.items():
        department = one.get("department")
        for post in map(Post.model_validate, one["posts"]):
            rosters[post.unit, post.role].append((post.rank, staff_id))
            if department is not None:
                serving[department][post.role].append((post.rank, staff_id))
    records = {unit_id: UnitRecord.model_validate(body) for unit_id, body in units.items()}
    return Town(
        units={
            unit_id: Unit(unit_id, unit.level, unit.zh, unit.parent)
            for unit_id, unit in records.items()
        },
        posts={post: _in_order(held) for post, held in rosters.items()},
        town_level=levels["town"],
        departments={
            id_: {role: _in_order(held) for role, held in roles.items()}
            for id_, roles in serving.items()
        },
    )


def _in_order(held: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(staff_id for _, staff_id in sorted(held)))


def offsets_from(clock: TenantClock) -> Offsets:
    """Compile the tenant's virtual time."""
    return Offsets(tuple((one.from_at, timedelta(seconds=one.seconds)) for one in clock.offsets))


class _TemplateRecord(BaseModel):
    """One template as a provider's operator submits it; our code is the notice's id.

    `…_reply` is the same notice for whoever can answer it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    code: Annotated[str, Field(pattern="^[A-Za-z0-9_]{1,64}$")]
    name: str
    content: str
    variables: dict[str, Annotated[int, Field(ge=2)]]


def templates_from(path: Path = TEMPLATES_FILE) -> dict[str, Template]:
    """Read the templates, by notice.

    Raises:
        ValueError: a template is for no notice, or names what it does not declare.
    """
    found: dict[str, Template] = {}
    for one in TypeAdapter(list[_TemplateRecord]).validate_json(path.read_bytes()):
        template = Template(one.name, one.content, one.variables)
        if notice_of(one.code) not in _OWN or one.code in found:
            raise ValueError(f"{path.name}: {one.code} is no notice, or stands twice")
        if template.named != set(one.variables):
            raise ValueError(f"{path.name}: {one.code}: content and variables differ")
        found[one.code] = template
    return found


def all_templates() -> dict[str, Template]:
    """Return what is written and what is spoken, by its code."""
    return {**templates_from(), **templates_from(CALL_TEMPLATES_FILE)}
