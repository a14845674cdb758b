"""Many reports at once: each is answered as it would be alone, and a bad one costs no good one.

All of them are published before anything is answered, so a 202 on a line is worth what it is at
the single door.
"""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import TypeAlias, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from services.chassis.http import Json, Problem, read_json
from services.doors.body import too_large
from services.intake.accept import Acceptor, Ready
from services.intake.checks import checked_key, shaped, traceparent
from services.intake.registry import Granted
from services.intake.report import Report
from services.intake.settings import IntakeSettings

NDJSON = "application/x-ndjson"
_KEY = "idempotency_key"
_LINE = re.compile(rb"[^ \t\r\n][^\n]*")  # from its first character that JSON does not pass over
_BREATH_S = 0.01  # for so long lines are checked before others have their turn

T = TypeVar("T")
Prepare: TypeAlias = Callable[[], Ready]
Result: TypeAlias = dict[str, Json]


class Batches:
    """Accepts many at the same counter as single reports, within limits of their own."""

    def __init__(self, acceptor: Acceptor, settings: IntakeSettings) -> None:
        self._acceptor, self._settings = acceptor, settings
        self._under_way = 0

    async def post_cases(self, request: Request) -> Response:
        return await self._acceptor.answer(request, self._post_cases)

    async def _post_cases(self, request: Request) -> Response:
        granted = self._acceptor.who(request)
        async with self.place():
            body = await self._acceptor.body(request, self._settings.batch_bytes_max)
            lines = self.counted(_lines(body))
            if not lines:
                zh = "这一批是空的：每行写一件上报。"
                en = "This batch is empty: send one report on each line."
                raise Problem(400, "batch_empty", zh, en)
            ready = partial(
                self._acceptor.ready,
                granted=granted,
                trace=traceparent(request),
                strained=self._acceptor.strained(request, granted),
            )
            made = {n: partial(self._ready, line, ready) for n, line in lines}
            results = await self.take(request, granted, made)
        told = (json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in results)
        return Response("".join(f"{line}\n" for line in told), media_type=NDJSON)

    def _ready(self, line: bytes, ready: Callable[[Report, str], Ready]) -> Ready:
        if len(line) > self._settings.body_bytes_max:
            raise too_large(self._settings.body_bytes_max)
        said = read_json(line)
        key = said.pop(_KEY, None) if isinstance(said, dict) else None
        report = shaped(Report, said)
        return ready(report, checked_key(key, _KEY))

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Let in so many batches at once, since each is held in memory whole."""
        if self._under_way >= self._settings.batches_max:
            zh, en = "此刻批量太多，请稍后重发。", "Too many batches at once: send again later."
            raise Problem(429, "overloaded", zh, en, {"Retry-After": "1"})
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def counted(self, given: Iterable[T]) -> list[T]:
        """Return all of a batch that is not too long.

        Raises:
            Problem: 413 naming the limit; nothing of it is taken.
        """
        limit = self._settings.batch_lines_max
        batch = list(islice(given, limit + 1))
        if len(batch) > limit:
            zh = f"一批最多 {limit} 件，这一批更多，一件也没有收：请分批重发。"
            en = f"At most {limit} in a batch, this one has more: none was taken, send it in parts."
            raise Problem(413, "batch_too_long", zh, en, limit=limit)
        return batch

    def charge_for_size(self, request: Request, granted: Granted, size: int) -> int:
        """Charge a batch as many as would be as large alone, before it is read; return how many.

        No more than a quota that is full: it is to come through once in a while.

        Raises:
            Problem: 429, the quota is used up.
        """
        burst = min(front_end.burst for _, front_end in granted.values())
        more = min(size // self._settings.body_bytes_max, burst - 1)
        for _ in range(more):
            self._acceptor.charge(request, granted)
        return 1 + more

    async def take(
        self, request: Request, granted: Granted, made: Mapping[int, Prepare], paid: int = 1
    ) -> list[Result]:
        """Publish those that are right, and tell what became of each, in order.

        Each costs as much of the quota as it would alone; those that are right come first, and for
        the first of them the request has `paid`.
        """
        ready, bad = await parted(made)
        for n in [*ready, *bad][paid:]:
            try:
                self._acceptor.charge(request, granted)
            except Problem as problem:
                ready.pop(n, None)
                bad[n] = problem
        by_case: dict[object, dict[int, Ready]] = defaultdict(dict)
        for n, one in ready.items():
            by_case[one.event.subject_id][n] = one
        results = {n: _refused(n, problem) for n, problem in bad.items()}
        async with asyncio.TaskGroup() as tasks:
            for of_case in by_case.values():
                tasks.create_task(self._publish(of_case, results))
        return [results[n] for n in sorted(results)]

    async def _publish(self, of_case: Mapping[int, Ready], results: dict[int, Result]) -> None:
        """Publish what is of one case one after the other: the first of a key is the one."""
        for n, one in of_case.items():
            try:
                taken = await self._acceptor.take(one, among_many=True)
            except Problem as problem:
                results[n] = _refused(n, problem)
            else:
                results[n] = {"line": n, "status": int(HTTPStatus.ACCEPTED), **taken}


async def parted(made: Mapping[int, Prepare]) -> tuple[dict[int, Ready], dict[int, Problem]]:
    """Part what is right from what is not; others have their turn meanwhile."""
    ready: dict[int, Ready] = {}
    bad: dict[int, Problem] = {}
    breathed_at = time.monotonic()
    for n, prepare in made.items():
        try:
            ready[n] = prepare()
        except Problem as problem:
            bad[n] = problem
        if time.monotonic() - breathed_at > _BREATH_S:
            await asyncio.sleep(0)
            breathed_at = time.monotonic()
    return ready, bad


def _refused(number: int, problem: Problem) -> Result:
    result = {"line": number, "status": problem.status, "problem": problem.body}
    wait_s = (problem.headers or {}).get("Retry-After")
    return {**result, "retry_after_s": int(wait_s)} if wait_s else result


def _lines(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Number the lines from 1; blank ones are passed over, however many they are."""
    number, at = 1, 0
    for line in _LINE.finditer(body):
        number += body.count(b"\n", at, line.start())
        at = line.start()
        yield number, line[0]
