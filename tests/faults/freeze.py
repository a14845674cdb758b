"""The broker is frozen, or the database stopped: who is told what, and what is lost."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import asyncpg

from contracts.events import case_id
from contracts.topics import INTAKE_EVENTS
from deploy.cli.replay import send_all
from deploy.local.load import Load, Log, Sent
from deploy.local.quiet import Watch
from deploy.local.secrets import DEMO_FRONT_END
from deploy.local.whole import Running
from tests.faults.check import Verdict, check, read_facts, show
from tests.faults.ground import TENANT, bodies, ground, state_of

ANSWER_S_MAX = 5.0
REST_S_MAX = 180
REFUSED = 503


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
    late = await _arrived_late(running, log)
    cases = await _cases(running)
    again = await _send_again(running, log)
    verdict.expect(again == 0, f"{again} refused reports became other cases when sent again")
    verdict.expect(await _cases(running) == cases, "sending again opened cases")
    slow = [s for status, s in log.refusals if s > ANSWER_S_MAX]
    statuses = {str(status) for status, _ in log.refusals}
    verdict.expect(bool(log.refusals), "the frozen broker was not noticed")
    verdict.expect(not slow, f"{len(slow)} answers took longer than {ANSWER_S_MAX} s")
    # When it answers again, all that was refused comes at once: some may be told to come later.
    verdict.expect(statuses - {"429"} == {"503"}, f"refusals were {sorted(statuses)}, not 503")
    show(
        verdict,
        **{
            "frozen for seconds": frozen_s,
            "refused": len(log.refusals),
            "slowest refusal in seconds": round(max((s for _, s in log.refusals), default=0.0), 2),
            "reports refused at least once": len([one for one in log.sent if one.refused]),
            "of them arrived by a refused try": len(late),
            "of them another case when sent again": again,
            "restarts": sum(running.servers.supervisor.restarts().values()),
            "seconds to rest": round(rest_s, 1),
        },
    )
    return verdict, log


async def _arrived_late(running: Running, log: Log) -> list[Sent]:
    """Return the reports of which a try arrived that had been answered with 503."""
    facts = await read_facts(state_of(running), (INTAKE_EVENTS,))
    return by_a_refused_try(log, Counter(fact.subject for fact in facts))


def by_a_refused_try(log: Log, records: Mapping[str, int]) -> list[Sent]:
    """Choose the refused reports of which more records arrived than were confirmed.

    `records` counts them by case; the id is derived here, whatever intake answered.
    """
    return [
        one
        for one in log.sent
        if any(status == REFUSED for status, _ in one.refused)
        and records.get(str(case_id(TENANT, DEMO_FRONT_END, one.key)), 0)
        > (one.case_id is not None)
    ]


async def _send_again(running: Running, log: Log) -> int:
    """Send every refused report once more, with its key; return how many are another case now."""
    given = [
        (one, body) for one, body in zip(log.sent, bodies(running), strict=False) if one.refused
    ]
    replayed = await send_all(state_of(running), [(one.key, body) for one, body in given])
    async with Watch(state_of(running)) as watch:
        await watch.until_quiet(REST_S_MAX)
    return sum(replayed.cases.get(one.key) != one.case_id for one, _ in given)


async def _cases(running: Running) -> int:
    conn = await asyncpg.connect(running.dsn("routing"))
    count: int = await conn.fetchval("SELECT count(*) FROM cases")
    await conn.close()
    return count


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
        rest_s = await watch.until_quiet(REST_S_MAX)
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
