"""The page that shows every phone, and the stream that keeps it up to date."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from fastapi.sse import format_sse_event
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from deploy.sandbox.provider import Provider, TheProvider
from deploy.sandbox.receipts import HEARD, HUNG_UP
from deploy.sandbox.truth import Message
from deploy.sandbox.words import WORDS, Language, ago, clock_time, exact_time

JINJA = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
JINJA.filters.update(clock_time=clock_time, exact_time=exact_time)
COOKIE_AGE_S = 365 * 24 * 3600
BURST_PAUSE_S = 0.2

Size = Literal["normal", "large"]
Group = Annotated[str | None, Query(max_length=128)]


@dataclass(frozen=True, slots=True)
class Look:
    """How one reader wants the page."""

    lang: Language
    size: Size
    embed: bool
    group: str | None = None


class Page:
    """Renders cards; a full number never leaves this class."""

    def __init__(self, provider: Provider, names: dict[str, str]) -> None:
        self._provider = provider
        self._names = names
        self._salt = secrets.token_hex(8)
        self.boot = secrets.token_hex(4)
        self.streams: set[object] = set()
        self._page = JINJA.get_template("phones.html")
        self._card = JINJA.get_template("card.html")

    def whole(self, look: Look, endpoint: str) -> str:
        limit = self._provider.settings.page.phones_max
        phones = self._phones(look.group)[:limit]
        return self._page.render(
            look=look,
            words=WORDS[look.lang],
            cards=[self.card(phone, look.lang) for phone in phones],
            counts=self.counts(look.lang, look.group),
            position=self.position(),
            endpoint=endpoint,
            phones_max=limit,
        )

    def card(self, phone: str, lang: Language) -> str:
        words = WORDS[lang]
        now = self._provider.clock()
        messages = self._provider.messages
        shown = messages.newest(phone, self._provider.settings.page.texts_per_phone_max)
        return self._card.render(
            card_id=self.card_id(phone),
            name=self._names.get(phone),
            number=f"{phone[:3]}****{phone[-4:]}",
            tail=phone[-4:],
            total=messages.count(phone),
            texts=[(message, lamp(message)) for message in shown],
            state=state,
            ringing=next((message for message in shown if rings(message)), None),
            words=words,
            ago=lambda at: ago(at, now, words),
            can_reply=self._provider.replies.connected,
        )

    def card_id(self, phone: str) -> str:
        return f"phone-{sha256(f'{self._salt}{phone}'.encode()).hexdigest()[:12]}"

    def phone_of(self, card_id: str) -> str | None:
        """Return whose card it is."""
        phones = self._provider.messages.phones()
        return next((phone for phone in phones if self.card_id(phone) == card_id), None)

    def counts(self, lang: Language, group: str | None = None) -> str:
        messages, limit = self._provider.messages, self._provider.settings.page.phones_max
        phones = self._phones(group)
        texts = sum(messages.count(phone) for phone in phones)
        sentence = WORDS[lang]["counts"].format(phones=len(phones), messages=texts)
        return sentence + (WORDS[lang]["capped"].format(cards=limit) if len(phones) > limit else "")

    def belongs(self, phone: str, group: str | None) -> bool:
        """Whether a phone is of a group; a group that nobody set up is everybody."""
        return phone.startswith(self._provider.settings.page.groups.get(group or "", ("",)))

    def _phones(self, group: str | None) -> list[str]:
        return [phone for phone in self._provider.messages.phones() if self.belongs(phone, group)]

    def position(self) -> str:
        """Where a reader stands: which life of this process, and its clearings and changes."""
        messages = self._provider.messages
        return f"{self.boot}-{messages.clearings}-{messages.changes}"


def lamp(message: Message) -> str:
    if message.receipt is None:
        return "waiting"
    return "delivered" if message.receipt.success else "failed"


def state(message: Message) -> str:
    """Name what is known of a text or a call, as `WORDS` has it."""
    if not message.call:
        return lamp(message)
    if message.receipt is None:
        return "ringing"
    ends = {HEARD: "call_answered", HUNG_UP: "call_hung_up"}
    return ends.get(message.receipt.err_code, "call_missed")


def rings(message: Message) -> bool:
    return message.call and message.receipt is None and message.reached_at is not None


router = APIRouter()


@router.get("/phones")
async def show(
    request: Request,
    provider: TheProvider,
    lang: Language | None = None,
    size: Size | None = None,
    embed: Annotated[bool, Query()] = False,
    group: Group = None,
) -> Response:
    """Chinese unless asked otherwise; what was asked is remembered."""
    look = Look(
        lang=lang or ("en" if request.cookies.get("sandbox_lang") == "en" else "zh"),
        size=size or ("large" if request.cookies.get("sandbox_size") == "large" else "normal"),
        embed=embed,
        group=group,
    )
    endpoint = str(request.base_url).rstrip("/")
    html = page_of(request).whole(look, endpoint)
    response = HTMLResponse(html, headers=page_headers(provider))
    for name, asked in (("sandbox_lang", lang), ("sandbox_size", size)):
        if asked:
            response.set_cookie(
                name, asked, COOKIE_AGE_S, path="/phones", httponly=True, samesite="lax"
            )
    return response


class ReplyBody(BaseModel):
    """What is answered on a phone."""

    model_config = ConfigDict(extra="forbid")
    content: Annotated[str, Field(min_length=1, max_length=500)]


@router.post("/phones/{card_id}/replies", status_code=HTTPStatus.ACCEPTED)
async def reply(card_id: str, body: ReplyBody, request: Request, provider: TheProvider) -> None:
    """Answer the last text on a phone, as its owner would."""
    phone = page_of(request).phone_of(card_id)
    of_phone = provider.messages.find(phone, None) if phone else ()
    texts = [message for message in of_phone if not message.call]
    if not texts or not provider.replies.connected:
        raise HTTPException(HTTPStatus.NOT_FOUND, "no such phone, or nobody hears replies")
    provider.replies.answer(texts[-1], body.content)


@router.get("/phones/events")
async def stream(
    request: Request,
    provider: TheProvider,
    lang: Language = "zh",
    group: Group = None,
    since: Annotated[str, Query(max_length=64)] = "",
    last_event_id: Annotated[str, Header(max_length=64)] = "",
) -> Response:
    page = page_of(request)
    if len(page.streams) >= provider.settings.page.streams_max:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many open pages")
    events = follow(provider, page, lang, last_event_id or since, group)
    return StreamingResponse(
        occupy(page.streams, events),
        media_type="text/event-stream",
        headers=page_headers(provider),
    )


def page_of(request: Request) -> Page:
    page: Page = request.app.state.page
    return page


def page_headers(provider: Provider) -> dict[str, str]:
    """Nothing from elsewhere is loaded; who may frame the page is said by the operator."""
    ancestors = " ".join(provider.settings.page.frame_ancestors)
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; "
        f"object-src 'none'; frame-ancestors {ancestors}",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }


async def occupy(streams: set[object], events: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Hold a place among the streams as long as somebody listens."""
    place = object()
    streams.add(place)
    try:
        async for event in events:
            yield event
    finally:
        streams.discard(place)


async def follow(
    provider: Provider, page: Page, lang: Language, position: str, group: str | None
) -> AsyncIterator[bytes]:
    """Cards as they change; a heartbeat when nothing does; `reset` when the page is of no use."""
    messages = provider.messages
    boot, _, rest = position.partition("-")
    clearings, _, changes = rest.partition("-")
    if boot != page.boot or clearings != str(messages.clearings) or not changes.isdecimal():
        yield format_sse_event(event="reset", data_str="{}", id=page.position())
        return
    seen = int(changes)
    clearings_seen = messages.clearings
    while not provider.closing.is_set():
        if messages.clearings != clearings_seen:
            yield format_sse_event(event="reset", data_str="{}", id=page.position())
            return
        changed = messages.changed_since(seen)[-provider.settings.page.phones_max :]
        seen = messages.changes
        news = {
            "cards": [page.card(phone, lang) for phone in changed if page.belongs(phone, group)],
            "counts": page.counts(lang, group),
        }
        yield format_sse_event(event="news", data_str=json.dumps(news), id=page.position())
        if changed:
            await pause(provider.closing, BURST_PAUSE_S)
        if messages.changes == seen:
            await wait_for_news(provider)


async def wait_for_news(provider: Provider) -> None:
    """Until something changes, the heart must beat, or the process stops."""
    waits = [
        asyncio.ensure_future(provider.messages.wait()),
        asyncio.ensure_future(provider.closing.wait()),
    ]
    try:
        await asyncio.wait(
            waits,
            timeout=provider.settings.page.heartbeat_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        for wait in waits:
            wait.cancel()


async def pause(closing: asyncio.Event, seconds: float) -> None:
    """A busy hour must not make a page of two hundred phones render a thousand times a second."""
    with suppress(TimeoutError):
        await asyncio.wait_for(closing.wait(), seconds)
