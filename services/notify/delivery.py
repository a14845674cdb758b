"""One call to a provider: the contact is opened here, at the moment of sending, and nowhere else.

Nothing that an error says is kept: it may hold a number.
"""

import time
from collections.abc import Mapping

import structlog

from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.notify.channels.port import Channel, OutMessage, Question
from services.notify.claims import Job
from services.notify.domain.progress import (
    Missing,
    Outcome,
    Permanent,
    RetryLater,
    Unknown,
)
from services.notify.domain.turns import NO_ADAPTER, NO_CONTACT, STAFF
from services.notify.domain.wording import Template, text_of
from services.notify.record import Told
from services.telemetry import traces
from services.telemetry.metrics import count

log = structlog.get_logger()

CANNOT_OPEN = "cannot_open"
MALFORMED = "contact_malformed"
LATE = "late"
_INTERNAL = "internal_error"


class Deliverer:
    """Makes the calls. Whatever happens is news of the attempt; nothing is raised."""

    def __init__(
        self, keys: KeyRing, channels: Mapping[str, Channel], templates: Mapping[str, Template]
    ) -> None:
        self._keys, self._channels, self._templates = keys, channels, templates

    async def call(self, job: Job) -> Told:
        """Send a new attempt, or look an earlier one up."""
        with traces.span(f"send {job.channel}", "client", job.intent.traceparent) as span:
            masked, news = await self._call(job)
            outcome = type(news).__name__.lower()
            span.tell(chuishao__channel=job.channel, chuishao__outcome=outcome)
        count("chuishao_sends_total", channel=job.channel, outcome=outcome)
        return Told(job.intent.key, job.intent.case_id, job.number, news, masked)

    async def _call(self, job: Job) -> tuple[str | None, Outcome | Missing]:
        channel = self._channels.get(job.channel)
        if channel is None:
            return None, _of(job, Permanent(NO_ADAPTER))
        address = self._address(job, channel)
        if not isinstance(address, str):
            return None, _of(job, address)
        masked = None if channel.needs == STAFF else channel.masked(address)
        return masked, await self._reach(job, channel, address)

    def _address(self, job: Job, channel: Channel) -> str | Permanent | RetryLater:
        """Open the contact; the answer says why there is no address, and never the contact."""
        if channel.needs == STAFF:
            return job.intent.recipient
        if job.sealed is None:
            return Permanent(NO_CONTACT)
        tenant_id, needed = job.intent.tenant_id, channel.needs
        try:
            sealed = SealedFields(**job.sealed)
            opened = self._keys.open(tenant_id, job.subject, sealed, {needed})
        except CannotOpen as error:  # it names the key and whose it is, nothing else
            case_id = str(job.intent.case_id)
            log.warning(
                "contact_not_opened", tenant_id=tenant_id, case_id=case_id, reason=str(error)
            )
            return Permanent(CANNOT_OPEN)
        except OSError as error:
            log.warning("keys_not_read", error=type(error).__name__)
            return RetryLater(_INTERNAL)
        if needed not in opened:
            return Permanent(NO_CONTACT)
        return channel.address(opened[needed]) or Permanent(MALFORMED)

    async def _reach(self, job: Job, channel: Channel, address: str) -> Outcome | Missing:
        try:
            if job.begun_at is not None:
                return await channel.look_up(Question(job.attempt_id, address, job.begun_at))
            if time.monotonic() > job.late_at:
                return RetryLater(LATE)  # this process slept: the lease may be over by the answer
            name = text_of(job.intent.notice, job.channel, job.words)
            template = self._templates[name]
            values = template.values(job.words)
            message = OutMessage(job.attempt_id, address, name, values, template.text(values))
            return await channel.send(message)
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            log.error("call_failed", channel=job.channel, error=type(error).__name__)  # noqa: TRY400 - the traceback may hold the number
            return Unknown(_INTERNAL)


def _of(job: Job, refused: Permanent | RetryLater) -> Outcome:
    """Of an earlier attempt a missing address says nothing: that one may have gone out."""
    return Unknown(refused.code) if job.begun_at else refused
