"""Taking attachments in and handing them out.

What comes in is told by its bytes, drawn anew where it is an image, and kept before its id is given
out; the database knows of it until a case names it. Staff read what is attached to a case that is
theirs; a front end reads what it has posted.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import structlog
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S, Pool
from services.chassis.seal import CannotOpen, KeyRing
from services.chassis.token import Identity
from services.doors.attachment_id import attachment_id, is_given_out
from services.intake import attached
from services.intake.accept import Acceptor
from services.intake.checks import named_tenant, not_ready
from services.intake.contents import Contents, Damaged, Record, StoreDown
from services.intake.domain.evidence import Evidence
from services.intake.domain.reach import reader_of
from services.intake.gate import overloaded
from services.intake.registry import Granted, Registry
from services.intake.settings import IntakeSettings
from services.intake.unnamed import Unnamed
from services.intake.vetting import Vetting, kind_of

log = structlog.get_logger()

KEPT_AS = {"image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf"}
# Whoever opens one in a browser gets a file, and nothing in it runs there.
_SAFE = {
    "Cache-Control": "private, no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
}


class PositionView(BaseModel):
    """A point, in degrees."""

    lat: float
    lon: float
    crs: Literal["wgs84"] = "wgs84"


class EvidenceView(BaseModel):
    """What the camera wrote of when and where; ISO 8601, with an offset where it wrote one."""

    taken_at: str | None
    position: PositionView | None


class AttachmentView(Record):
    """What is known of an attachment. The id goes into `attachments` of a report or `proof`."""

    attachment_id: str
    evidence: EvidenceView


class Attachments:
    """The counter for attachments. How many are on their way at once is this process's own."""

    def __init__(
        self,
        settings: IntakeSettings,
        acceptor: Acceptor,
        registry: Registry,
        keys: KeyRing,
        pool: Pool,
        contents: Contents,
    ) -> None:
        self._settings, self._acceptor, self._registry = settings, acceptor, registry
        self._keys, self._pool, self._contents = keys, pool, contents
        self.unnamed = Unnamed(settings, pool, contents)
        self._vetting = Vetting(settings)
        self._at_once = 0

    async def post(self, request: Request, tenant: str | None) -> Response:
        """Keep what is posted; the same content is the same id."""
        granted = self._acceptor.who(request)
        if self._acceptor.strained(request, granted):
            raise overloaded()
        tenant_id, front_end, _ = self._acceptor.town(named_tenant(tenant, granted), granted)
        async with self._room(tenant_id):
            content = await self._acceptor.body(
                request,
                self._settings.attachment_bytes_max,
                self._settings.attachment_body_deadline_s,
            )
            kind = kind_of(content)
            id_ = await asyncio.to_thread(attachment_id, self._keys, tenant_id, content)
            await self.unnamed.renew(tenant_id, id_)
            known = await self._known(tenant_id, id_)
            if known is None:
                await self.unnamed.check_room(tenant_id, front_end, len(content))
                vetted = await self._vetting.vetted(content, kind)
                record, evidence = vetted.record, vetted.evidence
                await self.unnamed.note(tenant_id, id_, front_end, record.bytes)
                await self._contents.put(tenant_id, id_, vetted.content, record, evidence)
            else:
                record, evidence, _ = known
            await self._contents.note_poster(tenant_id, id_, front_end)
        headers = {"Location": f"/v1/attachments/{id_}"}
        return JSONResponse(_told(id_, record, evidence), 200 if known else 201, headers)

    async def _known(self, tenant_id: str, id_: str) -> tuple[Record, Evidence, bytes] | None:
        """Return what is here already; what is damaged is to be mended by what has come."""
        try:
            return await self._contents.get(tenant_id, id_)
        except Damaged as error:
            log.warning("attachment_damaged", tenant_id=tenant_id, error=str(error))
            return None

    async def get(self, id_: str, who: Identity | Granted) -> Response:
        """Hand out what is kept, as a file."""
        tenant_id = await self._reader(id_, who)
        record, _, content = await self._kept(tenant_id, id_)
        name = f"{id_[:12]}.{KEPT_AS[record.media_type]}"
        headers = {**_SAFE, "Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, 200, headers, record.media_type)

    async def get_record(self, id_: str, who: Identity | Granted) -> Response:
        """Tell what is known of it, with what its camera wrote."""
        tenant_id = await self._reader(id_, who)
        record, evidence, _ = await self._kept(tenant_id, id_)
        return JSONResponse(_told(id_, record, evidence), 200, _SAFE)

    async def _kept(self, tenant_id: str, id_: str) -> tuple[Record, Evidence, bytes]:
        async with self._room(tenant_id):
            found = await self._contents.get(tenant_id, id_)
        if found is None:
            raise _not_found()
        return found

    async def _reader(self, id_: str, who: Identity | Granted) -> str:
        """Return the tenant in which somebody may read it.

        Raises:
            Problem: 404, whatever the reason.
        """
        if isinstance(who, Identity):
            if self._is_of(who.tenant_id, id_) and await self._is_theirs(id_, who):
                return who.tenant_id
            raise _not_found()
        for tenant_id, (front_end, _) in who.items():
            if self._is_of(tenant_id, id_):
                async with self._room(tenant_id):
                    if await self._contents.was_posted_by(tenant_id, id_, front_end):
                        return tenant_id
        raise _not_found()

    def _is_of(self, tenant_id: str, id_: str) -> bool:
        try:
            return is_given_out(self._keys, tenant_id, id_)
        except CannotOpen:
            return False

    async def _is_theirs(self, id_: str, who: Identity) -> bool:
        town = self._registry.towns.get(who.tenant_id)
        parents = {name: unit.parent for name, unit in town.units.items()} if town else {}
        reader = reader_of(who.units, who.department, parents)
        async with self._pool.acquire(timeout=DOOR_WAIT_S) as conn:
            return await attached.is_read_by(conn, who.tenant_id, id_, reader)

    @asynccontextmanager
    async def _room(self, tenant_id: str) -> AsyncIterator[None]:
        """Hold one of the few places, and tell what is the matter with keys or store."""
        if self._at_once >= self._settings.attachments_at_once_max:
            zh, en = "此刻附件太多，请稍后重发。", "Too many attachments at once: send again later."
            raise Problem(429, "overloaded", zh, en, {"Retry-After": "2"})
        self._at_once += 1
        try:
            yield
        except StoreDown as error:
            log.warning("attachment_not_kept", tenant_id=tenant_id, error=str(error))
            zh = "附件存储暂时不可用，什么都没有留下，请稍后重发；上报不受影响。"
            en = "The store of attachments is not available; nothing was kept. Send again later."
            raise Problem(503, "attachment_store_down", zh, en, {"Retry-After": "5"}) from error
        except Damaged as error:
            log.error("attachment_damaged", tenant_id=tenant_id, error=str(error))  # noqa: TRY400 - the text says which
            zh, en = "附件已损坏，请联系运维。", "The attachment is damaged: tell the operators."
            raise Problem(500, "attachment_damaged", zh, en) from error
        except (CannotOpen, OSError) as error:
            log.error("attachment_not_opened", tenant_id=tenant_id, error=type(error).__name__)  # noqa: TRY400 - the kind says it all
            raise not_ready() from error
        finally:
            self._at_once -= 1


def _not_found() -> Problem:
    """Say the same whether it is not there, another town's, or of a case that is not theirs."""
    zh = "没有这个附件，或者您没有权限查看。刚刚上报的，请稍后再试。"
    en = "No such attachment, or it is not yours to see. If just reported, try again in a minute."
    return Problem(404, "attachment_not_found", zh, en)


def _told(id_: str, record: Record, seen: Evidence) -> dict[str, Any]:
    position = None
    if seen.lat is not None and seen.lon is not None:
        position = PositionView(lat=seen.lat, lon=seen.lon)
    evidence = EvidenceView(taken_at=seen.taken_at, position=position)
    view = AttachmentView(attachment_id=id_, **record.model_dump(), evidence=evidence)
    return view.model_dump(mode="json")
