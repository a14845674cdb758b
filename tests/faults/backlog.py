"""Routing is down while departments report in, and comes back long after their deadlines."""

import asyncio
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from contracts.facts import WhistleMissedV1
from deploy.cli.told import Town
from deploy.local.quiet import Watch
from tests.faults.calling import (
    act_by_events,
    advance,
    blow,
    give_key,
    open_urgent,
    slots_of,
    told,
)
from tests.faults.check import Verdict, check, show, until_rest
from tests.faults.ground import TENANT, ground, state_of

DEPARTMENTS = ("police", "justice", "court", "labour_arbitration", "legal_aid")
AWAY_S = 10 * 3_600
ABSENT_CASES = 10  # whose departments never come: these must be missed
_AT_ONCE = 10


async def run(place: Path, report_ins: int, rate: float) -> Verdict:
    """Hand in so many report-ins to a stopped routing; let ten hours pass; start it."""
    async with ground(place) as running:
        cases = report_ins // len(DEPARTMENTS) + ABSENT_CASES
        await give_key(running, TENANT, DEPARTMENTS)
        log = await open_urgent(running, TENANT, cases, rate)
        state = state_of(running)
        town = Town(state, TENANT)
        for one in log.accepted:
            assert one.case_id is not None
            await blow(town, one.case_id, DEPARTMENTS)
        async with Watch(state) as watch:
            await watch.until_quiet(120)
        before = await slots_of(state)
        coming = before[: report_ins // len(DEPARTMENTS) * len(DEPARTMENTS)]
        await running.stop("routing")
        for first in range(0, len(coming), _AT_ONCE):
            some = coming[first : first + _AT_ONCE]
            await asyncio.gather(*(act_by_events(running, TENANT, slot) for slot in some))
        await advance(state, TENANT, AWAY_S)
        await running.start("routing")
        rest_s = await until_rest(state)
        verdict = await check(state, log)
        came = {(slot["whistle_id"], slot["department"]) for slot in coming}
        outcomes = Counter[tuple[bool, str]]()
        for slot in await slots_of(state):
            outcomes[(slot["whistle_id"], slot["department"]) in came, slot["outcome"]] += 1
        missed = [event.data for event in await told(state)]
        told_missed = {
            (one.whistle_id, one.department) for one in missed if isinstance(one, WhistleMissedV1)
        }
        verdict.expect(outcomes[True, "missed"] == 0, "some who came in time are marked missed")
        verdict.expect(
            outcomes[True, "reported"] + outcomes[True, "corrected"] == len(coming),
            "not everybody who came in time is marked so",
        )
        verdict.expect(
            outcomes[False, "missed"] == ABSENT_CASES * len(DEPARTMENTS),
            "who never came is not marked missed",
        )
        show(
            verdict,
            **{
                "handed in while routing was down": len(coming),
                "virtual hours until it came back": AWAY_S // 3_600,
                "of them reported in time": outcomes[True, "reported"],
                "of them missed, then corrected": outcomes[True, "corrected"],
                "of them told as missed for a while": len(told_missed & came),
                "of them finally missed": outcomes[True, "missed"],
                "of them late": outcomes[True, "reported_late"],
                "never came": ABSENT_CASES * len(DEPARTMENTS),
                "of these missed": outcomes[False, "missed"],
                "seconds to rest": round(rest_s, 1),
            },
        )
        return verdict


def main(report_ins: int, rate: float) -> int:
    with TemporaryDirectory(prefix="faults-") as place:
        return 1 if asyncio.run(run(Path(place), report_ins, rate)).wrong else 0
