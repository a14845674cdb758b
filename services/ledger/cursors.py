"""Where a page ended, as its reader carries it: sealed, and good for him and his question alone."""

import hmac
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES, _OVERHEAD = 12, 12 + 16


def sealed(index_key: bytes, question: list[object], place: str) -> str:
    """Return a cursor that names a place to nobody."""
    nonce = os.urandom(_NONCE_BYTES)
    shut = _cipher(index_key).encrypt(nonce, place.encode(), _bound(question))
    return urlsafe_b64encode(nonce + shut).decode().rstrip("=")


def opened(index_key: bytes, question: list[object], cursor: str) -> str:
    """Return the place that a cursor was made of.

    Raises:
        ValueError: it was made for another question, for somebody else, or by hand.
    """
    raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    if len(raw) < _OVERHEAD:
        raise ValueError("no cursor of ours")
    nonce, shut = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
    try:
        return _cipher(index_key).decrypt(nonce, shut, _bound(question)).decode()
    except InvalidTag:
        raise ValueError("no cursor for this question") from None


def _cipher(index_key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(index_key, b"cursor", "sha256"))


def _bound(question: list[object]) -> bytes:
    return json.dumps(question, ensure_ascii=False, sort_keys=True).encode()
