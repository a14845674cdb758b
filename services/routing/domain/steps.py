"""The steps of a flow: who may take one, and what follows from it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from services.routing.domain.deadlines import start_clocks
from services.routing.domain.owners import (
    barred_from,
    main_steps,
    owner_after,
    skipped_rung,
    system_owner,
)
from services.routing.domain.rules import DeadlineRule, Flow, Step
from services.routing.domain.town import Setting
from services.routing.domain.values import (
    ANSWER,
    CLASS_DEADLINE,
    FIRST_ACTION,
    HAND_OVER,
    REPORTER,
    SYSTEM,
    Act,
    Actor,
    Case,
    Decision,
    Fact,
    Owner,
    Refused,
    misread,
)

_SYSTEM_STEPS_MAX = 5


@dataclass(frozen=True, slots=True)
class _Move:
    """A step being taken: by whom, in which role, from which case, and whether it is the first."""

    case: Case
    flow: Flow
    step: Step
    by: Owner
    given: Mapping[str, object]

    @property
    def first(self) -> bool:
        """Whether it is the first person's step, which accepts the case."""
        fresh = not self.case.accepted and self.case.state == self.flow.start
        return fresh and self.step.means != "cancel"

    @property
    def actor(self) -> Mapping[str, object]:
        return asdict(self.by)


def allowed_steps(case: Case, actor: Actor, setting: Setting) -> tuple[str, ...]:
    """Return the steps that this person may take now."""
    flow = setting.rules.flows[case.flow]
    steps = flow.onward(case.state)
    return tuple(s.id for s in steps if isinstance(_mover(case, s, actor, setting), Owner))


def take_step(
    case: Case, act: Act, now: datetime, setting: Setting, awaited: tuple[str, ...] = ()
) -> Decision | Refused:
    """Take a step, or tell why not; nothing is settled while departments are `awaited`."""
    flow = setting.rules.flows[case.flow]
    step = flow.step(act.step_id)
    if step is None:
        return Refused("unknown_step", tuple(one.id for one in flow.steps))
    unseen = misread(case, act.expected_seq)
    if unseen is not None:
        return unseen
    if case.state not in step.from_states:
        return Refused("step_not_allowed", allowed_steps(case, act.actor, setting))
    mover = _mover(case, step, act.actor, setting)
    if isinstance(mover, Refused):
        return mover
    return _hindrance(step, act, awaited) or _taken(
        _Move(case, flow, step, mover, act.given), now, setting
    )


def _hindrance(step: Step, act: Act, awaited: tuple[str, ...]) -> Refused | None:
    """Tell what a step still waits for."""
    if step.means == "resolve" and awaited:
        return Refused("whistle_open", awaited)
    missing = tuple(name for name in step.needs if not _handed_in(act.given, name))
    return Refused("needs_missing", missing) if missing else None


def _handed_in(given: Mapping[str, object], name: str) -> bool:
    value = given.get(name)
    return isinstance(value, bool) if name == "satisfied" else bool(value)


def _mover(case: Case, step: Step, actor: Actor, setting: Setting) -> Owner | Refused:
    """Return as whom the actor may take the step: nobody takes a case past a rung."""
    mover = _as_whom(case, step, actor, setting)
    skipped = skipped_rung(case, step, setting)
    return Refused("rung_skipped", (skipped,)) if skipped and isinstance(mover, Owner) else mover


def _as_whom(case: Case, step: Step, actor: Actor, setting: Setting) -> Owner | Refused:
    """Return the role, unit and person as which the actor may take the step.

    A role counts only at its own unit: a worker here who is a cadre elsewhere is no cadre here.
    But whoever has the case may do in his own place what his role may do.
    """
    if actor.reporter:
        him = Owner(case.owner.unit, REPORTER, REPORTER)
        return him if step.by_reporter else Refused("role_not_allowed", step.roles)
    barred = barred_from(step, case, setting.rules.flows[case.flow])
    if actor.staff in barred:
        return Refused("same_person", tuple(sorted(barred[actor.staff])))
    mine = next((one for own in (case.owner, *case.joint) if (one := own.held_by(actor))), None)
    if mine is not None and (step.by_handler or _may_as_owner(case, step, mine, actor, setting)):
        return mine
    held = [role for role in step.roles if role in actor.roles]
    if not held:
        by_handler_alone = step.by_handler and not step.roles
        return Refused("not_the_handler" if by_handler_alone else "role_not_allowed", step.roles)
    asked = [(role, setting.unit_for(role, case.grid, case.village)) for role in held]
    for role, unit in (*asked, *_asked_first(case, step, actor, setting)):
        if unit is not None and unit in actor.units:
            return Owner(unit, role, actor.staff)
    return Refused("unit_not_allowed", tuple(unit for _, unit in asked if unit is not None))


def _may_as_owner(case: Case, step: Step, mine: Owner, actor: Actor, setting: Setting) -> bool:
    """Tell whether a step is the owner's by his role.

    Who has the night takes on in the daytime people's stead what came in then.
    """
    flow = setting.rules.flows[case.flow]
    nights = mine.role in setting.rules.duty.hand_to and case.state == flow.start
    may = mine.role in step.roles or (nights and step in _opening(flow))
    return may and mine.role in actor.roles


def _opening(flow: Flow) -> tuple[Step, ...]:
    return main_steps(flow, flow.start)


def asks_first(case: Case, step: Step, setting: Setting) -> bool:
    """Tell whether a step makes him the owner who was asked first, wherever the case lies."""
    flow = setting.rules.flows[case.flow]
    fresh = case.state == flow.start and not case.accepted
    return fresh and step in _opening(flow) and bool(setting.rules.duty.first_asked)


def _asked_first(
    case: Case, step: Step, actor: Actor, setting: Setting
) -> list[tuple[str, str | None]]:
    """Return the places of his own in which somebody may take on what he was asked first."""
    if not asks_first(case, step, setting):
        return []
    who, town = setting.rules.duty.first_asked, setting.town
    return [
        (role, unit)
        for role in step.roles
        if role in who and role in actor.roles
        for unit in sorted(actor.units)
        if unit in town.units and town.units[unit].level == setting.rules.role_levels[role]
    ]


def _taken(move: _Move, now: datetime, setting: Setting) -> Decision:
    case, step = move.case, move.step
    after = replace(
        case,
        state=step.to,
        accepted=case.accepted or move.first,
        closed=step.to in move.flow.end,
        done=(*case.done, (step.id, move.by.staff or "")),
    )
    owner = owner_after(after, step, move.by, setting)
    after = _assigned(move, replace(after, owner=owner or case.owner), setting)
    facts = [_step_taken(move, after), *_meanings(move, after)]
    if owner is None:
        after, more = _system_steps(after, moved_up=step.means == "move_up", setting=setting)
        facts += more
    elif owner.staff != move.by.staff and not after.closed:
        facts.append(Fact("case.assigned.v1", {"owner": asdict(owner), "rule": "next_step"}))
    return _with_clocks(move, after, facts, now, setting)


def _assigned(move: _Move, after: Case, setting: Setting) -> Case:
    """Keep who was asked first and who has it jointly while it stays; a first step is an answer."""
    stays = after.owner.staff == move.case.owner.staff
    first_asked = after.first_asked if stays else None
    if move.first and after.owner.staff == move.by.staff:
        asked = move.by.role in setting.rules.duty.first_asked
        first_asked = move.by.staff if asked else None
    together = stays and move.step.means != "resolve" and not after.closed
    joint = after.joint if together else ()
    call = None if move.first or after.closed else after.call
    return replace(after, joint=joint, first_asked=first_asked, call=call)


def _step_taken(move: _Move, after: Case) -> Fact:
    more = {
        name: move.given[name] for name in ("satisfied", "proof", "sealed") if name in move.given
    }
    data = {
        "step": move.step.id,
        "from_state": move.case.state,
        "to_state": move.step.to,
        "by": move.actor,
        "owner": asdict(after.owner),
        **more,
    }
    return Fact("case.step_taken.v1", data)


def _meanings(move: _Move, after: Case) -> list[Fact]:
    """Announce what the step means, whatever the town calls it."""
    by = {"by": move.actor}
    facts = []
    if move.first:
        facts.append(Fact("case.accepted.v1", by))
    match move.step.means:
        case "resolve":
            facts.append(Fact("case.resolved.v1", by))
        case "return_visit":
            visited = {**by, "satisfied": move.given["satisfied"]}
            facts.append(Fact("case.return_visited.v1", visited))
        case "reopen":
            facts.append(Fact("case.reopened.v1", by))
        case _:
            pass
    if after.closed:
        facts.append(Fact("case.closed.v1", {**by, "state": after.state}))
    return facts


def _system_steps(case: Case, *, moved_up: bool, setting: Setting) -> tuple[Case, list[Fact]]:
    """Take the steps which the flow leaves to the system, one after the other."""
    facts: list[Fact] = []
    flow = setting.rules.flows[case.flow]
    for _ in range(_SYSTEM_STEPS_MAX):
        step = next((s for s in flow.onward(case.state) if s.by_system and s.means is None), None)
        if step is None:
            break
        closed = step.to in flow.end
        owner = case.owner if closed else system_owner(case, moved_up=moved_up, setting=setting)
        after = replace(case, state=step.to, owner=owner, closed=closed)
        by = Owner(owner.unit, SYSTEM, SYSTEM)
        facts.append(_step_taken(_Move(case, flow, step, by, {}), after))
        if closed:
            facts.append(Fact("case.closed.v1", {"by": asdict(by), "state": after.state}))
        else:
            rule = "next_rung" if moved_up else "roster"
            facts.append(Fact("case.assigned.v1", {"owner": asdict(owner), "rule": rule}))
        case = after
    return case, facts


def _with_clocks(
    move: _Move, after: Case, facts: list[Fact], now: datetime, setting: Setting
) -> Decision:
    """End the clocks that the step has met, start those that begin with it, count the facts."""
    case = move.case
    every = setting.rules.deadlines_of(case.category, case.case_class, move.flow)
    ended = frozenset(r.id for r in every if r.id in case.running and _is_met(r, move, after))
    if after.closed:
        ended |= case.running & {HAND_OVER}
    if case.call is not None and after.call is None:
        ended |= {ANSWER}
    running = case.running - ended
    started = [
        rule
        for rule in every
        if not after.closed and rule.id not in running and _begins(rule, move, after)
    ]
    clocks, timers = start_clocks(started, now, setting.rules)
    seq = case.seq + len(facts) + len(clocks)
    running |= {rule.id for rule in started}
    after = replace(after, seq=seq, human_seq=seq, running=running)
    return Decision(after, (*facts, *clocks), timers, ended)


def _is_met(rule: DeadlineRule, move: _Move, after: Case) -> bool:
    if after.closed:
        return True
    if rule.id == CLASS_DEADLINE:
        return move.step.means in ("resolve", "reopen")
    if rule.id == FIRST_ACTION:
        return move.first
    left = move.case.state in rule.states and after.state not in rule.states
    return left or rule.id == f"step.{move.step.id}"


def _begins(rule: DeadlineRule, move: _Move, after: Case) -> bool:
    """Tell which clocks begin; a case taken up again has its class's time anew."""
    if rule.id == CLASS_DEADLINE and move.step.means == "reopen":
        return True
    if rule.starts == "accepted":
        return move.first
    return rule.starts == "state" and after.state in rule.states and after.state != move.case.state
