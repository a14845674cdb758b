"""Who is told what. A person is told once for one cause, whatever roles he holds."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.notify.domain.town import Rule, Rules, Town

HANDLER = "handler"
REPORTER = "reporter"
SUPERIOR = "superior"
_NOBODY = "role:"  # before a role that nobody is rostered for


@dataclass(frozen=True, slots=True)
class Owner:
    """Who answers for a case: a role at a unit, and the person where one is rostered."""

    unit: str
    role: str
    staff: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A case as far as messages need it."""

    number: str
    category: str
    severity: str
    case_class: str
    grid: str | None
    village: str | None
    owner: Owner
    profile_version: int
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A department's part, of which a notice tells. A rung that climbs names its `level`.

    Of a refusal, `arbiter` decides, and `proposed` is who should be called instead. Of one that
    nobody has ruled on, `arbiter` is who stands above.
    """

    department: str
    level: str | None = None
    arbiter: Owner | None = None
    proposed: str | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """Whom a fact itself names: told like the handler, or, if `alone`, instead of a rule's people.

    They hear by each of `via` at once, whatever a rule says: there are but minutes.
    """

    owners: tuple[Owner, ...] = ()
    alone: bool = False
    via: tuple[str, ...] = ()


NOBODY_NAMED = Named()


@dataclass(frozen=True, slots=True)
class Telling:
    """One message to be sent: by which rule, to whom, by which channels in which order.

    With `department` it tells of that department's part alone; who `reports` may report in.
    """

    rule: str
    recipient: str
    channels: tuple[str, ...]
    department: str | None = None
    reports: bool = False


def tellings(
    notice: str,
    case: Case,
    rules: Rules,
    town: Town,
    parts: Sequence[Part] = (),
    named: Named = NOBODY_NAMED,
) -> tuple[Telling, ...]:
    """Tell who gets a message; of several rules that reach one person, the first holds."""
    found: dict[str, Telling] = {}
    told = [rule for rule in rules.told if rule.notice == notice]
    people = [_who(owner, town) for owner in named.owners]
    if named.alone and named.via:
        return tuple(
            Telling(f"{notice}/{channel}", person, (channel,))
            for person in dict.fromkeys(people)
            for channel in named.via
        )
    of = parts[0].department if len(parts) == 1 else None
    for rule in told:
        if named.alone or HANDLER in rule.to:
            for person in people:
                found.setdefault(person, Telling(rule.id, person, rules.channels(rule), of))
        if not named.alone:
            for one in _by_rule(rule, case, rules, town, parts):
                found.setdefault(one.recipient, one)
    return tuple(found.values())


def _by_rule(
    rule: Rule, case: Case, rules: Rules, town: Town, parts: Sequence[Part]
) -> Iterator[Telling]:
    """Tell whom one rule reaches."""
    for part in parts or (None,):
        for to in rule.to:
            person = recipient(to, case, rules, town, part)
            reports = part is not None and to in rules.reporters
            of = part.department if part and (reports or len(parts) == 1) else None
            yield Telling(rule.id, person, rules.channels(rule), of, reports)


def recipient(to: str, case: Case, rules: Rules, town: Town, part: Part | None = None) -> str:
    """Resolve whom a rule names: a staff id, or `reporter`.

    A role means the first on its roster alone, also where several share rank 1 (the lowest id):
    a message to everybody is nobody's task. Of a department's part, the roles that may report in
    are that department's own. A role without anybody stays as `role:…`: it cannot be reached,
    and that shall be seen.
    """
    if to == REPORTER:
        return REPORTER
    if to == HANDLER:
        return _who(case.owner, town)
    if part is not None and to == SUPERIOR:
        return _superior(part, case, rules, town)
    if part is not None and to in rules.reporters:
        staff = town.first_in_department(part.department, (to,))
        return staff or f"{_NOBODY}{to}/{part.department}"
    unit = _unit(case, rules.role_levels.get(to), town)
    return town.first_on_roster(unit, to) or f"{_NOBODY}{to}"


def _who(owner: Owner, town: Town) -> str:
    staff = owner.staff or town.first_on_roster(owner.unit, owner.role)
    return staff or f"{_NOBODY}{owner.role}"


def _superior(part: Part, case: Case, rules: Rules, town: Town) -> str:
    """Return the arbiter, the department's head, or the supervisor at a rung's level."""
    if part.arbiter is not None:
        return _who(part.arbiter, town)
    if part.level is None:
        staff = town.first_in_department(part.department, rules.heads)
        return staff or f"{_NOBODY}{SUPERIOR}/{part.department}"
    unit = _unit(case, part.level, town)
    roles = (role for role in rules.supervisors if rules.role_levels[role] == part.level)
    found = (town.first_on_roster(unit, role) for role in roles)
    return next((one for one in found if one), f"{_NOBODY}{SUPERIOR}/{part.level}")


def _unit(case: Case, level: str | None, town: Town) -> str | None:
    """Return the unit of a level that the case lies in."""
    return town.at_level(case.grid or case.village or town.root, level)


def role_in(town: Town, department: str, staff: str, roles: Collection[str]) -> str | None:
    """Return the role that somebody holds in a department; None where he holds none of these."""
    serving = town.departments.get(department, {})
    return next((role for role in sorted(roles) if staff in serving.get(role, ())), None)


def place_of(person: str, called: Iterable[Owner], town: Town) -> Owner | None:
    """Return the place in which somebody is called to answer; None where he is only told."""
    return next((owner for owner in called if _who(owner, town) == person), None)


def is_staff(person: str) -> bool:
    """Tell whether a recipient is somebody on the staff."""
    return person != REPORTER and not person.startswith(_NOBODY)
