"""Made-up things for tests: keys, settings, small towns, reports and their records."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from contracts.events import Event, case_id, effect_id
from contracts.facts import CaseReportedV1, Location, Sealed
from contracts.registry import Change
from contracts.topics import INTAKE_EVENTS, LEDGER_REGISTRY, registry_partition
from deploy.local.secrets import Secrets, ensure_secrets
from deploy.local.seeding import Size, entries_of, front_end_line, town_wish
from deploy.local.tokens import make_token
from services.chassis.inbox import Record
from services.chassis.seal import KeyRing
from services.chassis.settings import ServiceSettings
from services.doors.attachment_id import attachment_id
from services.ledger.changes import change_of, sealed_entries
from services.ledger.lines import Line
from services.ledger.store.registry import ChangeSet, Entry

TENANT = "yihe"
SMALL = Size(villages=2, grids=6, household_groups=12, people=60)
START = datetime(2025, 3, 3, 2, 0, tzinfo=UTC)  # Monday 10:00 in the town
PATIENCE_S = 90

S = TypeVar("S", bound=ServiceSettings)


def secrets(place: Path, *tenants: str) -> Secrets:
    """Make keys for tenants."""
    return ensure_secrets(place, tenants or (TENANT,))


def settings(
    kind: type[S],
    keys: Secrets,
    *,
    dsn: str = "",
    kafka: str = "",
    **more: Any,
) -> S:
    """Make a service's settings for a test; a statement that fills a table may take its time."""
    given: dict[str, Any] = {
        "mode": "development",
        "port": 1,
        "log_json": True,
        "statement_timeout_s": PATIENCE_S,
        "key_file": keys.key_file,
        "token_key_file": keys.token_public,
        **more,
    }
    if dsn:
        given["postgres_dsn"] = dsn
    if kafka:
        given["kafka_bootstrap"] = kafka
    return kind(**given)


def token(keys: Secrets, *roles: str, tenant: str = TENANT, **who: Any) -> str:
    return make_token(keys.token_private, tenant, roles, **who)


@cache
def town_lines(profile: str = TENANT, tenant: str = TENANT) -> tuple[dict[str, Any], ...]:
    """Return the records of a small seeded town, as they come to ledger's door."""
    entries = entries_of(town_wish(f"{tenant}={profile}", SMALL))
    return tuple({"kind": e.kind, "id": e.record_id, "body": e.body} for e in entries)


def registry_changes(
    ring: KeyRing,
    lines: Iterable[Mapping[str, Any]] | None = None,
    *,
    tenant: str = TENANT,
    change_set: str = "seed-1",
) -> list[Change]:
    """Return the registry's changes as ledger would publish them, in one set."""
    wanted = list(lines or town_lines(tenant=tenant))
    given = {n: Line.model_validate(o) for n, o in enumerate(wanted, 1) if o["kind"] != "clock"}
    clocks = [Entry("clock", o["id"], o["body"]) for o in wanted if o["kind"] == "clock"]
    one = ChangeSet(tenant, change_set, "test", START)
    sealed = sealed_entries(tenant, given, ring, START.date())
    entries = [e for e in (*sealed, *clocks) if e.kind in Change.KINDS]
    cause = effect_id(UUID(int=1), change_set)
    return [change_of(one, e, cause, last=e is entries[-1]) for e in entries]


def demo_front_end(ring: KeyRing, api_key: str, **more: Any) -> dict[str, Any]:
    """Return the record of a front end with this key."""
    line = front_end_line(ring.api_key_digest(api_key))
    return {**line, "body": {**line["body"], **more}}


def registry_records(changes: Sequence[Change], offset: int = 0) -> list[Record]:
    """Return changes as the records of `ledger.registry`."""
    return [
        Record(
            LEDGER_REGISTRY.name,
            registry_partition(change.tenant_id),
            offset + n,
            START,
            change.key,
            change.body,
            {name: value.encode() for name, value in change.headers.items()},
        )
        for n, change in enumerate(changes)
    ]


def attachment(ring: KeyRing, content: str = "photo", tenant: str = TENANT) -> str:
    """Return the id that intake would give out for a content."""
    return attachment_id(ring, tenant, content.encode())


def report_event(
    ring: KeyRing,
    key: str = "k1",
    *,
    tenant: str = TENANT,
    words: Mapping[str, str] | None = None,
    location: Mapping[str, Any] | None = None,
    **more: Any,
) -> Event:
    """Make `case.reported.v1` as intake would."""
    subject = case_id(tenant, "demo", key)
    said = {"summary": "路灯不亮", **(words or {})}
    sealed = Sealed(**asdict(ring.seal(tenant, str(subject), said)))
    mac = ring.body_mac(
        tenant, repr((sorted(said.items()), location, sorted(more.items()))).encode()
    )
    return Event(
        event_id=effect_id(subject, mac),
        tenant_id=tenant,
        subject_id=subject,
        occurred_at=START,
        source="/intake/demo",
        data=CaseReportedV1(
            front_end="demo", location=Location(**(location or {})), sealed=sealed, **more
        ),
        body_mac=mac,
    )


def record_of(
    event: Event,
    *,
    topic: str = INTAKE_EVENTS.name,
    partition: int = 0,
    offset: int = 0,
    at: datetime = START,
) -> Record:
    """Return an event as a record."""
    headers = {name: value.encode() for name, value in event.headers.items()}
    return Record(topic, partition, offset, at, event.key, event.body, headers)
