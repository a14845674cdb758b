"""HTTP in: what staff find in their app. Whoever asks sees his own, by his token."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, TypeAdapter

from services.chassis.clock import Offsets
from services.chassis.http import Problem
from services.chassis.postgres import DOOR_WAIT_S
from services.doors.route import JsonRoute
from services.doors.who import Authorization
from services.notify.api import Door
from services.notify.store import inbox
from services.notify.store.inbox import Kept, Place

_PAGE_MAX = 100
_PARTS = {"unread": False, "read": True}  # of a cursor
_AWARE: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


class InboxMessageView(BaseModel):
    """One message; times are the tenant's."""

    message_id: UUID
    case_id: UUID
    notice: str
    text: str
    stored_at: datetime
    read_at: datetime | None


class Inbox(BaseModel):
    """Somebody's messages, the unread first, each part the newest first.

    `unread` is counted up to 1,000; `next` is the cursor of the next page, if there is one.
    """

    unread: int
    messages: list[InboxMessageView]
    next: str | None


def make_router(door: Door) -> APIRouter:
    """Make the endpoints of the inbox."""
    router = APIRouter(prefix="/v1", tags=["inbox"], route_class=JsonRoute)

    @router.get("/inbox", responses={400: {"description": "The cursor is none of ours"}})
    async def get_inbox(
        authorization: Authorization = None,
        cursor: Annotated[str | None, Query(max_length=100)] = None,
        limit: Annotated[int, Query(ge=1, le=_PAGE_MAX)] = 50,
    ) -> Inbox:
        who, behind = door.who(authorization), _place(cursor)
        mine = (who.tenant_id, who.staff)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            found = await inbox.page(conn, *mine, behind, limit + 1)
            unread = await inbox.count_unread(conn, *mine)
            offsets = (await door.towns.offsets(conn, [who.tenant_id]))[who.tenant_id]
        shown = found[:limit]
        more = _cursor(shown[-1]) if len(found) > limit else None
        return Inbox(unread=unread, messages=[_view(one, offsets) for one in shown], next=more)

    @router.post("/inbox/{message_id}/read", status_code=204)
    async def post_read(message_id: UUID, authorization: Authorization = None) -> None:
        who = door.who(authorization)
        async with door.pool.acquire(timeout=DOOR_WAIT_S) as conn:
            if not await inbox.mark_read(conn, who.tenant_id, who.staff, message_id):
                zh, en = "您没有这条消息。", "You have no such message."
                raise Problem(404, "message_not_found", zh, en)

    return router


def _view(kept: Kept, offsets: Offsets) -> InboxMessageView:
    return InboxMessageView(
        message_id=kept.message_id,
        case_id=kept.case_id,
        notice=kept.notice,
        text=kept.words,
        stored_at=offsets.tenant_time(kept.stored_at),
        read_at=offsets.tenant_time(kept.read_at) if kept.read_at else None,
    )


def _cursor(last: Kept) -> str:
    at = last.stored_at.astimezone(UTC).isoformat()
    return f"{'read' if last.read_at else 'unread'}_{at.replace('+00:00', 'Z')}_{last.message_id}"


def _place(cursor: str | None) -> Place | None:
    """Read a cursor.

    Raises:
        Problem: 400, it is none of ours.
    """
    if cursor is None:
        return None
    try:
        part, at, message_id = cursor.split("_")
        return Place(_PARTS[part], _AWARE.validate_python(at), UUID(message_id))
    except (KeyError, ValueError) as error:
        zh, en = (
            "cursor 不对，请用上一页给出的 next。",
            "Not a cursor: take `next` of the page before.",
        )
        raise Problem(400, "cursor_malformed", zh, en) from error
