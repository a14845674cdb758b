"""The sender: takes what is due, calls with bounded concurrency, records what came of it.

Nothing is sent inside a transaction. A process that dies leaves attempts `sending`; when their
lease is over, whoever takes them up asks the provider first.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import structlog

from services.chassis.batch import is_passing
from services.chassis.batch import told as describe
from services.chassis.crash import crash_point
from services.chassis.postgres import Pool
from services.notify.claims import Claims, Ending, Job
from services.notify.delivery import Deliverer
from services.notify.record import Recorder, Told
from services.notify.settings import NotifySettings

log = structlog.get_logger()

_RECORD_MAX = 200
_OUTAGE_WAIT_S = 1.0
_TOGETHER_S = 0.05  # what follows closely is taken, and recorded, together


class Sender:
    """Sends until told to stop. `wake` saves it the wait after a local commit."""

    def __init__(
        self,
        settings: NotifySettings,
        pool: Pool,
        claims: Claims,
        deliverer: Deliverer,
        recorder: Recorder,
        announced: Callable[[], None],
    ) -> None:
        self._settings, self._pool = settings, pool
        self._claims, self._deliverer, self._recorder = claims, deliverer, recorder
        self._announced = announced
        self._woken = asyncio.Event()
        self._news: asyncio.Queue[Told] = asyncio.Queue()
        self._under_way = 0

    def wake(self) -> None:
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping`; calls under way are ended and recorded first."""
        async with asyncio.TaskGroup() as tasks:
            recording = tasks.create_task(self._record_all())
            while not stopping.is_set():
                free = self._settings.send_concurrency - self._under_way
                taken = await self._take(free) if free else []
                for one in taken:
                    self._under_way += 1
                    tasks.create_task(self._do(one))
                if not free or len(taken) < free:
                    await self._wait()
            while self._under_way:
                self._woken.clear()
                await self._woken.wait()
            recording.cancel()

    async def _take(self, free: int) -> list[Job | Ending]:
        try:
            taken = await self._claims.take(free)
        except Exception as error:
            if not is_passing(error):
                raise
            log.warning("claim_failed", error=describe(error))
            return []
        crash_point("after_claim")
        return taken

    async def _wait(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), self._settings.send_poll_s)
        await asyncio.sleep(_TOGETHER_S)
        self._woken.clear()

    async def _do(self, one: Job | Ending) -> None:
        if isinstance(one, Job):
            told = await self._deliverer.call(one)
            crash_point("after_call")
        else:
            told = Told(one.intent.key, one.intent.case_id, 0, one.news)
        self._news.put_nowait(told)

    async def _record_all(self) -> None:
        while True:
            told = [await self._news.get()]
            while len(told) < _RECORD_MAX and not self._news.empty():
                told.append(self._news.get_nowait())
            await self._record(told)
            self._under_way -= len(told)
            self.wake()
            self._announced()
            await asyncio.sleep(_TOGETHER_S)

    async def _record(self, told: Sequence[Told]) -> None:
        """Record until it is done: what a provider has said must not be lost to an outage."""
        while True:
            try:
                async with (
                    asyncio.timeout(self._settings.handler_deadline_s),
                    self._pool.acquire() as conn,
                    conn.transaction(),
                ):
                    await self._recorder.record(conn, told)
            except Exception as error:  # noqa: BLE001 - one that cannot be kept holds no other up
                if is_passing(error):
                    log.warning("outcomes_kept_back", error=describe(error), count=len(told))
                    await asyncio.sleep(_OUTAGE_WAIT_S)
                    continue
                await self._record_apart(told, error)
            return

    async def _record_apart(self, told: Sequence[Told], error: Exception) -> None:
        """Find the one that cannot be recorded; it stays as it is and is looked up later."""
        if len(told) == 1:
            log.error("outcome_not_recorded", error=describe(error), case_id=str(told[0].case_id))
            return
        for one in told:
            await self._record([one])
