"""Towns, cases told as facts, and the console's own parts on a real database."""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from contracts.events import Event, Fact, effect_id
from contracts.facts import (
    CaseAcceptedV1,
    CaseAssignedV1,
    CaseClosedV1,
    CaseDeadlineMissedV1,
    CaseDeadlineSetV1,
    CaseDeadlineWarnedV1,
    CaseEscalatedV1,
    CaseOpenedV1,
    CaseReopenedV1,
    CaseResolvedV1,
    CaseReturnVisitedV1,
    CaseStepTakenV1,
    WhistleBlownV1,
    WhistleCorrectedV1,
    WhistleMissedV1,
    WhistleRefusedV1,
    WhistleReleasedV1,
    WhistleReportedInV1,
    WhistleWithdrawnV1,
)
from contracts.topics import ROUTING_EVENTS
from services.chassis.batch import Subscription
from services.chassis.http import make_app
from services.chassis.inbox import Record
from services.chassis.postgres import Pool
from services.chassis.seal import KeyRing
from services.console.api import Hall, add_pages
from services.console.domain.words import WORDS, Language
from services.console.handlers import BoardFacts, parse
from services.console.hearing import Hearing
from services.console.live import Boards
from services.console.render import Pages
from services.console.settings import ConsoleSettings
from services.console.store import look
from services.console.store.look import ToldAct
from services.console.stream import Streams
from services.console.towns import Town, Towns
from services.console.views import Speaker
from tests import factories
from tests.factories import START, TENANT

WORKER = {"unit": "g01", "role": "grid_worker", "staff": "s-gw-01"}
CLERK = {"unit": "town", "role": "center_clerk", "staff": "s-cc-01"}
_numbers = count(1)


def _officer(department: str) -> dict[str, str]:
    return {"unit": department, "role": "department_officer", "staff": f"s-{department}"}


@dataclass
class Story:
    """One case as routing tells it: facts in order, numbered; a moment for each act."""

    tenant: str = TENANT
    at: datetime = START
    number: str = field(default_factory=lambda: f"250303-{next(_numbers):04d}")
    case_id: UUID = field(default_factory=uuid4)
    told: list[Event] = field(default_factory=list)
    heard: int = 0
    whistle_id: UUID = field(default_factory=uuid4)

    def tell(self, fact: type[Fact], **data: Any) -> "Story":
        seq = len(self.told) + 1
        self.told.append(
            Event(
                event_id=effect_id(self.case_id, str(seq)),
                tenant_id=self.tenant,
                subject_id=self.case_id,
                occurred_at=self.at,
                source="/routing",
                data=fact.model_validate(data),
                seq=seq,
            )
        )
        return self

    def after(self, **span: float) -> "Story":
        """Let time pass in the town."""
        self.at += timedelta(**span)
        return self

    def opened(self, **more: Any) -> "Story":
        given = {
            "number": self.number,
            "front_end": "demo",
            "category": "environment",
            "severity": "ordinary",
            "class": "general",
            "flow": "closed_loop",
            "profile_version": 1,
            "state": "reported",
            "grid": "g01",
            "village": "v1",
            "owner": WORKER,
            "received_at": self.at,
            **more,
        }
        self.tell(CaseOpenedV1, **given)
        return self.tell(CaseAssignedV1, owner=given["owner"], rule="roster")

    def clock(
        self, deadline: str = "class", *, warn: float | None = None, **span: float
    ) -> "Story":
        """Start a clock; without a span it counts working time."""
        data: dict[str, Any] = {"deadline": deadline, "clock": "calendar", "armed": True}
        if not span:
            return self.tell(CaseDeadlineSetV1, deadline=deadline, clock="duty", armed=False)
        data["due_at"] = self.at + timedelta(**span)
        if warn is not None:
            data["warn_at"] = self.at + timedelta(**span) * warn
        return self.tell(CaseDeadlineSetV1, **data)

    def step(
        self, step: str, source: str, to: str, owner: dict[str, str] = WORKER, **more: Any
    ) -> "Story":
        by = more.pop("by", WORKER)
        places = {"step": step, "from_state": source, "to_state": to}
        return self.tell(CaseStepTakenV1, **places, by=by, owner=owner, **more)

    def accepted(self) -> "Story":
        self.step("first_ask", "reported", "owned")
        return self.tell(CaseAcceptedV1, by=WORKER)

    def settled(self) -> "Story":
        """Bring it from acceptance to the return visit's clock."""
        self.step("grid_settle", "owned", "in_progress").after(minutes=5)
        self.step("resolve", "in_progress", "resolved", CLERK)
        self.tell(CaseResolvedV1, by=WORKER)
        return self.clock("step.return_visit", days=3)

    def visited(self, *, satisfied: bool = True) -> "Story":
        self.step("return_visit", "resolved", "closed", CLERK, by=CLERK, satisfied=satisfied)
        self.tell(CaseReturnVisitedV1, by=CLERK, satisfied=satisfied)
        return self.tell(CaseClosedV1, by=CLERK, state="closed")

    def reopened(self) -> "Story":
        self.step("reopen", "closed", "returned", CLERK, by=CLERK)
        self.tell(CaseReopenedV1, by=CLERK)
        return self.clock(days=7)

    def warned(self, deadline: str = "class") -> "Story":
        return self.tell(CaseDeadlineWarnedV1, deadline=deadline, due_at=self.at)

    def blown(self, *departments: str, minutes: float | None = 60, **more: Any) -> "Story":
        """Blow the whistle; the first leads. Without minutes its clocks cannot be told."""
        self.whistle_id = effect_id(self.case_id, f"whistle/{len(self.told)}")
        due_at = None if minutes is None else self.at + timedelta(minutes=minutes)
        called = [
            {"department": one, "lead": one == departments[0], "due_at": due_at}
            for one in departments
        ]
        given = {"departments": called, "by": CLERK, **more}
        return self.tell(WhistleBlownV1, whistle_id=self.whistle_id, **given)

    def came(self, department: str, *, late: bool = False, corrects: bool = False) -> "Story":
        """Let a department report in."""
        data: dict[str, Any] = {"means": "app_ack", "at": self.at, "by": _officer(department)}
        if corrects:
            return self.turn(WhistleCorrectedV1, department, **data)
        return self.turn(WhistleReportedInV1, department, late=late, **data)

    def absent(self, department: str) -> "Story":
        return self.turn(WhistleMissedV1, department, due_at=self.at)

    def refused(self, department: str) -> "Story":
        data = {"proposed": "justice", "arbiter": CLERK, "by": _officer(department)}
        return self.turn(WhistleRefusedV1, department, **data)

    def withdrawn(self, department: str) -> "Story":
        return self.turn(WhistleWithdrawnV1, department, by=CLERK)

    def released(self, department: str) -> "Story":
        return self.turn(WhistleReleasedV1, department, by=CLERK)

    def rung(self, department: str, rung: int, do: str, **more: Any) -> "Story":
        return self.turn(CaseEscalatedV1, department, rung=rung, do=do, **more)

    def turn(self, fact: type[Fact], department: str, **data: Any) -> "Story":
        """Tell something of one department's part in the last whistle."""
        return self.tell(fact, whistle_id=self.whistle_id, department=department, **data)

    def missed(self, deadline: str = "class") -> "Story":
        return self.tell(CaseDeadlineMissedV1, deadline=deadline, due_at=self.at)


class Consumer:
    """Kafka's consumer as a batch sees it: nothing is assigned, so nothing is committed."""

    def assignment(self) -> set[object]:
        return set()

    async def commit(self, _offsets: object) -> None:
        return None

    def pause(self, *_partitions: object) -> None:
        return None

    def resume(self, *_partitions: object) -> None:
        return None


class Quiet(Hearing):
    """Has heard all up to so many seconds ago: there is no Kafka behind these tests."""

    silent = 0.0

    @property
    def silent_s(self) -> float:
        return self.silent


@dataclass
class World:
    """The console's database, towns as the registry tells them, and its pages."""

    pool: Pool
    ring: KeyRing
    settings: ConsoleSettings
    towns: Towns = field(default_factory=Towns)
    offsets: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self.boards = Boards(self.settings, self.pool, self.towns)
        self.pages, self.hearing = Pages(self.settings), Quiet(self.pool)
        self.streams = Streams(self.boards, self.pages, self.hearing, self.settings.beat_s)
        self.towns.complete = True

    def town(self, *more: dict[str, Any], tenant: str = TENANT, profile: str = TENANT) -> Town:
        """Take in a small seeded town; `more` replaces records of it."""
        lines = {
            (line["kind"], line["id"]): line
            for line in (*factories.town_lines(profile, tenant), *more)
        }
        self.take(lines.values(), tenant)
        town = self.towns.get(tenant)
        assert town is not None
        return town

    def take(self, lines: Iterable[dict[str, Any]], tenant: str = TENANT) -> None:
        change_set = f"set-{next(self.offsets)}"
        changes = factories.registry_changes(self.ring, lines, tenant=tenant, change_set=change_set)
        for record in factories.registry_records(changes):
            self.towns.take(record)

    def run_ahead(self, real: datetime, to: datetime, tenant: str = TENANT) -> None:
        """Move the town's time."""
        offset = {"from_at": real.isoformat(), "seconds": (to - real).total_seconds()}
        self.take([{"kind": "clock", "id": "clock", "body": {"offsets": [offset]}}], tenant)

    def records(self, events: Iterable[Event]) -> list[Record]:
        return [
            factories.record_of(event, topic=ROUTING_EVENTS.name, offset=next(self.offsets))
            for event in events
        ]

    async def hear(self, *stories: Story, batch: int = 500) -> None:
        """Hand what has been told since the last time to the handler, as Kafka would."""
        events = [event for story in stories for event in story.told[story.heard :]]
        for story in stories:
            story.heard = len(story.told)
        for start in range(0, len(events), batch):
            await self.hear_records(self.records(events[start : start + batch]))

    async def hear_records(self, records: Sequence[Record]) -> None:
        subscription = Subscription(
            self.settings,
            self.pool,
            [ROUTING_EVENTS.name],
            parse,
            BoardFacts(self.towns).apply,
            lambda: None,
        )
        await subscription.on_batch(Consumer(), records)

    async def case(self, story: Story) -> dict[str, Any]:
        query = "SELECT * FROM board_case WHERE tenant_id = $1 AND case_id = $2"
        row = await self.pool.fetchrow(query, story.tenant, story.case_id)
        assert row is not None
        return dict(row)

    async def acts(self, tenant: str = TENANT) -> list[ToldAct]:
        async with self.pool.acquire() as conn:
            return await look.acts(conn, tenant, 100)

    async def lines(self, language: Language = "zh", tenant: str = TENANT) -> list[str]:
        """Return what is told lately, the newest first, as plain text."""
        town = self.towns.get(tenant)
        assert town is not None
        speaker = Speaker(town, WORDS[language])
        return [speaker.act(told).striptags() for told in await self.acts(tenant)]

    def hall(self) -> Hall:
        return Hall(self.settings, self.pool, self.towns, self.boards, self.pages, self.streams)

    def app(self) -> FastAPI:
        app = make_app("console", {})
        add_pages(app, self.hall())
        return app

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.app())
        async with httpx.AsyncClient(transport=transport, base_url="http://console") as http:
            yield http


def real_now() -> datetime:
    return datetime.now(UTC)


def news_of(chunk: bytes) -> dict[str, Any]:
    """Read one message of a stream: its name, its id, its data."""
    fields = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
    return {"event": fields["event"], "id": fields.get("id"), **json.loads(fields["data"])}
