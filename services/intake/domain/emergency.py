"""What must not wait in a queue: words that tell of fire, crime or injury, and whom to call.

It only ever adds advice: the case opens all the same, so a word too many harms nobody. A word that
is denied ("没有着火") or part of a matter for the office ("火灾隐患") is passed over.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from unicodedata import normalize

_BLANK = re.compile(r"[\s\u200b-\u200f\ufeff]+")
# Right before the word: a denial, perhaps with what goes between. "有没有着火" denies nothing, nor
# does "家里没人，着火了", with or without its comma.
_DENIED = re.compile(
    r"(?:(?<!有)没有?|(?<!是)不是|(?<!会)不会|未曾?|并非|无|防止?|预防|避免|谨防)"
    r"(?:再|发生|出现|引发|引起|造成|任何)*$"
)
_MATTER = re.compile(r"隐患|演练|演习|预案|宣传|知识|培训|保险|警报器|报警器")
_BEFORE = 12  # characters that are looked at before a word


@dataclass(frozen=True, slots=True)
class Emergency:
    """One number to call, what it is for, and the words that tell of it."""

    call: str
    zh: str
    en: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """Whom to call, and the word that said so."""

    emergency: Emergency
    because: str


def advise(said: Iterable[str], emergencies: Sequence[Emergency]) -> tuple[Advice, ...]:
    """Return whom to call for what was said: each number once, in the order of the list."""
    text = _BLANK.sub("", normalize("NFKC", "。".join(said)))
    found = []
    for one in emergencies:
        because = next((word for word in one.words if _tells(text, word)), None)
        if because is not None:
            found.append(Advice(one, because))
    return tuple(found)


def _tells(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        denied = _DENIED.search(text[max(0, at - _BEFORE) : at])
        if not denied and not _MATTER.match(text, end):
            return True
        at = text.find(word, end)
    return False


def may_tell(body: bytes, words: Iterable[bytes]) -> bool:
    """Tell at a glance, before a body is read, whether it is worth reading in a crowd.

    Escaped characters cannot be told yet; words with blanks inside are not looked for.
    """
    return b"\\u" in body or any(word in body for word in words)
