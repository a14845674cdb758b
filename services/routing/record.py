"""Record decisions together with the facts they announce, in the caller's transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from contracts.events import Event, effect_id, subject_key
from contracts.facts import ROUTING_FACTS
from contracts.topics import INTAKE_EVENTS, ROUTING_EVENTS
from services.chassis import outbox
from services.chassis.kafka import partition_of
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.routing.domain.values import Decision, Fact, NewTimer
from services.routing.domain.whistle import Settled
from services.routing.store import cases, facts, handing, slots, timers, upward
from services.routing.store.facts import KeptFact
from services.routing.tasks import SOURCE, tell


@dataclass(frozen=True, slots=True)
class Announced:
    """Facts of one case with one cause, at one moment of the tenant's time.

    `last_seq` is the sequence of the last of them; `more` is added to the first one's data.
    """

    tenant_id: str
    case_id: UUID
    cause: UUID
    at: datetime
    facts: Sequence[Fact]
    last_seq: int
    more: Mapping[str, object] = field(default_factory=dict)
    traceparent: str = ""

    def telling(self, facts: Sequence[Fact], last_seq: int) -> "Announced":
        """Return the same with other facts."""
        return replace(self, facts=facts, last_seq=last_seq)

    def events(self) -> Iterable[Event]:
        first = self.last_seq - len(self.facts) + 1
        for n, fact in enumerate(self.facts):
            data = {**fact.data, **self.more} if n == 0 else fact.data
            yield Event(
                event_id=effect_id(self.cause, f"{fact.type}#{n}"),
                tenant_id=self.tenant_id,
                subject_id=self.case_id,
                occurred_at=self.at,
                source=SOURCE,
                data=ROUTING_FACTS[fact.type].model_validate(data),
                seq=first + n,
                traceparent=self.traceparent,
            )


def first_asked_number(number: str) -> str:
    """Number the sheet of who was asked first (首问负责单): there is one at most."""
    return f"{number}-S"


def sheet_number(number: str) -> str:
    """Number a case's hand-over sheet: there is one at most."""
    return f"{number}-Y"


def numbered(decision: Decision, number: str) -> Sequence[Fact]:
    """Give the facts of a sheet its number; the case has the other."""
    if decision.sheet is None:
        return decision.facts
    more = {"number": sheet_number(number)}
    return [
        replace(fact, data={**fact.data, **more}) if fact.type.startswith("handover.") else fact
        for fact in decision.facts
    ]


async def announce(conn: Connection, announced: Iterable[Announced]) -> None:
    """Keep facts in the cases' histories, put them into the outbox, and tell the departments."""
    events = [event for one in announced for event in one.events()]
    bodies = [event.body for event in events]
    kept = [
        KeptFact(
            event.tenant_id,
            event.subject_id,
            event.seq,
            event.event_id,
            event.data.TYPE,
            event.occurred_at,
            body.decode(),
        )
        for event, body in zip(events, bodies, strict=True)
    ]
    await facts.put_facts(conn, kept)
    keys = [event.key for event in events]
    rows = [
        Outgoing(ROUTING_EVENTS.name, key, event.headers, body, lane_key=key)
        for event, key, body in zip(events, keys, bodies, strict=True)
    ]
    await outbox.write(conn, rows)
    await tell(conn, events)


async def arm(conn: Connection, given: Iterable[tuple[str, UUID, Sequence[NewTimer]]]) -> None:
    """Arm the timers of cases, each behind the partition on which its case is handed in."""
    rows = []
    for tenant_id, case_id, new in given:
        key = subject_key(tenant_id, case_id)
        partition = partition_of(key, INTAKE_EVENTS.partitions)
        rows += [(tenant_id, case_id, timer, partition) for timer in new]
    await timers.arm(conn, rows)


async def record_settled(conn: Connection, one: Announced, settled: Settled) -> None:
    """Record what became of a whistle on a case whose lock the caller holds."""
    key = (one.tenant_id, one.case_id)
    await cases.update(conn, one.tenant_id, settled.case)
    await timers.void(conn, *key, settled.ended)
    await slots.put(conn, [(key, slot) for slot in settled.slots])
    await upward.put(conn, [(key, settled.upward)] if settled.upward else [])
    await arm(conn, [(*key, settled.timers)])
    await announce(conn, [one])


async def record_act(conn: Connection, one: Announced, decision: Decision) -> None:
    """Record what a person did to a case whose lock the caller holds."""
    key = (one.tenant_id, one.case_id)
    await cases.update(conn, one.tenant_id, decision.case)
    await timers.void(conn, *key, decision.ended)
    await arm(conn, [(*key, decision.timers)])
    if decision.transfer is not None:
        await handing.put_transfer(conn, *key, decision.transfer)
    if decision.sheet is not None:
        await handing.put_sheets(conn, [(*key, decision.sheet)])
    await announce(conn, [one])
