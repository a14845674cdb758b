"""The pages of a grid and of a household, rendered from what ledger told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from markupsafe import Markup

from services.console.domain import spoken
from services.console.domain.register_words import REGISTER_WORDS, RegisterWords
from services.console.render import Look, make_environment
from services.console.towns import Town
from services.console.views import Speaker, name

Told = Mapping[str, Any]
_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; object-src 'none'; "
    "frame-ancestors 'none'; frame-src 'none'"
)


class RegisterPages:
    """Renders. A form may be sent to ourselves alone."""

    headers: Mapping[str, str] = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "same-origin",  # without it a browser would not say whence a form comes
        "X-Content-Type-Options": "nosniff",
    }

    def __init__(self) -> None:
        self._env = make_environment()

    def grid(self, tenant: str, town: Town, told: Told, look: Look, now: datetime) -> str:
        say = Telling(town, REGISTER_WORDS[look.language], now)
        homes = sorted(
            told["households"],
            key=lambda one: (-one["late"], -one["open"], not one["watched"], one["id"]),
        )
        return self._render(
            "grid.html",
            look,
            tenant=tenant,
            say=say,
            told=told,
            cells=self._cells(say),
            homes=homes,
            staff=say.by_role(told["staff"]),
            findings=say.findings(told["findings"]),
            counted={
                "homes": len(homes),
                "persons": sum(one["persons"] for one in homes),
                "open": len(told["cases"]),
                "late": sum(one["late"] for one in told["cases"]),
                "watched": sum(one["watched"] for one in homes),
            },
        )

    def household(
        self,
        tenant: str,
        town: Town,
        told: Told,
        look: Look,
        now: datetime,
        asked: Mapping[str, str],
    ) -> str:
        say = Telling(town, REGISTER_WORDS[look.language], now)
        return self._render("household.html", look, tenant=tenant, say=say, told=told, asked=asked)

    def message(self, tenant: str, which: str, back: str, look: Look) -> str:
        """Say what is the matter: `which` names the two texts."""
        words = REGISTER_WORDS[look.language]
        title, text = getattr(words, f"{which}_title"), getattr(words, f"{which}_text")
        given = {"tenant": tenant, "title": title, "text": text, "which": which, "back": back}
        return self._render("register_message.html", look, **given)

    def sign_in(self, tenant: str, to: str, look: Look, *, bad: bool) -> str:
        return self._render("sign_in.html", look, tenant=tenant, to=to, bad=bad)

    def _cells(self, say: "Telling") -> "Cells":
        macros: Any = self._env.get_template("register_bar.html").module
        return Cells(say, lambda links: macros.linked(links, say.words, say))

    def _render(self, template: str, look: Look, **more: Any) -> str:  # noqa: ANN401 - what a template asks for
        words = REGISTER_WORDS[look.language]
        return self._env.get_template(template).render(look=look, words=words, **more)


class Cells:
    """Cells that many households of a grid have alike: each is rendered once."""

    def __init__(self, say: "Telling", render: Callable[[Sequence[Told]], Markup]) -> None:
        self._say, self._render = say, render
        self._linked: dict[tuple[tuple[object, ...], ...], Markup] = {}
        self._classed: dict[tuple[object, ...], Markup] = {}

    def links(self, links: Sequence[Told]) -> Markup:
        key = tuple((one["staff"], one["link"], one["by"], one["primary"]) for one in links)
        if key not in self._linked:
            self._linked[key] = self._render(links)
        return self._linked[key]

    def classes(self, home: Told) -> Markup:
        key = (home["household_class"], *home["more_classes"])
        if key not in self._classed:
            apart = (Markup("<bdi>{}</bdi> ").format(one) for one in self._say.classes(home))
            self._classed[key] = Markup().join(apart)
        return self._classed[key]


class Telling:
    """Says in one language what one town calls what ledger told by id."""

    def __init__(self, town: Town, words: RegisterWords, now: datetime) -> None:
        self.town, self.words, self.now = town, words, now
        self.profile = town.profile()
        self._speaker = Speaker(town, words)
        registry = self.profile.registry if self.profile else None
        self._classes = {one.id: one for one in registry.household_classes} if registry else {}
        self._links = {one.id: one for one in self.profile.links} if self.profile else {}

    def town_name(self, tenant: str) -> str:
        return self._speaker.town_name(tenant)

    def unit(self, unit_id: str | None) -> str:
        return self._speaker.unit(unit_id)

    def role(self, role: str) -> str:
        return self._speaker.role(self.profile, role)

    def category(self, category: str) -> str:
        return self._speaker.category(self.profile, category)

    def state(self, state: str) -> str:
        """Say a state; which flow it is of is not told, and its word is that of the first."""
        flows = self.profile.flows_by_id.values() if self.profile else ()
        named = next((flow.states[state] for flow in flows if state in flow.states), None)
        return name(named, state, self.words)

    def classes(self, home: Told) -> list[str]:
        given = [home.get("household_class"), *(home.get("more_classes") or ())]
        return [name(self._classes.get(one), one, self.words) for one in given if one]

    def link(self, link: str) -> str:
        return name(self._links.get(link), link, self.words)

    def in_short(self, counted: Mapping[str, int]) -> list[tuple[str, str]]:
        """Say what the grid comes to, part by part; what is none is left out."""
        words = self.words
        parts = (
            ("", words.homes_count, "homes"),
            ("", words.persons_count, "persons"),
            ("", words.open_now, "open"),
            ("late", words.late_now, "late"),
            ("", words.watched_count, "watched"),
        )
        return [(tone, text.format(n=counted[of])) for tone, text, of in parts if counted[of]] or [
            ("", words.homes_count.format(n=0))
        ]

    def by_role(self, staff: Sequence[Told]) -> list[tuple[str, list[Told]]]:
        grouped = groupby(staff, key=lambda one: str(one["role"]))
        return [(self.role(role), list(those)) for role, those in grouped]

    def findings(self, found: Iterable[Told]) -> list[tuple[str, str, list[str]]]:
        """Return level, text and the households for each kind of finding: one line for all."""
        lines: dict[tuple[str, str, str], list[str]] = {}
        for one in found:
            text = one["en"] if self.words.language == "en" else one["zh"]
            home = one["kind"] == "household"
            where = "" if home else one["name"]
            lines.setdefault((one["level"], where, text), []).extend([one["subject"]] * home)
        return [
            (level, f"{where}：{text}" if where else text, homes)
            for (level, where, text), homes in sorted(lines.items())
        ]

    def moment(self, at: str) -> str:
        return spoken.moment(datetime.fromisoformat(at), self.now, self.town.zone, self.words)

    def exact(self, at: str) -> str:
        return spoken.exact(datetime.fromisoformat(at), self.town.zone)

    def act(self, entry: Told) -> str:
        text = str(getattr(self.words, f"act_{entry['kind']}_{entry['act']}"))
        return text.format(id=entry["id"])

    def value(self, field: str, value: object) -> str:
        """Say what stands in a field, in the town's words where it is an id of theirs."""
        if value in (None, "", []):
            return self.words.empty_value
        if isinstance(value, bool):
            return self.words.yes if value else self.words.no
        if isinstance(value, list):
            return self.words.listed.join(self._word(field, one) for one in value)
        return self._word(field, value)

    def _word(self, field: str, value: object) -> str:
        text = str(value)
        match field:
            case "grid" | "group":
                return self.unit(text)
            case "household_class" | "more_classes":
                return name(self._classes.get(text), text, self.words)
            case "link":
                return self.link(text)
            case _:
                return text
