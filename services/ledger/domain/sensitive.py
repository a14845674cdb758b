"""Sensitive groups: under which names their entries are kept, so that a row names nobody.

Keyed digests stand for the person and for the group and the person together.
"""

import hmac

_BYTES = 16


def person_mark(key: bytes, person: str) -> str:
    """Return what stands for a person."""
    return _mark(key, "person", person)


def place_of(key: bytes, group: str, person: str) -> str:
    """Return what a person's entry in a group is kept under, and what its texts are bound to.

    No record of the registry has such an id, so neither opens in the other's place.
    """
    return f"sensitive|{_mark(key, 'place', f'{group}|{person}')}"


def _mark(key: bytes, purpose: str, text: str) -> str:
    return hmac.digest(key, f"sensitive|{purpose}|{text}".encode(), "sha256")[:_BYTES].hex()
