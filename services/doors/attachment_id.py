"""An attachment's id: the same content is the same id in a tenant, and says nothing of it.

`id = digest | mac`, 32 hexadecimal characters each: both HMACs under the tenant's index key, which
no rotation changes. Intake gives an id out once it has kept the content. Whoever holds the keys can
tell from memory that an id was given out, and for which tenant; nobody else can make one up.
"""

from collections.abc import Iterable
from hashlib import sha256
from hmac import compare_digest

from services.chassis.http import Problem
from services.chassis.seal import KeyRing

_DIGEST_CHARS = 32


def attachment_id(keys: KeyRing, tenant_id: str, content: bytes) -> str:
    """Return the id of a content in a tenant.

    Raises:
        CannotOpen, OSError: the tenant's keys are not to be had.
    """
    digest = keys.body_mac(tenant_id, b"attachment|" + sha256(content).digest())
    return digest + _mac(keys, tenant_id, digest)


def is_given_out(keys: KeyRing, tenant_id: str, given: str) -> bool:
    """Tell whether this is the id of something that intake keeps for the tenant."""
    digest, mac = given[:_DIGEST_CHARS], given[_DIGEST_CHARS:]
    return given.isascii() and compare_digest(mac, _mac(keys, tenant_id, digest))


def check_given_out(keys: KeyRing, tenant_id: str, field: str, given: Iterable[str]) -> None:
    """Refuse a list with ids that were never given out for the tenant.

    Raises:
        Problem: 422 naming each by its place in the list, such as `attachments.1`.
        CannotOpen, OSError: the tenant's keys are not to be had.
    """
    faults = [
        {"field": f"{field}.{n}", "message": _UNKNOWN}
        for n, one in enumerate(given)
        if not is_given_out(keys, tenant_id, one)
    ]
    if faults:
        named = ", ".join(fault["field"] for fault in faults)
        zh = f"没有这样的附件：{named}。请先上传，再填返回的编号。"
        en = f"No such attachment: {named}. Post each first and send the id that you get."
        raise Problem(422, "attachment_unknown", zh, en, errors=faults)


_UNKNOWN = "应为 POST /v1/attachments 返回的编号。 Expected an id from POST /v1/attachments."


def _mac(keys: KeyRing, tenant_id: str, digest: str) -> str:
    return keys.body_mac(tenant_id, b"attachment-id|" + digest.encode())
