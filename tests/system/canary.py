"""A search for planted words in whatever shape they may lie open."""

import json
import re
from base64 import b64encode
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

_HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def shapes(word: str) -> set[bytes]:
    """Return how a word can look as bytes, wherever it begins in what is encoded."""
    plain = word.encode()
    kinds = {plain, word.encode("utf-16-le"), word.encode("utf-16-be"), word.encode("gb18030")}
    found = kinds | {json.dumps(word).strip('"').encode()}
    for quoted in (quote(word, safe=""), quote_plus(word), quote(word)):
        found |= {quoted.encode(), quoted.lower().encode()}
    for one in kinds:
        found |= {part for offset in range(3) for part in _in_base64(one, offset)}
        found |= {one.hex().encode(), one.hex().upper().encode()}
    return found


def _in_base64(plain: bytes, offset: int) -> Iterable[bytes]:
    """Yield what of a base64 text the word alone decides, `offset` bytes after a triple begins."""
    before, after = (0, 2, 3)[offset], (0, 3, 2)[(len(plain) + offset) % 3]
    whole = b64encode(b"\0" * offset + plain)
    part = whole[before : len(whole) - after]
    return part, part.translate(_URL_SAFE)


def lying_open(held: Iterable[bytes | str], words: Iterable[str]) -> list[str]:
    """Return the words that these show; hexadecimal, as dumps write bytes, is looked into."""
    parts = [one.encode(errors="surrogatepass") if isinstance(one, str) else one for one in held]
    hidden = [_unhexed(run) for part in parts for run in _HEX.findall(part)]
    whole = b"\n".join((*parts, *hidden))
    return [word for word in words if any(shape in whole for shape in shapes(word))]


def _unhexed(run: bytes) -> bytes:
    return bytes.fromhex(run.decode())
