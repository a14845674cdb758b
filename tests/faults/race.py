"""Report-ins around the deadline: the moment of handing in decides, however late it is read.

Routing's own handlers, doors and clockwork on a real PostgreSQL, in real time; the broker is played
by partitions that stamp a record when it is appended and read it after a delay drawn from a seed.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import asyncpg

from contracts.events import Event
from contracts.facts import (
    Actor,
    CaseStepRequestedV1,
    MessageRepliedV1,
    WhistleCorrectedV1,
    WhistleMissedV1,
    WhistleReportedInV1,
)
from contracts.topics import INTAKE_EVENTS
from deploy.local.migrate import migrate
from services.chassis import inbox
from services.chassis.inbox import Record
from tests import factories, servers
from tests.component.routing.desk import Desk, open_desk, town_lines
from tests.faults.check import Verdict, show

DEPARTMENTS = ("police", "justice", "court", "labour_arbitration", "legal_aid")
_CLASSES = ("urgent", "general", "complex")
_OPENED_AT_ONCE = 100
# Stamps have milliseconds, as Kafka's: a record may be that much younger than its stamp.
_MARGIN_S = 0.005
_REST_S = 30.0
_SLOW = 0.2  # of the readings; behind quick ones, misses come before who is late

Slot = tuple[UUID, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many report-ins, how near to their deadlines, and how late they are read."""

    report_ins: int = 10_000
    seed: int = 1
    within_s: int = 20
    around_s: float = 0.05
    delay_s: float = 1.0


@dataclass(frozen=True, order=True, slots=True)
class HandingIn:
    """A report-in that is to be handed in at a moment."""

    at: datetime
    whistle_id: UUID
    department: str
    case_id: UUID


class Broker:
    """Partitions that are read in order, each by a reader that takes its time."""

    def __init__(self, desk: Desk, chance: random.Random, delay_s: float) -> None:
        self._desk, self._chance, self._delay_s = desk, chance, delay_s
        self._queues: dict[tuple[str, int], asyncio.Queue[Record]] = {}
        self._readers: list[asyncio.Task[None]] = []
        self.stamps: dict[Slot, datetime] = {}

    def append(self, due: HandingIn, tasks: asyncio.TaskGroup) -> None:
        """Stamp and keep a report-in, by either way."""
        now = datetime.now(UTC)
        stamp = now.replace(microsecond=now.microsecond // 1_000 * 1_000)
        self.stamps[due.whistle_id, due.department] = stamp
        requested = self._chance.random() < 0.5
        event = self._event(due, requested=requested)
        record = (self._desk.record if requested else self._desk.reply)(event, stamp)
        place = (record.topic, record.partition)
        if place not in self._queues:
            self._queues[place] = asyncio.Queue()
            self._readers.append(tasks.create_task(self._read(self._queues[place])))
        self._queues[place].put_nowait(record)

    def stop(self) -> None:
        for reader in self._readers:
            reader.cancel()

    async def _read(self, queue: asyncio.Queue[Record]) -> None:
        """Read what lies on a partition, until cancelled."""
        while True:
            records = [await queue.get()]
            if self._chance.random() < _SLOW:
                await asyncio.sleep(self._chance.uniform(0, self._delay_s))
            with suppress(asyncio.QueueEmpty):
                while True:
                    records.append(queue.get_nowait())
            requested = records[0].topic == INTAKE_EVENTS.name
            hear = self._desk.hear if requested else self._desk.hear_replies
            while await self._processed(records[-1]) <= records[-1].offset:
                await hear(*records)  # what was given back comes again

    async def _processed(self, record: Record) -> int:
        async with self._desk.pool.acquire() as conn:
            return (await inbox.processed(conn, record.topic)).get(record.partition, 0)

    def _event(self, due: HandingIn, *, requested: bool) -> Event:
        who = Actor(staff="o1", role="department_officer")
        part = {"whistle_id": due.whistle_id, "department": due.department, "means": "app_ack"}
        return Event(
            event_id=uuid4(),
            tenant_id=self._desk.tenant,
            subject_id=due.case_id,
            occurred_at=due.at,
            source="/race",
            data=CaseStepRequestedV1(front_end="software", act="report_in", by=who, **part)
            if requested
            else MessageRepliedV1(channel="sms", by=who, **part),
        )


async def race(desk: Desk, plan: Plan) -> Verdict:
    """Blow whistles with a short clock; hand each report-in in at its deadline, more or less."""
    chance = random.Random(plan.seed)
    await _short_clock(desk, plan.within_s)
    cases = await _open(desk, plan.report_ins // len(DEPARTMENTS))
    broker, waiting = Broker(desk, chance, plan.delay_s), list[HandingIn]()
    dues: dict[Slot, datetime] = {}
    stop = asyncio.Event()
    more = {"timer_wait_s": 0.01, "timer_margin_s": _MARGIN_S}
    clockwork = replace(desk, settings=desk.settings.model_copy(update=more)).clockwork()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(clockwork.run(stop))
        handing = tasks.create_task(_hand_in(broker, waiting, plan.report_ins, tasks))
        for case_id, seq in cases:
            for one in await _blow(desk, case_id, seq):
                dues[one.whistle_id, one.department] = one.at
                moved = timedelta(seconds=chance.uniform(-plan.around_s, plan.around_s))
                heapq.heappush(waiting, replace(one, at=one.at + moved))
        await handing
        await _rest(desk)
        broker.stop()
        stop.set()
    return await _verdict(desk, broker.stamps, dues, plan)


async def _short_clock(desk: Desk, within_s: int) -> None:
    (line,) = [one for one in town_lines() if one["kind"] == "profile"]
    body = deepcopy(line["body"])
    clock = {"within": f"PT{within_s}S", "clock": "calendar", "counts_from": "blown"}
    body["body"]["whistle"]["report_in"] = dict.fromkeys(_CLASSES, clock)
    second = {"kind": "profile", "id": "2", "body": {**body, "version": 2}}
    await desk.town(second, change_set="profile-2")


async def _open(desk: Desk, count: int) -> list[tuple[UUID, int]]:
    """Open urgent cases; return each with its `seq`."""
    for first in range(0, count, _OPENED_AT_ONCE):
        events = [
            desk.event(f"k{n}", location={"grid": "g01"}, case_class="urgent")
            for n in range(first, min(count, first + _OPENED_AT_ONCE))
        ]
        now = datetime.now(UTC)
        await desk.hear(*[desk.record(event, now) for event in events])
    return [(row["case_id"], row["seq"]) for row in await desk.rows("cases")]


async def _blow(desk: Desk, case_id: UUID, seq: int) -> Iterator[HandingIn]:
    body = {"departments": DEPARTMENTS, "reason": "三次调解未果", "expected_seq": seq}
    by = desk.headers("center_clerk", "town", "s-cc-01")
    answer = await desk.http.post(f"/v1/cases/{case_id}/whistles", json=body, headers=by)
    while answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE:  # its readers hold every connection
        answer = await desk.http.post(f"/v1/cases/{case_id}/whistles", json=body, headers=by)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    return (
        HandingIn(
            datetime.fromisoformat(one["due_at"]),
            UUID(told["whistle_id"]),
            one["department"],
            case_id,
        )
        for one in told["slots"]
    )


async def _hand_in(
    broker: Broker, heap: list[HandingIn], count: int, tasks: asyncio.TaskGroup
) -> None:
    """Append each report-in at its moment."""
    while len(broker.stamps) < count:
        now = datetime.now(UTC)
        while heap and heap[0].at <= now:
            broker.append(heapq.heappop(heap), tasks)
        await asyncio.sleep(0.001)


async def _rest(desk: Desk) -> None:
    """Wait until everybody who reported in has been heard."""
    query = "SELECT count(*) FROM slot WHERE tenant_id = $1 AND reported_in_at IS NULL"
    async with asyncio.timeout(_REST_S):
        while await desk.pool.fetchval(query, desk.tenant):
            await asyncio.sleep(0.1)


async def _verdict(
    desk: Desk, stamps: dict[Slot, datetime], dues: dict[Slot, datetime], plan: Plan
) -> Verdict:
    verdict, around = Verdict(), timedelta(seconds=plan.around_s)
    rows = {(row["whistle_id"], row["department"]): row for row in await desk.rows("slot")}
    told: dict[str, Counter[Slot]] = {
        "came": Counter(),
        "missed": Counter(),
        "corrected": Counter(),
    }
    early = 0
    for event in await desk.announced():
        match event.data:
            case WhistleReportedInV1(whistle_id=id_, department=department):
                told["came"][id_, department] += 1
            case WhistleCorrectedV1(whistle_id=id_, department=department):
                told["corrected"][id_, department] += 1
            case WhistleMissedV1(whistle_id=id_, department=department):
                told["missed"][id_, department] += 1
                early += event.occurred_at < dues[id_, department]
            case _:
                pass
    in_time = {slot for slot, at in stamps.items() if at <= dues[slot]}
    late = stamps.keys() - in_time
    wrong = [
        slot
        for slot, row in rows.items()
        if (row["outcome"], row["reported_in_at"])
        != ("reported" if slot in in_time else "reported_late", stamps.get(slot))
    ]
    unheard = [slot for slot in stamps if told["came"][slot] + told["corrected"][slot] != 1]
    verdict.counts |= {
        "report-ins": len(stamps),
        "handed in within the span": sum(abs(at - dues[s]) <= around for s, at in stamps.items()),
        "in time": len(in_time),
        "late": len(late),
        "missed first, then late": len(late & told["missed"].keys()),
        "in time, yet told as missed": len(in_time & told["missed"].keys()),
        "corrected": len(told["corrected"]),
        "missed before the deadline": early,
        "other outcome than by handing in": len(wrong),
        "not told exactly once": len(unheard),
    }
    verdict.expect(len(stamps) == len(rows) == len(dues), "slots and report-ins differ in number")
    verdict.expect(not wrong, f"{len(wrong)} outcomes are not by the moment of handing in")
    verdict.expect(not unheard, f"{len(unheard)} report-ins were not told exactly once")
    verdict.expect(not in_time & told["missed"].keys(), "some came in time and were told as missed")
    verdict.expect(all(n == 1 for n in told["missed"].values()), "a miss was told twice")
    verdict.expect(not early, f"{early} were missed before their deadline")
    verdict.expect(bool(in_time and late), "everybody was in time, or nobody: it was no race")
    return verdict


async def run(plan: Plan, place: Path) -> Verdict:
    """Run the plan on a PostgreSQL of its own and count."""
    secrets = factories.secrets(place / "keys")
    async with servers.postgres(place) as server:
        admin = await asyncpg.connect(server.dsn("postgres"))
        await admin.execute("CREATE DATABASE race")
        await admin.close()
        await migrate("routing", server.dsn("race"))
        async with open_desk(server.dsn("race"), secrets) as desk:
            await desk.town()
            verdict = await race(desk, plan)
    show(verdict, seed=plan.seed, **{"seconds until read, at most": plan.delay_s})
    return verdict


def main(plan: Plan) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(plan, Path(place))).wrong else 0
