"""A newer table of official days: clocks on duty time are reckoned anew, case by case.

Each clock keeps by which table it was reckoned, and that is all that is kept of the work: what a
dead process left undone is found again, what it did is not done twice. Until a clock's turn comes
it does not fire.
"""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

import structlog

from contracts.events import effect_id
from services.chassis.batch import is_passing
from services.chassis.clock import database_now
from services.chassis.crash import crash_point
from services.chassis.postgres import Connection, Pool
from services.routing.domain.recount import (
    Clock,
    Ending,
    What,
    recount_clock,
    recount_ended,
    recount_slot,
)
from services.routing.domain.recount_stages import recount_answer, recount_stage
from services.routing.domain.rules import Rules
from services.routing.domain.slot import Slot, department_of, rung_number, stage_of
from services.routing.domain.upward import is_upward
from services.routing.domain.values import Case, Fact, NewTimer, UpwardCall
from services.routing.domain.whistle import Settled
from services.routing.record import Announced, announce, arm
from services.routing.settings import RoutingSettings
from services.routing.store import calendars, cases, endings, slots, upward
from services.routing.store.calendars import KeptClock, Stale, Stamp, is_stale
from services.routing.store.cases import Key
from services.routing.towns import Towns

log = structlog.get_logger()

_LOOK_WAIT_S = 2.0  # between two looks for clocks of an older table

# As kept, and as the rules see it; None: nothing is to be reckoned, it goes with its deadline.
Clocks = Sequence[tuple[KeptClock, Clock | None]]


@dataclass(slots=True)
class _Case:
    """A case whose clocks are reckoned anew at a moment of its time, and what comes of it."""

    key: Key
    case: Case
    rules: Rules
    now: datetime
    version: int
    facts: list[Fact] = field(default_factory=list)
    timers: list[NewTimer] = field(default_factory=list)
    slots: dict[tuple[UUID, str], Slot] = field(default_factory=dict)
    calls: list[UpwardCall] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    stamps: list[Stamp] = field(default_factory=list)
    whats: Counter[What] = field(default_factory=Counter)

    def own(self, clocks: Clocks) -> None:
        """Reckon the case's own clocks; a warning goes with its deadline."""
        flow = self.rules.flows[self.case.flow]
        every = self.rules.deadlines_of(self.case.category, self.case.case_class, flow)
        by_id = {rule.id: rule for rule in every}
        for kept, clock in clocks:
            done = None
            if clock is not None and kept.deadline in by_id:
                rule = by_id[kept.deadline]
                done = recount_clock(self.case, rule, clock, self.now, self.rules)
            provisional = kept.provisional
            if done is not None:
                self._add(*done)
                provisional = bool(done[0].facts[0].data["provisional"])
            withdrawn = done is not None and kept.missed
            version = None if withdrawn else self.version
            self.stamps.append((self.key[0], kept.timer_id, version, provisional))

    def over(
        self, clocks: Clocks, ended: Mapping[tuple[Key, str, datetime], Ending]
    ) -> list[KeptClock]:
        """Reckon misses of departments that were done with afterwards; return all other clocks."""
        others = []
        for kept, clock in clocks:
            name = department_of(kept.deadline) or ""
            ending = ended.get((self.key, name, kept.due_at)) if kept.due_at else None
            if not kept.missed or ending is None or clock is None:
                others.append(kept)
                continue
            self._stamp(kept, recount_ended(self.case, ending, clock, self.now, self.rules))
        return others

    def called(self, there: Iterable[Slot], clocks: Sequence[KeptClock]) -> None:
        """Reckon by when departments report in; their warnings and rungs go with that."""
        for slot in there:
            mine = [one for one in clocks if department_of(one.deadline) == slot.department]
            if is_stale(slot.calendar_version, slot.due_at, self.version):
                rungs = (rung_number(one.deadline) for one in mine if not one.missed)
                rung = next((one for one in rungs if one is not None), None)
                done = recount_slot(self.case, slot, rung, self.now, self.rules)
                slot = replace(slot, calendar_version=self.version)  # noqa: PLW2901 - noted
                self.slots[slot.whistle_id, slot.department] = slot
                if done is not None:
                    self._add(*done)
                    slot = done[0].slots[0]  # noqa: PLW2901 - as it is now
            self.stamps += [
                (self.key[0], one.timer_id, self.version, slot.provisional) for one in mine
            ]

    def coming(self, there: Iterable[Slot], clocks: Clocks) -> None:
        """Reckon by when departments arrive, or are let go; their rungs go with that."""
        came = {(one.department, "arrive", one.coming_since): one for one in there}
        came |= {(one.department, "release", one.there_since): one for one in there}
        for kept, clock in clocks:
            department, stage = department_of(kept.deadline) or "", stage_of(kept.deadline)
            slot = came.get((department, stage, clock.started_at)) if clock else None
            done = None
            if slot is not None and clock is not None:
                slot = self.slots.get((slot.whistle_id, department), slot)
                mine = (
                    one.deadline for one, _ in clocks if department_of(one.deadline) == department
                )
                rung = next((n for n in map(rung_number, mine) if n is not None), None)
                done = recount_stage(self.case, slot, stage, clock, rung, self.now, self.rules)
            self._stamp(kept, done)

    def called_upward(self, there: Iterable[UpwardCall], clocks: Clocks) -> None:
        """Reckon by when the level above answers."""
        called = {one.called_at: one for one in there}
        for kept, clock in clocks:
            call = called.get(clock.started_at) if clock else None
            done = None
            if call is not None and clock is not None:
                done = recount_answer(self.case, call, clock, self.now, self.rules)
            self._stamp(kept, done)

    def _stamp(self, kept: KeptClock, done: tuple[Settled, What] | None) -> None:
        """Note a later clock as reckoned; a miss that is withdrawn is done with."""
        provisional, version = kept.provisional, self.version
        if done is not None:
            self._add(*done)
            provisional = bool(done[0].facts[0].data["provisional"])
        withdrawn = done is not None and done[1] == "withdrawn"
        self.stamps.append(
            (self.key[0], kept.timer_id, None if withdrawn else version, provisional)
        )

    def _add(self, settled: Settled, what: What) -> None:
        self.case = settled.case
        self.slots |= {(one.whistle_id, one.department): one for one in settled.slots}
        self.calls += [settled.upward] if settled.upward else []
        self.facts += settled.facts
        self.timers += settled.timers
        self.ended |= settled.ended
        self.whats[what] += 1


class Recount:
    """Reckons clocks anew until told to stop."""

    def __init__(
        self,
        settings: RoutingSettings,
        pool: Pool,
        towns: Towns,
        announced: Callable[[], None],
    ) -> None:
        self._batch_max, self._pool = settings.timer_batch_max, pool
        self._towns, self._announced = towns, announced

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            found = 0
            try:
                found = await self.round()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("recount_waited", error=repr(error))
            if not found:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), _LOOK_WAIT_S)

    async def round(self) -> int:
        """Reckon some cases' clocks anew, in one transaction; return how many cases they were."""
        async with self._pool.acquire() as conn, conn.transaction():
            found = await calendars.stale(conn, self._batch_max)
            done = await self._recount(conn, found) if found else 0
        if done:
            crash_point("after_recount")
            self._announced()
            log.info("clocks_recounted", count=done)
        return done

    async def _recount(self, conn: Connection, found: Sequence[Stale]) -> int:
        kept = await cases.get_locked(conn, {one.key for one in found})
        versions = await calendars.hold(conn, {one.tenant_id for one in found}, alone=True)
        if len(versions) < len({one.tenant_id for one in found}):
            return 0  # a table was removed just now
        known = await self._towns.known(conn, versions)
        called = await slots.of_cases(conn, kept)
        above = await upward.of_cases(conn, kept)
        clocks = await self._clocks(conn, found, versions)
        missed = {one.key for one in found if one.missed is not None}
        ended = await endings.of_misses(conn, sorted(missed))
        real = await database_now(conn)
        done = []
        for key, one in kept.items():
            rules = (await self._towns.setting(conn, key[0], one.profile_version)).rules
            now = known[key[0]].offsets.tenant_time(real)
            case = _Case(key, one.case, rules, now, versions[key[0]])
            mine = _parted(clocks[key])
            case.own(mine["own"])
            case.called(called[key], case.over(mine["report_in"], ended))
            case.coming(called[key], [*mine["arrive"], *mine["release"]])
            case.called_upward(above[key], mine["answer"])
            done.append(case)
        await _record(conn, done)
        return len(done)

    async def _clocks(
        self, conn: Connection, found: Sequence[Stale], versions: Mapping[str, int]
    ) -> Mapping[Key, Clocks]:
        """Read the clocks that an older table has reckoned, by case; and rungs, which go with them.

        A miss may come in a later round than its rung has.
        """
        every = await calendars.clocks(conn, found)
        old = [one for one in every if one.kind == "rung" or one.stale(versions[one.tenant_id])]
        unsaid = {one.key for one in old if one.started_at is None}
        started = await calendars.started(conn, sorted(unsaid))
        since = await calendars.since_missed(conn, sorted({one.key for one in old if one.missed}))
        clocks: dict[Key, list[tuple[KeptClock, Clock | None]]] = defaultdict(list)
        for one in old:
            start = one.started_at or started.get((one.key, one.deadline))
            told = since.get((one.key, one.deadline, one.due_at)) if one.due_at else None
            clock = None
            if start is not None and one.kind == "miss":
                clock = Clock(start, one.due_at, one.provisional, one.missed, tuple(told or ()))
            clocks[one.key].append((one, clock))
        return clocks


def _parted(clocks: Clocks) -> Mapping[str, Clocks]:
    """Part a case's clocks by whose they are, and what is awaited."""
    parts: dict[str, list[tuple[KeptClock, Clock | None]]] = defaultdict(list)
    for one in clocks:
        name = one[0].deadline
        whose = "answer" if is_upward(name) else "own"
        parts[stage_of(name) if department_of(name) else whose].append(one)
    return parts


async def _record(conn: Connection, done: Sequence[_Case]) -> None:
    """Record cases whose locks the caller holds; facts are told of their own cause each time."""
    await calendars.void(conn, [(one.key, name) for one in done for name in sorted(one.ended)])
    await calendars.stamp(conn, [stamp for one in done for stamp in one.stamps])
    await slots.put(conn, [(one.key, slot) for one in done for slot in one.slots.values()])
    await upward.put(conn, [(one.key, call) for one in done for call in one.calls])
    told = [one for one in done if one.facts]
    await cases.advance(conn, {one.key: one.case for one in told})
    await arm(conn, ((*one.key, one.timers) for one in told))
    await announce(
        conn,
        [
            Announced(
                *one.key,
                effect_id(one.key[1], f"calendar/{one.version}/{one.case.seq}"),
                one.now,
                one.facts,
                one.case.seq,
            )
            for one in told
        ],
    )
    whats: dict[str, Counter[What]] = defaultdict(Counter)
    for one in told:
        whats[one.key[0]] += one.whats
    await calendars.tally(
        conn,
        [(tenant, of["armed"], of["moved"], of["withdrawn"]) for tenant, of in whats.items()],
    )
