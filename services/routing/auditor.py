"""The auditor: counts again and again whether every open case and slot is looked after."""

import asyncio
import contextlib

import structlog

from services.chassis.batch import is_passing
from services.chassis.postgres import Pool
from services.routing.settings import RoutingSettings
from services.routing.store.audit import audit, open_slots
from services.telemetry.metrics import gauge

log = structlog.get_logger()


class Auditor:
    """Tells by gauges what no case should ever lack."""

    def __init__(self, settings: RoutingSettings, pool: Pool) -> None:
        self._settings, self._pool = settings, pool

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until told to stop."""
        while not stopping.is_set():
            try:
                await self.look()
            except Exception as error:
                if not is_passing(error):
                    raise
                log.warning("audit_waited", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._settings.audit_wait_s)

    async def look(self) -> None:
        """Count once."""
        async with self._pool.acquire() as conn:
            found = await audit(conn, self._settings.timer_overdue_alarm_s)
            awaited = await open_slots(conn)
        gauge("chuishao_slots_open", awaited)
        for what, number in found.items():
            gauge("chuishao_audit_found", number, what=what)
