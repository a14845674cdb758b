"""Who is told what. A person is told once for one cause, whatever roles he holds."""

from dataclasses import dataclass

from services.notify.domain.town import Rules, Town

HANDLER = "handler"
REPORTER = "reporter"
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
class Telling:
    """One message to be sent: by which rule, to whom, by which channels in which order."""

    rule: str
    recipient: str
    channels: tuple[str, ...]


def tellings(notice: str, case: Case, rules: Rules, town: Town) -> tuple[Telling, ...]:
    """Tell who gets a message; of several rules that reach one person, the first holds."""
    found: dict[str, Telling] = {}
    for rule in rules.told:
        if rule.notice != notice:
            continue
        for to in rule.to:
            person = recipient(to, case, rules, town)
            found.setdefault(person, Telling(rule.id, person, rules.channels(rule)))
    return tuple(found.values())


def recipient(to: str, case: Case, rules: Rules, town: Town) -> str:
    """Resolve whom a rule names: a staff id, or `reporter`.

    A role means the first on its roster alone, also where several share rank 1 (the lowest id):
    a message to everybody is nobody's task. A role without anybody stays as `role:…`: it cannot
    be reached, and that shall be seen.
    """
    if to == REPORTER:
        return REPORTER
    if to == HANDLER:
        owner = case.owner
        staff = owner.staff or town.first_on_roster(owner.unit, owner.role)
        return staff or f"{_NOBODY}{owner.role}"
    lowest = case.grid or case.village or town.root
    unit = town.at_level(lowest, rules.role_levels.get(to))
    return town.first_on_roster(unit, to) or f"{_NOBODY}{to}"


def is_staff(person: str) -> bool:
    """Tell whether a recipient is somebody on the staff."""
    return person != REPORTER and not person.startswith(_NOBODY)
