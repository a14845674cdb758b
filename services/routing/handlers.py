"""Kafka in: what front ends hand in becomes cases; the registry becomes our own copy."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from contracts.events import Event, read_event
from contracts.facts import (
    INTAKE_FACTS,
    CaseReportedV1,
    MessageAcknowledgedV1,
    MessageRepliedV1,
    Sealed,
)
from contracts.registry import Change, read_change
from services.chassis.batch import Heard, NotHere
from services.chassis.clock import database_now
from services.chassis.copy import Copied, apply_changes
from services.chassis.inbox import Record
from services.chassis.postgres import Connection
from services.routing.domain.opening import open_case
from services.routing.domain.values import Decision, Report, Sheet
from services.routing.early import heard_early
from services.routing.follow_ups import keep_follow_up
from services.routing.record import Announced, announce, arm, numbered
from services.routing.requests import take_requests
from services.routing.store import calendars, cases, handing, registry
from services.routing.store.cases import Key, NewCase
from services.routing.towns import KnownTown, Towns

log = structlog.get_logger()

Home = tuple[str, str]  # tenant, household
_CONTACTS = ("name", "phone", "openid")
_ANSWERS = {fact.TYPE: fact for fact in (MessageRepliedV1, MessageAcknowledgedV1)}
# How long a report may wait for our copy of the registry: intake may have heard of a town earlier.
_TOWN_WAIT = timedelta(seconds=60)


class TownNotHere(ConnectionError):  # noqa: N818 - a state
    """The town's registry has not come yet: not now."""


def parse_intake(record: Record) -> Event | None:
    return read_event(INTAKE_FACTS, record.headers, record.value)


def parse_notify(record: Record) -> Event | None:
    """Read what somebody answered; what becomes of messages is not ours."""
    return read_event(_ANSWERS, record.headers, record.value)


def parse_registry(record: Record) -> Change | None:
    return read_change(record.headers, record.value)


async def on_registry(conn: Connection, heard: Sequence[Heard[Change]]) -> None:
    await apply_changes(conn, [one.message for one in heard])
    await calendars.take(conn, {one.message.tenant_id for one in heard})


@dataclass(frozen=True, slots=True)
class _Opening:
    """A report on its way to becoming a case."""

    event: Event
    reported: CaseReportedV1
    decision: Decision
    known: KnownTown

    @property
    def day(self) -> tuple[str, date]:
        """The tenant and its local day: numbers are counted by it."""
        zone = ZoneInfo(self.known.rules.timezone)
        return self.event.tenant_id, self.decision.case.received_at.astimezone(zone).date()


class IntakeEvents:
    """Turns reports into cases and takes the acts handed in, a batch at a time.

    `copied`: our copy of the registry is whole.
    """

    def __init__(self, towns: Towns, copied: Copied) -> None:
        self._towns, self._copied = towns, copied

    async def apply(self, conn: Connection, heard: Sequence[Heard[Event]]) -> None:
        # Every case at once, in key order, as the clock locks them: else each might wait for the
        # other.
        there = await cases.lock(conn, [_key(one.message) for one in heard])
        reports = [one for one in heard if isinstance(one.message.data, CaseReportedV1)]
        if reports:
            await self._open_all(conn, reports, there.keys())
        acts = [one for one in heard if not isinstance(one.message.data, CaseReportedV1)]
        acts = [*await heard_early(conn, reports), *acts]
        if acts:
            await take_requests(conn, acts, self._towns)

    async def _open_all(
        self, conn: Connection, heard: Sequence[Heard[Event]], there: Collection[Key]
    ) -> None:
        known, households = await self._look(conn, heard)
        openings: dict[Key, _Opening] = {}
        conflicts: list[Heard[Event]] = []
        for one in heard:
            key = _key(one.message)
            if key in there or key in openings:
                conflicts.append(one)
                continue
            town = known.get(one.message.tenant_id)
            if town is None or not town.town.units:
                raise await self._missing(conn, one)
            openings[key] = _open(one, town, households)
        if openings:
            await self._record(conn, list(openings.values()))
        for one in conflicts:
            await self._keep_conflict(conn, one, known[one.message.tenant_id])

    async def _missing(self, conn: Connection, one: Heard[Event]) -> Exception:
        """Wait while our copy may be behind; else hold this case alone: all others go on."""
        tenant_id = one.message.tenant_id
        waited = await database_now(conn) - one.record.at
        if waited < _TOWN_WAIT and not await self._copied(conn):
            return TownNotHere(f"the registry of {tenant_id} has not come yet")
        return NotHere(f"no units in the registry of tenant {tenant_id}")

    async def _look(
        self, conn: Connection, heard: Sequence[Heard[Event]]
    ) -> tuple[dict[str, KnownTown], dict[Home, str]]:
        """Read the towns and the households named, all of one version of the registry."""
        tenants = {one.message.tenant_id for one in heard}
        wanted = _households(heard)
        while True:
            known = await self._towns.known(conn, tenants)
            households = await registry.household_grids(conn, wanted)
            if not wanted or known == await self._towns.known(conn, tenants):
                return known, households

    async def _record(self, conn: Connection, openings: Sequence[_Opening]) -> None:
        numbers = await _numbers(conn, openings)
        new = [_new_case(one, number) for one, number in zip(openings, numbers, strict=True)]
        await cases.insert(conn, new)
        await arm(
            conn,
            (
                (n.tenant_id, n.case.case_id, o.decision.timers)
                for n, o in zip(new, openings, strict=True)
            ),
        )
        await handing.put_sheets(conn, _sheets(openings))
        await announce(
            conn,
            [
                Announced(
                    one.event.tenant_id,
                    one.event.subject_id,
                    one.event.event_id,
                    one.decision.case.received_at,
                    numbered(one.decision, number),
                    one.decision.case.seq,
                    {
                        "number": number,
                        "reporter": _contacts(one.reported),
                        "attachments": one.reported.attachments,
                    },
                    one.event.traceparent,
                )
                for one, number in zip(openings, numbers, strict=True)
            ],
        )

    async def _keep_conflict(self, conn: Connection, one: Heard[Event], town: KnownTown) -> None:
        """Keep another body under the same key as a follow-up; the first body stands."""
        event = one.message
        reported = _reported(event)
        at = town.offsets.tenant_time(one.record.at)
        about = Announced(event.tenant_id, event.subject_id, event.event_id, at, (), 0)
        said = (reported.front_end, reported.sealed, reported.attachments)
        await keep_follow_up(conn, about, "key_conflict", *said)
        log.warning("key_conflict_kept", tenant_id=event.tenant_id, case_id=str(event.subject_id))


def _key(event: Event) -> Key:
    return event.tenant_id, event.subject_id


def _reported(event: Event) -> CaseReportedV1:
    if not isinstance(event.data, CaseReportedV1):
        raise TypeError(f"{event.data.TYPE} has no handler")
    return event.data


def _households(heard: Sequence[Heard[Event]]) -> set[Home]:
    return {
        (one.message.tenant_id, household)
        for one in heard
        if (household := _reported(one.message).location.household_id)
    }


def _open(one: Heard[Event], known: KnownTown, households: dict[Home, str]) -> _Opening:
    event, reported = one.message, _reported(one.message)
    where = reported.location
    point = None if where.lat is None or where.lon is None else (where.lon, where.lat)
    report = Report(
        front_end=reported.front_end,
        category=reported.category,
        severity=reported.severity,
        case_class=reported.case_class,
        household_id=where.household_id,
        household_grid=households.get((event.tenant_id, where.household_id or "")),
        grid=where.grid,
        village=where.village,
        point=point,
    )
    received_at = known.offsets.tenant_time(one.record.at)
    decision = open_case(event.subject_id, report, received_at, known.setting)
    return _Opening(event, reported, decision, known)


async def _numbers(conn: Connection, openings: Sequence[_Opening]) -> list[str]:
    """Draw a number for each opening, in order, from its tenant's and day's count."""
    amounts = Counter(one.day for one in openings)
    last = await cases.draw_numbers(conn, amounts)
    following = {day: last[day] - amount for day, amount in amounts.items()}
    numbers = []
    for one in openings:
        following[one.day] += 1
        numbers.append(f"{one.day[1]:%y%m%d}-{following[one.day]:04d}")
    return numbers


def _sheets(openings: Iterable[_Opening]) -> Iterable[tuple[str, UUID, Sheet]]:
    for one in openings:
        if one.decision.sheet is not None:
            yield one.event.tenant_id, one.event.subject_id, one.decision.sheet


def _new_case(one: _Opening, number: str) -> NewCase:
    return NewCase(
        tenant_id=one.event.tenant_id,
        number=number,
        profile_version=one.known.rules.version,
        case=one.decision.case,
        front_end=one.reported.front_end,
        location=one.reported.location.model_dump(exclude_none=True),
        sealed=one.reported.sealed.model_dump(),
        why=[
            {"rule": tried.rule, "held": tried.held, "because": tried.because}
            for tried in one.decision.why
        ],
    )


def _contacts(reported: CaseReportedV1) -> Sealed | None:
    """Hand on the reporter's sealed contacts, and nothing else of what was said."""
    sealed = reported.sealed
    fields = {name: sealed.fields[name] for name in _CONTACTS if name in sealed.fields}
    return Sealed(kid=sealed.kid, key=sealed.key, fields=fields) if fields else None
