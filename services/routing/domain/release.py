"""Departments are let go from a case; and for which of them settling it must wait."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import datetime

from services.routing.domain.rules import Rules, WhistleRules
from services.routing.domain.slot import Slot, about, clocks
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Case, Fact, Owner, Refused
from services.routing.domain.whistle import Settled, blower_of, settled


def let_go(
    case: Case,
    slots: Sequence[Slot],
    named: Iterable[Slot],
    actor: Actor,
    now: datetime,
    setting: Setting,
) -> Settled | Refused:
    """Release departments that have come, and withdraw the call of those that have not.

    `slots` are all of the case. Where the lead had yet to come, the next one awaited leads.
    """
    blower = blower_of(case, actor, setting)
    if isinstance(blower, Refused):
        return blower
    going = [slot for slot in named if slot.pending]
    absent = tuple(slot.department for slot in going if not slot.came)
    if absent and not setting.rules.whistle.withdrawable:
        return Refused("not_withdrawable", absent)
    done = release(case, going, blower, now, setting.rules, human=True)
    return _inherited(done, going, [slot for slot in slots if slot not in going])


def _inherited(done: Settled, gone: Iterable[Slot], left: Iterable[Slot]) -> Settled:
    """Hand the lead over from one who will not come; one who has refused leads last of all."""
    led = next((slot for slot in gone if slot.lead and not slot.came), None)
    awaited = sorted((s for s in left if s.pending and not s.came), key=lambda s: s.undecided)
    if led is None or not awaited:
        return done
    leads = awaited[0]
    facts = tuple(
        replace(fact, data={**fact.data, "leads": leads.department})
        if fact.data["department"] == led.department
        else fact
        for fact in done.facts
    )
    return replace(done, slots=(*done.slots, replace(leads, lead=True)), facts=facts)


def release(
    case: Case,
    slots: Iterable[Slot],
    by: Owner,
    now: datetime,
    rules: Rules,
    *,
    human: bool = False,
) -> Settled:
    """Let departments go: released where they came, withdrawn where they did not."""
    gone, facts, ended = [], [], frozenset[str]()
    for slot in slots:
        if slot.came:
            gone.append(replace(slot, released_at=now))
        else:
            gone.append(replace(slot, outcome="withdrawn"))
        name = "whistle.released.v1" if slot.came else "whistle.withdrawn.v1"
        facts.append(Fact(name, {**about(slot), "by": asdict(by)}))
        ended |= clocks(slot, rules)
    return settled(case, gone, facts, ended=ended, human=human and bool(facts))


def holding(slots: Iterable[Slot], rules: WhistleRules) -> tuple[str, ...]:
    """Return the departments for which settling the case must wait.

    A refusal that nobody has ruled on yet holds it like a department that has yet to come. Of a
    whistle that is not over, who came and was let go again has come nevertheless.
    """
    every = list(slots)
    pending = [slot for slot in every if slot.pending]
    awaited = tuple(slot.department for slot in pending if not slot.came)
    match rules.close_gate:
        case "all":
            return awaited
        case "quorum":
            current = {slot.whistle_id for slot in pending}
            came = sum(slot.came and slot.whistle_id in current for slot in every)
            return awaited if came < min(rules.quorum, came + len(awaited)) else ()
        case _:
            return tuple(slot.department for slot in pending if not slot.came and slot.lead)
