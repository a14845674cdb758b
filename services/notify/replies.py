"""Replies: what people answer to a text about a slot, in batches, at least once.

Source: Aliyun Dysmsapi, receipts by HTTP batch push, `SmsUp`: a JSON array of `phone_number`,
`send_time` (China's wall clock), `content`, `sign_name`, `dest_code`, `sequence_id`; answered like
receipts. What was said is read and not kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Annotated
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.events import Event, effect_id
from contracts.facts import Actor, MessageRepliedV1
from contracts.topics import NOTIFY_EVENTS
from services.chassis import outbox
from services.chassis.clock import database_now
from services.chassis.http import Problem, read_json
from services.chassis.outbox import Outgoing
from services.chassis.postgres import Connection
from services.chassis.seal import KeyRing
from services.notify.domain.recipients import role_in
from services.notify.domain.replies import chosen, listed, read_reply
from services.notify.domain.town import Rules
from services.notify.domain.turns import Plan
from services.notify.domain.wording import REPLY_NONE, REPLY_UNCLEAR
from services.notify.phones import digest
from services.notify.receipts import PUSHED_MAX
from services.notify.record import SOURCE
from services.notify.store import cases, intents, replies, slots
from services.notify.store.intents import Intent, SlotKey
from services.notify.store.replies import Reply, Texted
from services.notify.towns import Towns
from services.telemetry.metrics import count

log = structlog.get_logger()

ALIYUN = "aliyun"
_CHINA = timezone(timedelta(hours=8))


class AliyunReply(BaseModel):
    """One element of the pushed array; what is not needed is not read."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    phone_number: Annotated[str, Field(min_length=1, max_length=32)]
    content: Annotated[str, Field(max_length=2_000)]
    send_time: Annotated[str, Field(max_length=32)] = ""
    sequence_id: Annotated[int | str, Field(union_mode="left_to_right")]


@dataclass(frozen=True, slots=True)
class Said:
    """One reply. `word` is a code, a bare 1, or nothing that we understand."""

    reply: Reply
    word: str | None = field(repr=False)
    replied_at: datetime | None = None


def read_replies(body: bytes, keys: KeyRing) -> list[Said]:
    """Read a batch; a reply that is none is counted and left out, or all would come again.

    Raises:
        Problem: it is not a list, or too long a one.
    """
    given = read_json(body)
    if not isinstance(given, list) or len(given) > PUSHED_MAX:
        zh, en = f"应为至多 {PUSHED_MAX} 条回复的列表。", f"Expected a list of up to {PUSHED_MAX}."
        raise Problem(400, "replies_malformed", zh, en)
    found = []
    for one in given:
        try:
            found.append(_said(AliyunReply.model_validate(one), keys))
        except ValidationError:
            count("chuishao_receipts_total", end="rejected")
            log.warning("reply_rejected", kind=ALIYUN)
    return found


def _said(told: AliyunReply, keys: KeyRing) -> Said:
    sequence_id = str(told.sequence_id).replace("\0", "")[:64]
    reply = Reply(ALIYUN, digest(keys, told.phone_number), sequence_id)
    return Said(reply, read_reply(told.content), _china_time(told.send_time))


def _china_time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=_CHINA)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Open:
    """A slot that somebody was texted about and may still report in for."""

    texted: Texted
    role: str
    code: str | None
    rules: Rules


class Replies:
    """Takes replies in the caller's transaction: a report-in is announced, a doubt answered."""

    def __init__(self, towns: Towns, answer_wait_s: float) -> None:
        self._towns, self._wait = towns, timedelta(seconds=answer_wait_s)

    async def take(self, conn: Connection, said: Sequence[Said]) -> None:
        """Take replies in order; of numbers that we never texted, nothing is answered."""
        fresh = await replies.put(conn, (one.reply for one in said))
        new = list({one.reply: one for one in said if one.reply in fresh}.values())
        digests = sorted({one.reply.phone_digest for one in new})
        last = await replies.known(conn, digests)
        awaited = await replies.awaited(conn, digests)
        await cases.hold(conn, {(one.tenant_id, one.case_id) for one in awaited})
        there = await self._open(conn, digests)
        for one in new:
            await self._take(conn, one, last.get(one.reply.phone_digest), there)
        count("chuishao_receipts_total", len(said) - len(new), end="known")

    async def _open(self, conn: Connection, digests: Sequence[str]) -> dict[str, list[_Open]]:
        """Read again, now that their cases are locked, who may report in for what."""
        awaited = await replies.awaited(conn, digests)
        keys = {(one.tenant_id, one.case_id) for one in awaited}
        codes = {key: slot.code for key, slot in (await slots.of_cases(conn, keys)).items()}
        kept = await cases.some(conn, keys)
        towns = await self._towns.known(conn, {one.tenant_id for one in awaited})
        found: dict[str, dict[SlotKey, _Open]] = {one: {} for one in digests}
        for one in awaited:
            case, town = kept[one.tenant_id, one.case_id].case, towns[one.tenant_id]
            rules = await self._towns.rules(conn, one.tenant_id, case.profile_version, town)
            role = role_in(town.town, one.department, one.staff, rules.reporters)
            if role is not None and rules.reply_as(case.case_class) is not None:
                slot = _Open(one, role, codes[one.slot], rules)
                found[one.phone_digest].setdefault(one.slot, slot)
        return {number: list(mine.values()) for number, mine in found.items()}

    async def _take(
        self, conn: Connection, one: Said, last: Texted | None, there: Mapping[str, list[_Open]]
    ) -> None:
        if last is None:
            count("chuishao_receipts_total", end="reply_foreign")
            return
        mine = there[one.reply.phone_digest]
        which = chosen(one.word, [slot.code for slot in mine])
        if which is not None:
            await self._announce(conn, one, mine[which])
            count("chuishao_receipts_total", end="replied")
            return
        count("chuishao_receipts_total", end="reply_unclear")
        if (mine or one.word) and await replies.may_answer(conn, one.reply, self._wait):
            await self._answer(conn, one, mine, last)

    async def _announce(self, conn: Connection, one: Said, slot: _Open) -> None:
        texted, means = slot.texted, slot.rules.reply_means
        if means is None:
            raise ValueError("a slot that takes no report-in by message was left out before")
        offsets = (await self._towns.offsets(conn, [texted.tenant_id]))[texted.tenant_id]
        event = Event(
            event_id=_id(texted.case_id, one.reply, "replied"),
            tenant_id=texted.tenant_id,
            subject_id=texted.case_id,
            occurred_at=offsets.tenant_time(await database_now(conn)),
            source=SOURCE,
            data=MessageRepliedV1(
                whistle_id=texted.whistle_id,
                department=texted.department,
                means=means,
                by=Actor(staff=texted.staff, role=slot.role),
                channel="sms",
                replied_at=one.replied_at,
            ),
        )
        await _publish(conn, [event])

    async def _answer(
        self, conn: Connection, one: Said, mine: Sequence[_Open], last: Texted
    ) -> None:
        """Text back which codes may be answered; it is a message like any other."""
        to = mine[0].texted if mine else last
        codes = listed([slot.code for slot in mine])
        key = (to.tenant_id, to.case_id)
        case, town = (
            (await cases.some(conn, [key]))[key],
            (await self._towns.known(conn, [to.tenant_id]))[to.tenant_id],
        )
        rules = await self._towns.rules(conn, to.tenant_id, case.case.profile_version, town)
        cause = _id(to.case_id, one.reply, "answered")
        answer = Intent(
            tenant_id=to.tenant_id,
            intent_id=effect_id(cause, to.staff),
            case_id=to.case_id,
            event_id=cause,
            traceparent="",
            notice=REPLY_UNCLEAR if codes else REPLY_NONE,
            rule="reply",
            recipient=to.staff,
            plan=Plan(("sms",), rules.tries_max, rules.wait_s),
            words={"codes": codes},
            due_at=None,
            timezone=rules.timezone,
        )
        await intents.insert(conn, [answer])
        count("chuishao_messages_total", state="planned")


def _id(case_id: UUID, reply: Reply, what: str) -> UUID:
    return effect_id(case_id, f"{what}|{reply.provider}|{reply.phone_digest}|{reply.sequence_id}")


async def _publish(conn: Connection, events: Iterable[Event]) -> None:
    rows = [Outgoing(NOTIFY_EVENTS.name, e.key, e.headers, e.body, lane_key=e.key) for e in events]
    await outbox.write(conn, rows)
