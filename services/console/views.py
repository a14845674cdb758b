"""The board in words: what a town's profile and registry call what the projection holds by id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import Protocol

from markupsafe import Markup

from contracts.profile import Deadline, Profile
from services.console.domain.acts import Act, ActKind
from services.console.domain.board import (
    CLASS_CLOCK,
    FIRST_ACTION_CLOCK,
    STEP_CLOCK,
    BoardRow,
)
from services.console.domain.slots import Lamp, Slot
from services.console.domain.spoken import HOUR_S, MINUTE_S
from services.console.domain.words import Words
from services.console.store.look import StateCount, ToldAct
from services.console.towns import Town

_DOT = " · "
_LADDER: frozenset[ActKind] = frozenset(("not_come", "escalated", "called_upward"))


class Named(Protocol):
    @property
    def zh(self) -> str: ...
    @property
    def en(self) -> str | None: ...


def name(named: Named | None, fallback: str, words: Words) -> str:
    """Say a name in the reader's language; where English is missing, the Chinese stands for it."""
    if named is None:
        return fallback
    return (named.en or named.zh) if words.language == "en" else named.zh


@dataclass(frozen=True, slots=True)
class LampView:
    """One department called to a case. A due time stands only while it has not come."""

    department: str
    lead: bool
    lamp: Lamp
    word: str
    due_at: datetime | None
    came_at: datetime | None
    untold: bool
    provisional: bool

    @property
    def digest(self) -> str:
        return _digest(self)


@dataclass(frozen=True, slots=True)
class RowView:
    """One line of the list. `allowed` says how much working time a clock counts."""

    number: str
    category: str
    kind: str
    place: str
    grid: str | None
    within: str
    role: str
    unit: str
    state: str
    accepted: bool
    received_at: datetime
    clock: str
    due_at: datetime | None
    soon_at: datetime | None
    provisional: bool
    allowed: str
    lamps: tuple[LampView, ...]

    @property
    def digest(self) -> str:
        """Tells whether the line says something else than before; time alone changes nothing."""
        return _digest(self)


def _digest(view: object) -> str:
    return blake2s(repr(view).encode(), digest_size=5).hexdigest()


class Speaker:
    """Says in one language what one town calls things."""

    def __init__(self, town: Town, words: Words) -> None:
        self.town, self.words = town, words

    def town_name(self, tenant_id: str) -> str:
        return name(self.town.tenant, tenant_id, self.words)

    def unit(self, unit_id: str | None) -> str:
        return self.town.units.get(unit_id, unit_id) if unit_id else ""

    def department(self, profile: Profile | None, id_: str) -> str:
        """Say a department's name: as the registry has it now, in English as the profile does."""
        named = profile.departments_by_id.get(id_) if profile else None
        zh = self.town.departments.get(id_) or (named.zh if named else id_)
        return (named.en or zh) if named and self.words.language == "en" else zh

    def role(self, profile: Profile | None, role_id: str) -> str:
        words = self.words
        known = {
            "reporter": words.reporter, "system": words.system, "front_end": words.software,
        }  # fmt: skip
        named = profile.roles_by_id.get(role_id) if profile else None
        return name(named, known.get(role_id, role_id), self.words)

    def state(self, profile: Profile | None, flow_id: str, state: str) -> str:
        flow = profile.flows_by_id.get(flow_id) if profile else None
        return name(flow.states.get(state) if flow else None, state, self.words)

    def category(self, profile: Profile | None, category: str) -> str:
        named = profile.categories_by_id.get(category) if profile else None
        return name(named, category, self.words)

    def row(self, row: BoardRow) -> RowView:
        profile = self.town.profile(row.profile_version)
        case_class = profile.classes_by_id.get(row.case_class) if profile else None
        severity = profile.severities_by_id.get(row.severity) if profile else None
        place, within = self._place(row)
        return RowView(
            number=row.number,
            category=self.category(profile, row.category),
            kind=_DOT.join(
                (
                    name(case_class, row.case_class, self.words),
                    name(severity, row.severity, self.words),
                )
            ),
            place=place,
            grid=row.grid,
            within=within,
            role=self.role(profile, row.owner_role),
            unit=self.unit(row.owner_unit),
            state=self.state(profile, row.flow, row.state),
            accepted=row.accepted,
            received_at=row.received_at,
            clock=row.clock or "",
            due_at=row.due_at,
            soon_at=row.soon_at,
            provisional=row.provisional,
            allowed=self._allowed(profile, row),
            lamps=tuple(self._lamp(profile, slot) for slot in row.slots),
        )

    def _lamp(self, profile: Profile | None, slot: Slot) -> LampView:
        return LampView(
            department=self.department(profile, slot.department),
            lead=slot.lead,
            lamp=slot.lamp,
            word=getattr(self.words, f"lamp_{slot.lamp}"),
            due_at=slot.due_at if slot.awaited else None,
            came_at=slot.came_at,
            untold=slot.awaited and slot.due_at is None,
            provisional=slot.awaited and slot.provisional,
        )

    def _place(self, row: BoardRow) -> tuple[str, str]:
        if row.grid is not None:
            return self.unit(row.grid), self.unit(row.village)
        if row.village is not None:
            return self.unit(row.village), self.words.no_grid
        return self.words.nowhere, ""

    def _allowed(self, profile: Profile | None, row: BoardRow) -> str:
        """Say how much working time there is, where the clock counts it."""
        if row.clock != "duty" or profile is None:
            return ""
        rule = _rule(profile, row)
        seconds = rule.within.seconds if rule and rule.within.has_clock_time_only else 0
        if seconds and seconds % HOUR_S == 0:
            return self.words.duty_hours.format(n=seconds // HOUR_S)
        return self.words.duty_minutes.format(n=seconds // MINUTE_S) if seconds else ""

    def act(self, told: ToldAct) -> Markup:
        """Say one act in a sentence; each name is kept apart from the text around it."""
        act, profile = told.act, self.town.profile(told.profile_version)
        words = self.words
        place = self.unit(told.grid or told.village) or words.somebody
        sentence = Markup(getattr(words, f"act_{act.kind}"))  # noqa: S704 - a text of our own
        said = sentence.format(
            who=_apart(self._who(act, profile)),
            place=_apart(place),
            owner=_apart(self.unit(told.owner_unit)),
            number=Markup('<b class="number">{}</b>').format(told.number),
            category=_apart(self.category(profile, told.category)),
            step=_apart(self._step(profile, told.flow, act.step)),
            departments=self._listed(profile, act.departments),
            whistle=Markup('<b class="whistle">{}</b>').format(words.whistle),
        )
        return Markup(words.between).join([said, *self._tail(told, profile)])  # noqa: S704 - ours

    def _tail(self, told: ToldAct, profile: Profile | None) -> Iterable[Markup]:
        act, words = told.act, self.words
        if act.satisfied is not None:
            yield Markup.escape(words.satisfied if act.satisfied else words.unsatisfied)
        if act.ended is not None:
            yield _apart(self.state(profile, told.flow, act.ended))
        if act.to_level is not None and act.kind in _LADDER:
            level = profile.levels_by_id.get(act.to_level) if profile else None
            passed = Markup(words.to_level)  # noqa: S704 - a text of our own
            yield passed.format(level=_apart(name(level, act.to_level, words)))
        here = told.grid or told.village if act.kind == "opened" else act.unit
        if act.to_unit is not None and act.to_unit != here:
            handed = Markup(words.to_unit)  # noqa: S704 - a text of our own
            yield handed.format(unit=_apart(self.unit(act.to_unit)))

    def _who(self, act: Act, profile: Profile | None) -> str:
        if act.unit is not None and act.unit not in self.town.units:
            return self.department(profile, act.unit)
        if act.unit is not None:
            return self.unit(act.unit)
        return self.role(profile, act.role) if act.role else self.words.somebody

    def _listed(self, profile: Profile | None, departments: Iterable[str]) -> Markup:
        named = (_apart(self.department(profile, one)) for one in departments)
        return Markup(self.words.listed).join(named)  # noqa: S704 - a text of our own

    def _step(self, profile: Profile | None, flow_id: str, step_id: str | None) -> str:
        flow = profile.flows_by_id.get(flow_id) if profile else None
        return name(
            flow.steps_by_id.get(step_id or "") if flow else None, step_id or "", self.words
        )

    def counts(self, states: Sequence[StateCount]) -> list[tuple[str, int]]:
        """Count by the state's words, in the order in which the flows go through them."""
        counted: dict[str, int] = {}
        places: dict[str, int] = {}
        for one in states:
            profile = self.town.profile(one.profile_version)
            word = self.state(profile, one.flow, one.state)
            flow = profile.flows_by_id.get(one.flow) if profile else None
            order = flow.state_ids if flow else ()
            place = order.index(one.state) if one.state in order else len(order)
            counted[word] = counted.get(word, 0) + one.open
            places[word] = min(place, places.get(word, place))
        return sorted(counted.items(), key=lambda item: (places[item[0]], item[0]))


def _apart(text: str) -> Markup:
    """Keep a name's direction of writing to itself."""
    return Markup("<bdi>{}</bdi>").format(text)


def _rule(profile: Profile, row: BoardRow) -> Deadline | None:
    """Find the deadline whose clock it is."""
    case_class = profile.classes_by_id.get(row.case_class)
    if row.deadline == CLASS_CLOCK:
        category = profile.categories_by_id.get(row.category)
        own = category.deadline if category else None
        return own or (case_class.deadline if case_class else None)
    if row.deadline == FIRST_ACTION_CLOCK:
        return case_class.first_action if case_class else None
    flow = profile.flows_by_id.get(row.flow)
    step = flow.steps_by_id.get((row.deadline or "").removeprefix(STEP_CLOCK)) if flow else None
    return step.deadline if step else None
