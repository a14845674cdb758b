"""The pages, rendered: whole for those who come, in parts for those who watch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import blake2s
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.console.domain import spoken
from services.console.domain.board import urgency
from services.console.domain.summary import sentence
from services.console.domain.words import WORDS, Language, Words
from services.console.settings import ConsoleSettings
from services.console.snapshot import Snapshot
from services.console.store.look import TownCount
from services.console.towns import Town
from services.console.views import LampView, RowView, Speaker

PAGES = Path(__file__).parent / "pages"
STATIC = PAGES / "static"

Size = Literal["normal", "large"]
# What the browser says by itself between two looks.
_SPOKEN = (
    "span_minutes", "span_hours", "span_hours_minutes", "span_days", "span_days_hours", "left",
    "left_little", "late", "late_just", "until", "was_due", "at", "just_now", "minutes_ago",
    "hours_ago", "days_ago", "today", "tomorrow", "yesterday", "date", "date_year", "header_date",
    "weekdays", "months", "link_live", "link_connecting", "link_stale", "link_last", "held",
    "gone", "printed",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """How one reader wants the pages."""

    language: Language = "zh"
    size: Size = "normal"

    @property
    def words(self) -> Words:
        return WORDS[self.language]


@dataclass(frozen=True, slots=True)
class Said:
    """A moment as it is said at one look."""

    iso: str
    exact: str
    rel: str
    abs: str


@dataclass(frozen=True, slots=True)
class Saying:
    """Says moments as they are at one look."""

    now: datetime
    zone: ZoneInfo
    words: Words

    def due(self, at: datetime) -> Said:
        text = self.words.was_due if at <= self.now else self.words.until
        return self._said(at, spoken.remaining(at, self.now, self.words), text)

    def came(self, at: datetime) -> Said:
        return self._said(at, spoken.ago(at, self.now, self.words), self.words.at)

    def moment(self, at: datetime) -> Said:
        said = spoken.moment(at, self.now, self.zone, self.words)
        return Said(at.isoformat(), self.exact(at), "", said)

    def _said(self, at: datetime, rel: str, text: str) -> Said:
        said = text.format(at=spoken.moment(at, self.now, self.zone, self.words))
        return Said(at.isoformat(), self.exact(at), rel, said)

    def exact(self, at: datetime) -> str:
        return spoken.exact(at, self.zone)

    def brief(self, at: datetime) -> str:
        """Say a moment by the time alone where it is of today."""
        if at.astimezone(self.zone).date() == self.now.astimezone(self.zone).date():
            return spoken.clock_time(at, self.zone)
        return spoken.moment(at, self.now, self.zone, self.words)

    @property
    def clock(self) -> str:
        day = spoken.header_date(self.now, self.zone, self.words)
        return f"{day} {spoken.clock_time(self.now, self.zone)}"


@dataclass(frozen=True, slots=True)
class View:
    """A look in one language: its lines in order, and what stands around them."""

    title: str
    lines: Mapping[str, RowView]
    digests: Mapping[str, str]
    head: str
    foot: str
    acts: str


class Pages:
    """Renders; what many readers see alike is rendered once."""

    def __init__(self, settings: ConsoleSettings) -> None:
        url = settings.sandbox_url
        self._sandbox = f"{url.scheme}://{url.host}:{url.port}" if url else None
        self._linked = settings.ledger_url is not None  # else there is no page of a grid
        self._env = make_environment()
        self.headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": _policy(self._sandbox),
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        self._view = lru_cache(maxsize=64)(self._make_view)
        self._rows = lru_cache(maxsize=16)(self._make_rows)
        self.news = lru_cache(maxsize=256)(self._make_news)

    def board(self, found: Snapshot, look: Look, heard_ms: int, *, several: bool) -> str:
        words = look.words
        speaker = Speaker(found.town, words)
        name = speaker.town_name(found.tenant_id)
        view = self._view(found, look.language)
        return self._render(
            "board.html",
            look,
            view=view,
            rows=self._rows(found, look.language),
            town=name,
            tenant_id=found.tenant_id,
            board=found,
            say=_saying(found, words),
            zone=str(found.town.zone),
            heard_ms=heard_ms,
            fact_ms=_ms(found.fact_at),
            spoken=json.dumps({key: getattr(words, key) for key in _SPOKEN}, ensure_ascii=False),
            sandbox=self._sandbox,
            several=several,
        )

    def towns(self, listed: Sequence[tuple[TownCount, Town]], look: Look) -> str:
        named = [
            (count, Speaker(town, look.words).town_name(count.tenant_id)) for count, town in listed
        ]
        return self._render("towns.html", look, towns=named)

    def message(self, which: str, look: Look) -> str:
        """Say what is the matter: `which` names the two texts."""
        words = look.words
        return self._render(
            "message.html",
            look,
            title=getattr(words, f"{which}_title"),
            text=getattr(words, f"{which}_text"),
            demo=which == "no_towns",
            back=which == "no_such_town",
        )

    def _make_news(self, found: Snapshot, before: Snapshot | None, language: Language) -> str:
        """Say what has changed since an earlier look: all, where that is not known any more."""
        view = self._view(found, language)
        known = self._view(before, language) if before else None
        digests = known.digests if known else {}
        changed = [n for n, digest in view.digests.items() if digests.get(n) != digest]
        news: dict[str, Any] = {
            "title": view.title,
            "rows": self._render_rows(found, language, changed),
            "order": list(view.lines),
        }
        for part in ("head", "foot", "acts"):
            if known is None or getattr(known, part) != getattr(view, part):
                news[part] = getattr(view, part)
        return json.dumps(news, ensure_ascii=False, separators=(",", ":"))

    def _make_view(self, found: Snapshot, language: Language) -> View:
        words = WORDS[language]
        speaker = Speaker(found.town, words)
        lines = {row.number: speaker.row(row) for row in found.rows}
        name = speaker.town_name(found.tenant_id)
        late = found.counts.late
        title = words.title_late if late else words.title
        given: dict[str, Any] = {
            "words": words,
            "say": _saying(found, words),
            "board": found,
            "parts": sentence(found.counts, words),
            "states": speaker.counts(found.states),
            "acts": [(told.act.at, speaker.act(told)) for told in found.acts],
        }
        return View(
            title=title.format(town=name, n=late),
            lines=lines,
            digests={number: line.digest for number, line in lines.items()},
            head=self._env.get_template("head.html").render(given),
            foot=self._env.get_template("foot.html").render(given),
            acts=self._env.get_template("acts.html").render(given),
        )

    def _make_rows(self, found: Snapshot, language: Language) -> list[str]:
        return self._render_rows(found, language, [row.number for row in found.rows])

    def _render_rows(
        self, found: Snapshot, language: Language, numbers: Sequence[str]
    ) -> list[str]:
        view, words = self._view(found, language), WORDS[language]
        say, template = _saying(found, words), self._env.get_template("row.html")
        how = {row.number: urgency(row, found.now) for row in found.rows}
        return [
            template.render(
                row=(line := view.lines[number]),
                digest=view.digests[number],
                how=how[number],
                words=words,
                tenant_id=found.tenant_id,
                linked=self._linked,
                due=say.due(line.due_at) if line.due_at else None,
                soon_ms=_ms(line.soon_at or line.due_at),
                came=say.came(line.received_at),
                lamps=[_lamp(lamp, say) for lamp in line.lamps],
            )
            for number in numbers
        ]

    def _render(self, template: str, look: Look, **more: Any) -> str:  # noqa: ANN401 - what a template asks for
        return self._env.get_template(template).render(look=look, words=look.words, **more)


def make_environment() -> Environment:
    """Make what renders our templates: whatever is filled in is escaped."""
    env = Environment(
        loader=FileSystemLoader(PAGES / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["asset"] = _asset
    return env


def _saying(found: Snapshot, words: Words) -> Saying:
    return Saying(found.now, found.town.zone, words)


def _lamp(lamp: LampView, say: Saying) -> tuple[LampView, Said | None, Said | None]:
    due = say.due(lamp.due_at) if lamp.due_at else None
    return lamp, due, say.moment(lamp.came_at) if lamp.came_at else None


def _ms(at: datetime | None) -> int | None:
    return round(at.timestamp() * 1000) if at else None


def _policy(sandbox: str | None) -> str:
    """Nothing comes from elsewhere; only the sandbox, where there is one, may be framed."""
    return (
        "default-src 'self'; base-uri 'none'; form-action 'none'; object-src 'none'; "
        f"frame-ancestors 'none'; frame-src {sandbox or chr(39) + 'none' + chr(39)}"
    )


@lru_cache
def _asset(name: str) -> str:
    """Return a file's address, which changes with its content."""
    digest = blake2s((STATIC / name).read_bytes(), digest_size=4).hexdigest()
    return f"/static/{name}?v={digest}"
