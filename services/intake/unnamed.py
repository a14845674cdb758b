"""Attachments that no case names: how many bytes a front end may have of them, and their end.

What no case has named some days after it was posted is hidden, so that no report can name it any
more. A day later, once whatever had named it before has been heard of, it is removed, or shown
again. Its row is locked meanwhile: nobody posts it or hears it named in between, and whoever dies
in between has left nothing that the next round does not bring to its end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import asyncpg
import structlog

from services.chassis.http import Problem, Work
from services.chassis.postgres import DOOR_WAIT_S, Connection, Pool, is_outage
from services.intake import posted
from services.intake.contents import Contents, StoreDown
from services.intake.posted import Due
from services.intake.settings import IntakeSettings
from services.telemetry.metrics import count

log = structlog.get_logger()

_ROUND_WAIT_S, _ASKED_S = 60.0, 0.5
_LEAST_BYTES = 16 * 1024  # a file, its mark and its directory take as much of a disk


class Unnamed:
    """Counts what is posted against its front end, and sweeps what no case has come to name."""

    def __init__(self, settings: IntakeSettings, pool: Pool, contents: Contents) -> None:
        self._pool, self._contents = pool, contents
        self._days = settings.attachment_unnamed_days
        self._bytes_max = settings.attachment_unnamed_bytes_max

    async def renew(self, tenant_id: str, id_: str) -> None:
        """Let what is posted again stay as long as if it were new."""
        async with self._at_the_door() as conn:
            await posted.renew(conn, tenant_id, id_, self._days)

    async def check_room(self, tenant_id: str, front_end: str, size: int) -> None:
        """Refuse more from a front end that has too much that no case names.

        Raises:
            Problem: 429 naming the limit.
        """
        async with self._at_the_door() as conn:
            used = await posted.unnamed_bytes(conn, tenant_id, front_end)
        if used + max(size, _LEAST_BYTES) > self._bytes_max:
            mib, days = self._bytes_max // 2**20, self._days
            zh = f"这个接入端上传后没有上报写到的附件已满 {mib} MiB，这一个没有收："
            zh += f"请先把已上传的写进上报，或等它们满 {days} 天后清理。"
            en = f"This front end's attachments that no case names have come to {mib} MiB; this "
            en += f"one is not kept. Name them in reports, or wait: they go after {days} days."
            headers = {"Retry-After": "3600"}
            raise Problem(429, "attachments_unnamed", zh, en, headers, limit=self._bytes_max)

    async def note(self, tenant_id: str, id_: str, front_end: str, size: int) -> None:
        """Note what is about to be kept: without a row nothing would ever sweep it."""
        async with self._at_the_door() as conn:
            charged = max(size, _LEAST_BYTES)
            await posted.note(conn, tenant_id, id_, front_end, charged, self._days)

    @contextlib.asynccontextmanager
    async def _at_the_door(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.acquire(timeout=DOOR_WAIT_S) as conn:
                yield conn
        except OSError as error:
            zh = "暂时收不了附件，请稍后重发；上报不受影响。"
            en = "Attachments cannot be taken now: send it again later. Reports go on."
            raise Problem(503, "not_now", zh, en, {"Retry-After": "5"}) from error

    async def sweep_until_stopped(self, work: Work) -> None:
        """Sweep, one after the other, until the service stops."""
        while not work.stopping.is_set():
            try:
                if await self.sweep_one():
                    continue
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if not is_outage(error):
                    raise  # a statement of ours is wrong
                log.warning("attachment_not_removed", error=repr(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(work.stopping.wait(), _ROUND_WAIT_S)

    async def sweep_one(self) -> bool:
        """Bring what has been due for longest a step further; tell whether there was any."""
        async with self._pool.acquire(timeout=DOOR_WAIT_S) as conn, conn.transaction():
            one = await posted.due(conn)
            if one is None:
                return False
            try:
                await self._decide(conn, one)
            except StoreDown as error:
                log.warning("attachment_not_removed", tenant_id=one.tenant_id, error=str(error))
                await posted.put_off(conn, one)
        return True

    async def _decide(self, conn: Connection, one: Due) -> None:
        if one.named:
            await self._contents.show(one.tenant_id, one.attachment_id)
            await posted.done(conn, one)
        elif not one.hidden:
            await self._contents.hide(one.tenant_id, one.attachment_id)
            await posted.hidden(conn, one)
        else:
            await self._contents.remove(one.tenant_id, one.attachment_id)
            await posted.done(conn, one)
            count("chuishao_attachments_swept_total")


async def check_kept(contents: Contents, tenant_id: str, ids: Sequence[str]) -> None:
    """Refuse to name what has been swept. A store that does not answer at once holds up no report.

    Raises:
        Problem: 422 naming each by its place in the list, such as `attachments.1`.
    """
    try:
        async with asyncio.timeout(_ASKED_S):
            gone = [n for n, id_ in enumerate(ids) if not await contents.is_kept(tenant_id, id_)]
    except (TimeoutError, StoreDown):
        return
    if gone:
        faults = [{"field": f"attachments.{n}", "message": _GONE} for n in gone]
        named = ", ".join(fault["field"] for fault in faults)
        zh = f"附件上传后太久没有写进上报，已经清理：{named}。请重新上传同一文件，再报一次。"
        en = f"Removed, since no case had named them: {named}. Post the same files again, then "
        en += "send this once more."
        raise Problem(422, "attachment_gone", zh, en, errors=faults)


_GONE = "已清理，请重新上传。 Removed: post it again."
