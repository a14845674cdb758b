"""Whistles while processes are killed and deadlines come: one outcome each, each rung once."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import asyncpg

from contracts.events import Event, read_event
from contracts.facts import (
    TASK_FACTS,
    CaseEscalatedV1,
    Task,
    WhistleCorrectedV1,
    WhistleMissedV1,
    WhistleReportedInV1,
)
from contracts.topics import department_topic
from deploy.cli.told import Town
from deploy.local.load import Load, Log
from deploy.local.state import StackState
from deploy.local.whole import Running
from tests.faults.calling import (
    advance,
    blow,
    come,
    crossed,
    insist,
    open_urgent,
    slots_of,
    told,
)
from tests.faults.check import Verdict, check, read_records, show, until_rest
from tests.faults.ground import bodies, ground, state_of
from tests.faults.kills import Plan, killing

TENANT = "yidukou"
DEPARTMENTS = (
    "police",
    "justice",
    "civil_affairs",
    "land",
    "social_security",
    "governance_office",
)
# After the first half hour, in which some come, and the ladder of the profile: when its rungs come.
STEPS_S = (31 * 60, 3_600, 4 * 3_600)
RUNGS_AFTER = (timedelta(0), timedelta(0), timedelta(hours=1), timedelta(hours=4))
_COMING = (0.4, 0.2, 0.2)  # of those still awaited, how many come before each step
_AT_ONCE = 8

Slot = tuple[UUID, str]

SERVICES = ("routing", "notify")
FULL = Plan(per_service=10, per_server=3, per_crash_service=6, services=SERVICES)
SHORT = Plan(
    per_service=1, per_server=1, per_crash_service=1, pause_s=(0.5, 1.0), services=SERVICES
)


@dataclass(slots=True)
class Rungs:
    """What was told of one slot, in order."""

    came: list[Event]
    missed: list[Event]
    taken: list[Event]


async def run(place: Path, cases: int, plan: Plan) -> Verdict:
    """Whistle, come, let deadlines pass, and kill meanwhile; count once all is at rest."""
    async with ground(place, tenants=(TENANT,)) as running:
        opened = await open_urgent(running, TENANT, cases, 40)
        state = state_of(running)
        beside = Load(running.url("intake"), running.secrets.api_key, bodies(running, TENANT))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            loading = tasks.create_task(beside.run(5, stop))
            dying = tasks.create_task(killing(running, plan))
            acting = tasks.create_task(_act(running, opened, random.Random(plan.seed)))
            killed = await dying
            await acting
            stop.set()
            log = await loading
        rest_s = await until_rest(state)
        verdict = await check(state, Log(opened.sent + log.sent))
        await count(verdict, state)
        verdict.expect(verdict.counts["whistles"] == cases, "not every case has its one whistle")
        deaths = {f"killed {name}": n for name, n in sorted(killed.items())}
        show(verdict, seed=plan.seed, **deaths, **{"seconds to rest": round(rest_s, 1)})
        return verdict


async def _act(running: Running, opened: Log, chance: random.Random) -> None:
    """Call one to six departments to each case; let some come before each step of the clock."""
    state = state_of(running)
    town = Town(state, TENANT)
    called = [
        (one.case_id, chance.sample(DEPARTMENTS, chance.randint(1, len(DEPARTMENTS))))
        for one in opened.accepted
        if one.case_id is not None
    ]
    await _each([partial(blow, town, case_id, named) for case_id, named in called])
    for share, seconds in zip(_COMING, STEPS_S, strict=True):
        awaited = [
            one for one in await insist(partial(slots_of, state)) if not one["reported_in_at"]
        ]
        coming = chance.sample(awaited, int(len(awaited) * share))
        await _each([partial(come, town, slot) for slot in coming])
        await insist(partial(advance, state, TENANT, seconds))


async def _each(acts: Sequence[Any]) -> None:
    """Do each, some at once, until it is done."""
    for first in range(0, len(acts), _AT_ONCE):
        await asyncio.gather(*(insist(act) for act in acts[first : first + _AT_ONCE]))


async def count(verdict: Verdict, state: StackState) -> None:
    """Count what became of each slot, by the topics and by routing's own state."""
    rows = {(row["whistle_id"], row["department"]): row for row in await slots_of(state)}
    of_slots = _of_slots(await told(state))
    faults = Counter[str]()
    for slot, row in rows.items():
        faults.update(_faults(row, of_slots[slot]))
    outcomes = Counter(row["outcome"] or "none" for row in rows.values())
    gaps, tasks = await _task_gaps(state)
    sends = await crossed(state)
    verdict.counts |= {
        "whistles": len({whistle_id for whistle_id, _ in rows}),
        "slots": len(rows),
        **{f"slots {outcome}": n for outcome, n in sorted(outcomes.items())},
        "misses told": sum(len(one.missed) for one in of_slots.values()),
        "rungs taken": sum(len(one.taken) for one in of_slots.values()),
        "records on departments' topics": tasks,
        "gaps in task_seq": gaps,
        "sends crossed by a report-in": len(sends),
    }
    for attempt_id in sends:
        print(f"  crossed: {attempt_id}")
    for what, number in sorted(faults.items()):
        verdict.expect(not number, f"{number} slots: {what}")
    verdict.expect(not outcomes["none"], f"{outcomes['none']} slots have no outcome")
    verdict.expect(not gaps, f"{gaps} gaps in task_seq")


def _of_slots(events: Sequence[Event]) -> Mapping[Slot, Rungs]:
    """Sort what was told by slot."""
    found: dict[Slot, Rungs] = defaultdict(lambda: Rungs([], [], []))
    for event in events:
        data = event.data
        match data:
            case WhistleReportedInV1() | WhistleCorrectedV1():
                found[data.whistle_id, data.department].came.append(event)
            case WhistleMissedV1():
                found[data.whistle_id, data.department].missed.append(event)
            case CaseEscalatedV1():
                found[data.whistle_id, data.department].taken.append(event)
            case _:
                pass
    return found


def _faults(row: "asyncpg.Record", one: Rungs) -> list[str]:
    """Tell what is wrong with one slot."""
    due: datetime = row["due_at"]
    came, missed = bool(one.came), bool(one.missed)
    rungs = [event.data.rung for event in one.taken if isinstance(event.data, CaseEscalatedV1)]
    wanted = {
        "missed": missed and not came,
        "reported": came and not missed,
        "reported_late": came,
        "corrected": came and missed,
    }
    late = row["reported_in_at"] is not None and row["reported_in_at"] > due
    early = any(event.occurred_at < due for event in one.missed) or any(
        event.occurred_at < due + after
        for event, after in zip(one.taken, RUNGS_AFTER, strict=False)
    )
    wrong = {
        "two outcomes told": len(one.came) > 1 or len(one.missed) > 1,
        "told otherwise than kept": not wanted.get(row["outcome"], False),
        "not by the moment of handing in": came and late != (row["outcome"] == "reported_late"),
        "rungs not once each and in order": rungs != list(range(len(rungs))),
        "rungs left out": row["outcome"] == "missed" and len(rungs) != len(RUNGS_AFTER),
        "rungs without a miss": bool(rungs) and not missed,
        "a rung after it came": came and any(e.seq > one.came[0].seq for e in one.taken),
        "before its moment": early,
    }
    return [what for what, true in wrong.items() if true]


async def _task_gaps(state: StackState) -> tuple[int, int]:
    """Count gaps in what each department is told of each case, and the records."""
    topics = tuple(department_topic(TENANT, name) for name in DEPARTMENTS)
    last: dict[tuple[str, UUID], int] = Counter()
    seen: set[UUID] = set()
    gaps = 0
    for record in await read_records(state, topics):
        event = read_event(TASK_FACTS, dict(record.headers), record.value)
        if event is None or not isinstance(event.data, Task) or event.event_id in seen:
            continue
        seen.add(event.event_id)
        place = record.topic, event.subject_id
        gaps += event.data.task_seq != last[place] + 1
        last[place] = event.data.task_seq
    return gaps, len(seen)


def main(cases: int, plan: Plan) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(Path(place), cases, plan)).wrong else 0
