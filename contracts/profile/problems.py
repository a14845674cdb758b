"""What is wrong with a profile, said so that its writer can mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from reprlib import Repr

LISTED_MAX = 20
SHOWN_MAX = 60

_SHORT = Repr()
_SHORT.maxlevel = 3
_SHORT.maxstring = _SHORT.maxother = SHOWN_MAX


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. `path` leads to it by ids; each text says what is wrong, expected, to be done."""

    path: str
    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.path}：{self.zh}\n{self.path}: {self.en}"


class ProfileError(ValueError):
    """A profile that cannot be used. Its text lists every fault, Chinese first, then English."""

    def __init__(self, problems: tuple[Problem, ...], source: str = "") -> None:
        super().__init__(problems, source)
        self.problems = problems
        self.source = source

    def __str__(self) -> str:
        count = len(self.problems)
        of = f"（{self.source}）" if self.source else ""
        lines = [
            f"配置有 {count} 处问题{of} / {count} problem{'s' if count > 1 else ''} in the profile"
        ]
        for number, problem in enumerate(self.problems, 1):
            lead = f"{number:>3}. "
            lines.append(lead + str(problem).replace("\n", "\n" + " " * len(lead)))
        return "\n".join(lines)


def did_you_mean(word: object, known: Iterable[str]) -> tuple[str, str]:
    """Return the nearest known word as a clause in Chinese and in English, or two empty texts."""
    near = get_close_matches(str(word), sorted(known), n=1)
    return (f"，是不是 {near[0]!r}？", f" — did you mean {near[0]!r}?") if near else ("", "")


def listed(words: Iterable[str]) -> str:
    """Return the words in one line, cut where there are too many to read."""
    words = tuple(words)
    text = ", ".join(words[:LISTED_MAX])
    return f"{text}, …" if len(words) > LISTED_MAX else text


def shown(value: object) -> str:
    """Return a value as it may stand in a sentence: quoted, and cut where it is long or deep."""
    text = _SHORT.repr(value)
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"
