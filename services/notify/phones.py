"""Numbers as digests: enough to know one again, and nothing more."""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.notify.domain.contacts import mobile


def digest(keys: KeyRing, number: str) -> str:
    """Return what is kept of a number; however its country is written, it is the same."""
    text = mobile(number) or number
    return hmac.new(keys.pepper, f"phone|{text}".encode(), sha256).hexdigest()


def digest_of(
    keys: KeyRing, tenant_id: str, subject: str, sealed: Mapping[str, Any] | None
) -> str | None:
    """Open a sealed contact and return its number's digest; None for one that has none."""
    if sealed is None:
        return None
    try:
        opened = keys.open(tenant_id, subject, SealedFields(**sealed), {"phone"})
    except (CannotOpen, OSError):
        return None
    return digest(keys, opened["phone"]) if "phone" in opened else None
