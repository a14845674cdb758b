"""Receipts: the operator's word comes a while after the send and is told until it is taken.

Two loops, so that a callback that hangs does not make the page late. Told at least once, in
batches; a batch that is not confirmed comes again, perhaps behind later ones.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

import httpx
import structlog
from pydantic import HttpUrl

from deploy.sandbox.due import DueQueue
from deploy.sandbox.faults import (
    OPERATOR_FAILURE,
    ReceiptBeforeAnswer,
    ReceiptDelayed,
    ReceiptDuplicated,
    ReceiptFailed,
    ReceiptFault,
    ReceiptLost,
    ReceiptOutOfOrder,
)
from deploy.sandbox.messages import Messages
from deploy.sandbox.settings import ReceiptSettings
from deploy.sandbox.truth import Message, Receipt

CHINA = timezone(timedelta(hours=8), "+08:00")
DELIVERED = "DELIVERED"
# Of a call: heard to its end, hung up before that, not answered.
HEARD, HUNG_UP, NOT_ANSWERED = "200000", "200001", "200003"
CALL_WORDS = {HEARD: "用户听完语音", HUNG_UP: "用户提前挂机", NOT_ANSWERED: "用户收到呼叫但未接听"}
GATHER_S = 0.05  # receipts that come closely are pushed together, as providers do
RETRY_FACTOR = 2.0

log = structlog.get_logger("sandbox")


@dataclass(frozen=True, slots=True)
class Fate:
    """What will become of one message's receipt."""

    delay_s: float
    reaches: bool = True
    err_code: str = DELIVERED
    copies: int = 1
    held_s: float = 0.0
    before_answer: bool = False
    lost: bool = False
    dtmf: str = ""


def decide_fate(delay_s: float, faults: Sequence[ReceiptFault]) -> Fate:
    """All faults that strike one message, taken together."""
    failed = next((fault for fault in faults if isinstance(fault, ReceiptFailed)), None)
    before_answer = any(isinstance(fault, ReceiptBeforeAnswer) for fault in faults)
    held_s = max((f.seconds for f in faults if isinstance(f, ReceiptOutOfOrder)), default=0.0)
    return Fate(
        delay_s=delay_s + sum(f.seconds for f in faults if isinstance(f, ReceiptDelayed)),
        reaches=failed is None or failed.when == "after",
        err_code=failed.err_code if failed else DELIVERED,
        copies=max((f.times for f in faults if isinstance(f, ReceiptDuplicated)), default=1),
        held_s=0.0 if before_answer else held_s,
        before_answer=before_answer,
        lost=any(isinstance(fault, ReceiptLost) for fault in faults),
    )


def fate_after_restart(message: Message, delay_s: float) -> Fate:
    """The plan died with the process; what the phone shows did not."""
    reached = message.reached_at is not None
    if message.call:
        return Fate(delay_s, reached, NOT_ANSWERED)
    return Fate(delay_s, reached, DELIVERED if reached else OPERATOR_FAILURE)


def china_time(at: datetime) -> str:
    """As the provider writes it: China's wall clock, without a zone."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def receipt_body(message: Message, receipt: Receipt) -> dict[str, str | bool]:
    """One element of the pushed array."""
    return {
        "phone_number": message.phone,
        "send_time": china_time(message.accepted_at),
        "report_time": china_time(receipt.reported_at),
        "success": receipt.success,
        "err_code": receipt.err_code,
        "err_msg": receipt.err_msg,
        "sms_size": str(message.segments),
        "biz_id": message.biz_id,
        "out_id": message.out_id,
    }


def call_body(message: Message, receipt: Receipt) -> dict[str, str]:
    """One element of the pushed array about a call, a `VoiceReport`: all its values are texts."""
    at, answered = china_time(receipt.reported_at), receipt.err_code in (HEARD, HUNG_UP)
    return {
        "call_id": message.biz_id,
        "out_id": message.out_id,
        "caller": message.sign_name,
        "callee": message.phone,
        "originate_time": china_time(message.accepted_at),
        "start_time": at if answered else "",
        "end_time": at,
        "duration": "10" if answered else "0",
        "status_code": receipt.err_code,
        "status_msg": receipt.err_msg,
        "hangup_direction": "用户" if receipt.err_code == HUNG_UP else "机器",
        "dtmf": receipt.dtmf,
        "voice_type": "voice",
    }


def confirms(verdict: object) -> bool:
    """Only the number 0 does; a body that merely looks successful brings the receipts again."""
    code = verdict.get("code") if isinstance(verdict, dict) else None
    return type(code) is int and code == 0


@dataclass(slots=True, eq=False)
class Push:
    """A receipt on its way to the callback."""

    message: Message
    receipt: Receipt
    fate: Fate
    copies: int
    attempts: int = 0
    done: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)


class Reporter:
    """Decides when the operator's word is in, and tells it to the callback."""

    def __init__(
        self,
        settings: ReceiptSettings,
        messages: Messages,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._messages = messages
        self._clock = clock
        self._due: DueQueue[tuple[Message, Fate]] = DueQueue(settings.pending_max)
        self._pushes: DueQueue[Push] = DueQueue(settings.pending_max)
        self._held: list[Push] = []
        self.running = False

    def expect(self, message: Message, fate: Fate) -> None:
        """The operator will have its say in a while."""
        if not fate.lost:
            self._due.put(fate.delay_s, (message, fate))

    async def report_and_push(self, message: Message, fate: Fate) -> None:
        """The receipt overtakes the answer: return once the callback has been called."""
        push = self._report(message, fate)
        if push:
            with suppress(TimeoutError):
                await asyncio.wait_for(push.tried.wait(), self._settings.timeout_s * 2)

    def resume(self) -> None:
        """After a restart: ask the operator again, and tell what was never confirmed."""
        for message in self._messages.every():
            fate = fate_after_restart(message, self._settings.delay_s)
            if message.receipt is None:
                self.expect(message, fate)
            elif message.receipt_taken_at is None:
                self._push(message, message.receipt, fate)

    def forget(self) -> None:
        """Nobody is told anything more about what has been sent so far."""
        self._due.clear()
        self._pushes.clear()
        self._held.clear()

    async def run(self) -> None:
        self.running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._report_due())
                if self._settings.callback_url or self._settings.calls_url:
                    tasks.create_task(self._push_due())
        finally:
            self.running = False

    async def _report_due(self) -> None:
        while True:
            for message, fate in await self._due.take(self._settings.batch_max):
                self._report(message, fate)

    def end_call(self, message: Message, key: str) -> None:
        """Somebody has answered a call: he pressed a key, or hung up without one."""
        self._report(message, Fate(0, err_code=HEARD if key else HUNG_UP, dtmf=key))

    def _report(self, message: Message, fate: Fate) -> Push | None:
        success = fate.err_code in (DELIVERED, HEARD)
        words = "用户接收成功" if success else "用户接收失败"
        receipt = Receipt(
            success=success,
            err_code=fate.err_code,
            err_msg=CALL_WORDS.get(fate.err_code, words),
            reported_at=self._clock(),
            dtmf=fate.dtmf,
        )
        known = self._messages.report(message.message_id, receipt)
        return self._push(known, receipt, fate) if known else None

    def _push(self, message: Message, receipt: Receipt, fate: Fate) -> Push | None:
        if self._url(message) is None:
            return None
        push = Push(message, receipt, fate, copies=fate.copies)
        if fate.held_s:
            self._held.append(push)
        self._pushes.put(fate.held_s, push)
        return push

    def _url(self, message: Message) -> HttpUrl | None:
        return self._settings.calls_url if message.call else self._settings.callback_url

    async def _push_due(self) -> None:
        timeout = httpx.Timeout(self._settings.timeout_s)
        # Proxies of the environment are for the world outside; the callback is a neighbour.
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            while True:
                due = await self._pushes.take(self._settings.batch_max)
                # One that was held back may stand here twice.
                batch = [push for push in dict.fromkeys(due) if not push.done]
                for call in (False, True):
                    alike = [push for push in batch if push.message.call is call]
                    if alike:
                        self._settle(alike, taken=await self._tell(client, alike))
                await asyncio.sleep(GATHER_S)

    async def _tell(self, client: httpx.AsyncClient, batch: Sequence[Push]) -> bool:
        """True if the callback has said that it has them."""
        url, make = (
            self._url(batch[0].message),
            call_body if batch[0].message.call else receipt_body,
        )
        body = [make(push.message, push.receipt) for push in batch]
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                answer = await client.post(str(url), json=body)
            verdict = answer.json() if answer.is_success else None
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            log.info("receipts_not_taken", receipts=len(batch), reason=type(error).__name__)
            return False
        if not confirms(verdict):
            log.info("receipts_not_taken", receipts=len(batch), reason=answer.status_code)
        return confirms(verdict)

    def _settle(self, batch: Sequence[Push], *, taken: bool) -> None:
        for push in batch:
            push.attempts += 1
            push.tried.set()
            if taken:
                self._settle_taken(push)
            elif push.attempts < self._settings.attempts_max:
                self._pushes.put(self._back_off_s(push.attempts), push)
            else:
                log.warning("receipt_given_up", biz_id=push.message.biz_id)
        if taken:
            self._release_held()

    def _settle_taken(self, push: Push) -> None:
        push.copies -= 1
        if push.copies > 0:
            self._pushes.put(0, push)
            return
        push.done = True
        if push in self._held:
            self._held.remove(push)
        self._messages.take(push.message.message_id, self._clock())

    def _release_held(self) -> None:
        """Another receipt has gone first: those held back are out of order now."""
        held, self._held = self._held, []
        for push in held:
            self._pushes.put(0, push)

    def _back_off_s(self, attempts: int) -> float:
        settings = self._settings
        # 2**30 seconds outlast any setting; without the bound the power would overflow.
        wait_s = settings.retry_first_s * RETRY_FACTOR ** min(attempts - 1, 30)
        return min(wait_s, settings.retry_longest_s)
