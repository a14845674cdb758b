"""What the API shows of messages: no contact but a masked one, and no text."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from services.chassis.clock import Offsets
from services.notify.domain.quiet import quiet_until
from services.notify.store.attempts import KeptAttempt
from services.notify.store.intents import KeptIntent


class AttemptView(BaseModel):
    """One try by one channel. `phone` is masked; times are the tenant's.

    `crossed` tells that it was under way when what it tells of was over: the report-in had come.
    """

    number: int
    channel: str
    state: str
    code: str | None
    phone: str | None
    segments: int | None
    started_at: datetime
    decided_at: datetime | None
    crossed: bool


class MessageView(BaseModel):
    """One message to one person: a staff id, `reporter`, or `role:…` that nobody holds.

    One with `department` tells of its part in `whistle_id`, and is void once that is over. Until
    `quiet_until` it is not begun.
    """

    message_id: UUID
    notice: str
    whistle_id: UUID | None
    department: str | None
    rule: str
    recipient: str
    channel: str | None
    state: str
    code: str | None
    created_at: datetime
    quiet_until: datetime | None
    decided_at: datetime | None
    attempts: list[AttemptView]


class Messages(BaseModel):
    """A case's messages, the oldest first. `more` tells that the page is full."""

    case_id: UUID
    messages: list[MessageView]
    more: bool


def message_view(
    kept: KeptIntent, attempts: Sequence[KeptAttempt], offsets: Offsets, now: datetime
) -> MessageView:
    """Show a message; `now` is real time."""
    intent = kept.intent
    quiet = intent.quiet if kept.state == "open" else None
    return MessageView(
        message_id=intent.intent_id,
        notice=intent.notice,
        whistle_id=intent.whistle_id,
        department=intent.department,
        rule=intent.rule,
        recipient=intent.recipient,
        channel=attempts[-1].attempt.channel if attempts else None,
        state=kept.state,
        code=kept.code,
        created_at=offsets.tenant_time(kept.created_at),
        quiet_until=quiet_until(quiet, offsets.tenant_time(now), intent.timezone),
        decided_at=_shown(kept.decided_at, offsets),
        attempts=[_attempt_view(one, offsets) for one in attempts],
    )


def _attempt_view(kept: KeptAttempt, offsets: Offsets) -> AttemptView:
    attempt = kept.attempt
    return AttemptView(
        number=attempt.number,
        channel=attempt.channel,
        state=attempt.state,
        code=attempt.code,
        phone=kept.contact,
        segments=kept.segments,
        started_at=offsets.tenant_time(kept.started_at),
        decided_at=_shown(kept.decided_at, offsets),
        crossed=kept.crossed,
    )


def _shown(at: datetime | None, offsets: Offsets) -> datetime | None:
    return offsets.tenant_time(at) if at else None
