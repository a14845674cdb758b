"""The whole stack: servers, topics, schemas, services, seeded towns; up in order, down in order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from contracts.topics import Topic, department_topic
from deploy.local.databases import SERVICE_ROLES
from deploy.local.layout import SERVICES, Layout
from deploy.local.made import ignored, remembered, told_as_it_was
from deploy.local.migrate import migrate
from deploy.local.phones import Labels, labels_of_entries, labels_of_registry, together
from deploy.local.ports import free_or_raise
from deploy.local.process import Restart
from deploy.local.recording import OPERATOR, record_town
from deploy.local.registered import is_recorded
from deploy.local.sandbox import sandbox_command
from deploy.local.secrets import DEMO_FRONT_END, Secrets, ensure_secrets
from deploy.local.seeding import TownWish, entries_of
from deploy.local.stack import Servers, servers
from deploy.local.state import StackState
from deploy.local.tokens import make_token
from deploy.local.topics import apply_topics
from deploy.seed.town import Entry
from services.chassis.seal import KeyRing

__all__ = ["OPERATOR", "Running", "Wanted", "answers_200", "whole_stack"]

READY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to run."""

    layout: Layout
    towns: Sequence[TownWish]
    virtual_clock: datetime | None = None
    durable: bool = True
    flush_each_message: bool = False
    erase: bool = False
    services: Sequence[str] = SERVICES
    calendar: bool = True  # towns know the official days; without them duty cannot be told


@dataclass(slots=True)
class Running:
    """A running stack: its addresses and keys, and a hand on each of its processes."""

    wanted: Wanted
    servers: Servers
    secrets: Secrets
    tenants: tuple[str, ...] = field(default=())
    towns: dict[str, Sequence[Entry]] = field(default_factory=dict)
    phones: dict[str, Labels] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what was asked for and not done

    @property
    def layout(self) -> Layout:
        return self.wanted.layout

    def dsn(self, service: str) -> str:
        return self.servers.postgres.dsn(service)

    def service_dsn(self, service: str) -> str:
        """Return how a service itself enters its database."""
        role = SERVICE_ROLES.get(service)
        return self.servers.postgres.dsn_as(role, service) if role else self.dsn(service)

    def url(self, name: str) -> str:
        return self.layout.url(name)

    def token(self, tenant: str, *roles: str, **more: Any) -> str:  # noqa: ANN401 - of make_token
        return make_token(self.secrets.token_private, tenant, roles, **more)

    async def start(self, service: str, replica: int = 0, *, wait: bool = True) -> None:
        """Start a service, or another replica of it, and wait until it is ready."""
        command = self.layout.service(
            service, self.servers.kafka.bootstrap, self.service_dsn(service), self.secrets, replica
        )
        url = f"http://127.0.0.1:{self.layout.port(service, replica)}/ready"

        async def ready() -> bool:
            return not wait or await answers_200(url)

        await self.servers.supervisor.start(command, ready, READY_TIMEOUT_S)

    async def stop(self, service: str, replica: int = 0) -> None:
        await self.servers.supervisor.stop(service if replica == 0 else f"{service}-{replica}")

    def facts(self) -> dict[str, Any]:
        """Return what other programs need to know of this stack."""
        return {
            **{name: self.url(name) for name in (*self.wanted.services, "sandbox")},
            "kafka": self.servers.kafka.bootstrap,
            "postgres": {name: self.dsn(name) for name in self.wanted.services},
            "api_keys": {DEMO_FRONT_END: self.secrets.api_key},
            "tenants": list(self.tenants),
            "data_dir": str(self.layout.data_dir),
        }


async def answers_200(url: str) -> bool:
    """Ask without a client: this is asked twenty times a second while services start."""
    host, _, rest = url.removeprefix("http://").partition(":")
    port, _, path = rest.partition("/")
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(f"GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
    except OSError:
        return False
    return b" 200 " in status


@asynccontextmanager
async def whole_stack(
    wanted: Wanted,
    report: Callable[[str], None],
    on_restart: Callable[[Restart], None] = lambda _: None,
) -> AsyncIterator[Running]:
    """Run everything while the block lasts.

    Raises:
        LocalStackError: something is in the way; the text says what was kept and what to do.
    """
    layout = wanted.layout
    free_or_raise(layout.ports)
    async with servers(
        layout.data_dir,
        layout.port("kafka"),
        layout.port("postgres"),
        durable=wanted.durable,
        report=report,
        flush_each_message=wanted.flush_each_message,
        erase=wanted.erase,
        on_restart=on_restart,
    ) as started:
        tenants = tuple(town.tenant_id for town in wanted.towns)
        secrets = ensure_secrets(layout.data_dir, tenants)
        running = Running(wanted, started, secrets, tenants)
        report("建主题、迁移数据库 · applying topics and migrations")
        await started.postgres.ensure_databases(wanted.services)
        for service in SERVICE_ROLES.keys() & {*wanted.services}:
            await started.postgres.ensure_role(SERVICE_ROLES[service])
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(apply_topics(started.kafka.bootstrap))
                for service in wanted.services:
                    tasks.create_task(migrate(service, running.dsn(service)))
            await _start_services(running, report)
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        yield running


async def _start_services(running: Running, report: Callable[[str], None]) -> None:
    """Start ledger and seed it; the others come up meanwhile.

    None of them is ready before it has read the whole registry: intake refuses until then.
    """
    report("生成镇的数据 · making up the town")
    fresh = [town for town in running.wanted.towns if not await _is_there(running, town)]
    report("启动各服务 · starting the services")
    services = running.wanted.services
    bootstrap = running.servers.kafka.bootstrap
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(apply_topics(bootstrap, _department_topics(running)))
        tasks.create_task(_ledger_then_seed(running, fresh, report))
        if "notify" in services:
            tasks.create_task(_start_sandbox(running))
        for name in services:
            if name != "ledger":
                tasks.create_task(running.start(name))


async def _is_there(running: Running, town: TownWish) -> bool:
    """Whether a town is recorded already; either way learn what it is made of."""
    tenant, ledger = town.tenant_id, running.dsn("ledger")
    there = await is_recorded(ledger, tenant)
    made = remembered(running.layout.data_dir, tenant) if there else None
    source = made if made and made.profile.is_file() else town
    entries = running.towns[tenant] = await asyncio.to_thread(entries_of, source)
    if not there:
        running.phones[tenant] = labels_of_entries(entries)
        return False
    keys = KeyRing(running.secrets.key_file)
    running.phones[tenant] = await labels_of_registry(ledger, tenant, keys)
    options = ignored(town, made)
    if running.wanted.virtual_clock is not None:
        options.append("--virtual-clock")
    if options:
        running.notes.append(told_as_it_was(tenant, options))
    return True


def _department_topics(running: Running) -> list[Topic]:
    return [
        department_topic(tenant_id, entry.record_id)
        for tenant_id, entries in running.towns.items()
        for entry in entries
        if entry.kind == "department"
    ]


async def _start_sandbox(running: Running) -> None:
    command = sandbox_command(running.layout, running.secrets, together(running.phones))
    url = f"{running.url('sandbox')}/ready"
    await running.servers.supervisor.start(command, lambda: answers_200(url), READY_TIMEOUT_S)


async def _ledger_then_seed(
    running: Running, fresh: Sequence[TownWish], report: Callable[[str], None]
) -> None:
    await running.start("ledger")
    for town in fresh:
        await _seed(running, town, running.towns[town.tenant_id], report)


async def _seed(
    running: Running, town: TownWish, entries: Sequence[Entry], report: Callable[[str], None]
) -> None:
    report(f"登记 {town.tenant_id}：{len(entries)} 条 · recording {len(entries)} entries")
    wanted = running.wanted
    state = StackState(running.layout.data_dir, running.facts())
    await record_town(state, town, entries, wanted.virtual_clock, calendar=wanted.calendar)
