"""The broker is frozen, or the database stopped: who is told what, and what is lost."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.local.load import Load, Log, Sent
from deploy.local.quiet import Watch
from deploy.local.whole import Running
from tests.faults.check import Verdict, check, show
from tests.faults.ground import bodies, ground, state_of

ANSWER_S_MAX = 5.0


async def freeze_broker(
    running: Running, frozen_s: float, rate: float = 20.0, before: Sequence[Sent] = ()
) -> tuple[Verdict, Log]:
    """SIGSTOP the broker under load, then let it go on; nothing is restarted."""
    async with _loaded(running, "freeze", rate) as load:
        await asyncio.sleep(2)
        pid = running.servers.supervisor.pids()["kafka"]
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(frozen_s)
        finally:
            os.kill(pid, signal.SIGCONT)
        await asyncio.sleep(5)
    log = load.log
    verdict, rest_s = await _counted(running, log, before)
    slow = [s for status, s in log.refusals if s > ANSWER_S_MAX]
    statuses = {str(status) for status, _ in log.refusals}
    verdict.expect(bool(log.refusals), "the frozen broker was not noticed")
    verdict.expect(not slow, f"{len(slow)} answers took longer than {ANSWER_S_MAX} s")
    verdict.expect(statuses == {"503"}, f"refusals were {sorted(statuses)}, not 503 alone")
    show(
        verdict,
        **{
            "frozen for seconds": frozen_s,
            "refused with 503": len(log.refusals),
            "slowest refusal in seconds": round(max((s for _, s in log.refusals), default=0.0), 2),
            "reports refused at least once": len([one for one in log.sent if one.refused]),
            "restarts": sum(running.servers.supervisor.restarts().values()),
            "seconds to rest": round(rest_s, 1),
        },
    )
    return verdict, log


async def stop_database(
    running: Running, stopped_s: float, rate: float = 20.0, before: Sequence[Sent] = ()
) -> tuple[Verdict, Log]:
    """Stop PostgreSQL under load: intake goes on with 202; on return all is opened."""
    async with _loaded(running, "stop", rate) as load:
        await asyncio.sleep(2)
        supervisor = running.servers.supervisor
        await supervisor.stop("postgres")
        accepted = len(load.log.accepted)
        await asyncio.sleep(stopped_s)
        meanwhile = len(load.log.accepted) - accepted
        command, ready = running.servers.postgres.command(), running.servers.postgres.ready
        await supervisor.start(command, ready, 60)
        await asyncio.sleep(2)
    log = load.log
    verdict, rest_s = await _counted(running, log, before)
    verdict.expect(meanwhile > 0.8 * rate * stopped_s, f"only {meanwhile} 202s meanwhile")
    verdict.expect(not log.refusals, f"{len(log.refusals)} reports were refused")
    show(
        verdict,
        **{
            "database stopped for seconds": stopped_s,
            "202s meanwhile": meanwhile,
            "seconds to rest": round(rest_s, 1),
        },
    )
    return verdict, log


@asynccontextmanager
async def _loaded(running: Running, name: str, rate: float) -> AsyncIterator[Load]:
    """Send at a rate while the block lasts; after it, all is confirmed."""
    load = Load(running.url("intake"), running.secrets.api_key, bodies(running), name)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.run(rate, stop))
        try:
            yield load
        finally:
            stop.set()


async def _counted(running: Running, log: Log, before: Sequence[Sent]) -> tuple[Verdict, float]:
    state = state_of(running)
    async with Watch(state) as watch:
        rest_s = await watch.until_quiet(180)
    return await check(state, Log([*before, *log.sent])), rest_s


async def run(what: str, seconds: float, place: Path) -> Verdict:
    """Do one of the two to a stack of its own."""
    async with ground(place) as running:
        fault = freeze_broker if what == "freeze" else stop_database
        return (await fault(running, seconds))[0]


def main(what: str, seconds: float) -> int:
    with TemporaryDirectory(prefix="faults-") as place, suppress(KeyboardInterrupt):
        return 1 if asyncio.run(run(what, seconds, Path(place))).wrong else 0
    return 1
