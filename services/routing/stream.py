"""HTTP out: a department's stream. Who comes back with the last id he saw misses nothing."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from services.chassis.batch import is_passing
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S
from services.chassis.token import Identity
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.routing.door import Door
from services.routing.pull import Task, check_reader
from services.routing.settings import RoutingSettings
from services.routing.store import stream as store

_PAGE_MAX = 200
_LAST_ID_MAX = 2**63 - 1
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}
Position = Annotated[int | None, Query(ge=0, le=_LAST_ID_MAX)]


class Streams:
    """Streams of this process; all end at `closing`, each with its token."""

    def __init__(self, settings: RoutingSettings, door: Door, closing: asyncio.Event) -> None:
        self._door, self._closing = door, closing
        self._wait_s, self._beat_s = settings.stream_wait_s, settings.stream_beat_s
        self._max, self._open = settings.streams_max, 0

    async def begin(self, who: Identity, department: str, since: int | None) -> int:
        """Return the place behind which a stream begins: the last, unless told.

        Raises:
            Problem: 403, it is another department's; 409, nothing stands there yet, as after a
                restore; 503, too many are listening.
        """
        if self._open >= self._max:
            zh, en = "连接太多，请稍后再试。", "Too many streams: try again later."
            raise Problem(503, "too_many_streams", zh, en, {"Retry-After": "10"})
        async with self._door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            await check_reader(conn, self._door, who, department)
            await store.place(conn, who.tenant_id, department, _PAGE_MAX)
            last = await store.last(conn, who.tenant_id, department)
        if since is not None and since > last:
            zh = f"还没有这个编号，最后一条是 {last}。请用 since=0 重读，按 task_id 去重。"
            en = f"No record has this id yet, the last is {last}: read from since=0, drop repeats."
            raise Problem(409, "position_ahead", zh, en, field="since", last=last)
        return last if since is None else since

    async def follow(
        self, who: Identity, department: str, position: int, authorization: str | None
    ) -> AsyncGenerator[bytes, None]:
        """Send what stands behind a place, and whatever follows, until the token ends."""
        self._open += 1
        try:
            yield f"id: {position}\n\n".encode()
            beat_at = time.monotonic() + self._beat_s
            while not self._closing.is_set() and self._holds(authorization):
                rows = await self._next(who, department, position)
                for row in rows:
                    position = row["position"]
                    yield _message(row)
                if time.monotonic() >= beat_at:
                    beat_at = time.monotonic() + self._beat_s
                    yield b": beat\n\n"
                if len(rows) < _PAGE_MAX:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._closing.wait(), self._wait_s)
        finally:
            self._open -= 1

    def _holds(self, authorization: str | None) -> bool:
        try:
            self._door.who(authorization)
        except Problem:
            return False
        return True

    async def _next(
        self, who: Identity, department: str, position: int
    ) -> Sequence[Mapping[str, Any]]:
        try:
            async with self._door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
                await store.place(conn, who.tenant_id, department, _PAGE_MAX)
                return await store.behind(conn, who.tenant_id, department, position, _PAGE_MAX)
        except Exception as error:
            if not is_passing(error):
                raise
            return ()  # the database is away: the beat goes on


def make_router(door: Door, streams: Streams) -> APIRouter:
    """Make the endpoint of departments' streams."""
    router = APIRouter(prefix="/v1/departments", tags=["departments"], route_class=JsonRoute)

    @router.get("/{department}/stream", response_class=StreamingResponse, responses=_STREAM)
    async def get_stream(
        department: str,
        authorization: Authorization = None,
        since: Position = None,
        last_event_id: Annotated[int | None, Header(ge=0, le=_LAST_ID_MAX)] = None,
    ) -> StreamingResponse:
        who = door.who(authorization)
        asked = since if last_event_id is None else last_event_id
        position = await streams.begin(who, department, asked)
        events = streams.follow(who, department, position, authorization)
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(events, media_type="text/event-stream", headers=headers)

    return router


def _message(row: Mapping[str, Any]) -> bytes:
    told = Task(**row).model_dump_json()
    return f"id: {row['position']}\nevent: {row['type']}\ndata: {told}\n\n".encode()
