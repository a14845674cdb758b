"""Sealing of personal data: a data key per subject, wrapped by the tenant's key, beside the text.

AES-256-GCM throughout; the associated data `tenant|subject|field` ties a sealed text to its
place. Tokens are base64(nonce | ciphertext | tag). The key file is JSON:
`{"pepper": b64, "tenants": {"<id>": {"kid": "k1", "keys": {"k1": b64}, "index": b64}}}` with
32-byte keys; `index` makes digests that must outlive a rotation (tracking codes, body digests).
"""

import hmac
import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class CannotOpen(ValueError):  # noqa: N818 - a state of the text, not a fault of the caller
    """A sealed text does not open: wrong key, wrong place, or altered. Never says the text."""


@dataclass(frozen=True, slots=True)
class SealedFields:
    """Sealed texts by field name, with the wrapped data key that they share."""

    kid: str
    key: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TenantKeys:
    kid: str
    keys: Mapping[str, bytes]
    index: bytes


class KeyRing:
    """The tenants' keys, read from the key file; new ones are found by reading it again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tenants: dict[str, TenantKeys] = {}
        self._read()

    def _read(self) -> None:
        read_at = self._path.stat().st_mtime
        try:
            content = json.loads(self._path.read_bytes())
            pepper = b64decode(content["pepper"])
            tenants = {name: _keys_of(entry) for name, entry in content["tenants"].items()}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            # Not now: no record is at fault, and what was known before stays.
            raise OSError(f"the key file {self._path} cannot be read") from error
        self.pepper, self._tenants, self._read_at = pepper, tenants, read_at

    def tenant(self, tenant_id: str, kid: str | None = None) -> TenantKeys:
        """Return a tenant's keys.

        Raises:
            CannotOpen: the key file does not know the tenant.
            OSError: the key file cannot be read.
        """
        known = self._tenants.get(tenant_id)
        missing = known is None or (kid is not None and kid not in known.keys)
        if missing and self._path.stat().st_mtime != self._read_at:
            self._read()
        try:
            return self._tenants[tenant_id]
        except KeyError as error:
            raise CannotOpen(f"the key file has no keys for tenant {tenant_id}") from error

    def seal(
        self,
        tenant_id: str,
        subject: str,
        texts: Mapping[str, str],
        like: SealedFields | None = None,
    ) -> SealedFields:
        """Seal texts under the subject's data key, taken from `like`, or under a fresh one.

        Raises:
            CannotOpen: the data key of `like` does not open.
        """
        tenant = self.tenant(tenant_id)
        if like is None:
            kid, data_key = tenant.kid, os.urandom(32)
            wrapped = _encrypt(tenant.keys[kid], data_key, f"{tenant_id}|{subject}")
        else:
            kid, wrapped = like.kid, like.key
            data_key = self._data_key(tenant_id, subject, like)
        fields = {
            name: _encrypt(data_key, text.encode(), f"{tenant_id}|{subject}|{name}")
            for name, text in texts.items()
        }
        return SealedFields(kid, wrapped, fields)

    def open(
        self, tenant_id: str, subject: str, sealed: SealedFields, names: set[str]
    ) -> dict[str, str]:
        """Open the named fields, those that are there.

        Raises:
            CannotOpen: wrong key, wrong place, or altered.
        """
        data_key = self._data_key(tenant_id, subject, sealed)
        try:
            return {
                name: _decrypt(data_key, token, f"{tenant_id}|{subject}|{name}").decode()
                for name, token in sealed.fields.items()
                if name in names
            }
        except (ValueError, InvalidTag) as error:
            raise CannotOpen(f"a sealed text of {subject} does not open") from error

    def _data_key(self, tenant_id: str, subject: str, sealed: SealedFields) -> bytes:
        keys = self.tenant(tenant_id, sealed.kid).keys
        try:
            return _decrypt(keys[sealed.kid], sealed.key, f"{tenant_id}|{subject}")
        except (KeyError, ValueError, InvalidTag) as error:
            raise CannotOpen(f"the data key of {subject} does not open") from error

    def body_mac(self, tenant_id: str, body: bytes) -> str:
        """Return a digest which tells two bodies apart and tells nothing of either."""
        return _digest(self.tenant(tenant_id).index, b"body", body).hex()[:32]

    def tracking_code(self, tenant_id: str, subject: str) -> str:
        """Return 12 Crockford characters (60 bits) which nobody can guess from the subject."""
        number = int.from_bytes(_digest(self.tenant(tenant_id).index, b"track", subject.encode()))
        return "".join(_CROCKFORD[(number >> (5 * n)) & 31] for n in range(12))

    def api_key_digest(self, api_key: str) -> str:
        """Return what is kept of an API key."""
        return _digest(self.pepper, b"api-key", api_key.encode()).hex()


def _keys_of(entry: Mapping[str, Any]) -> TenantKeys:
    keys = {kid: b64decode(key) for kid, key in entry["keys"].items()}
    return TenantKeys(entry["kid"], keys, b64decode(entry["index"]))


def _digest(key: bytes, purpose: bytes, text: bytes) -> bytes:
    return hmac.new(key, purpose + b"|" + text, sha256).digest()


def _encrypt(key: bytes, plain: bytes, place: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return b64encode(nonce + AESGCM(key).encrypt(nonce, plain, place.encode())).decode()


def _decrypt(key: bytes, token: str, place: str) -> bytes:
    raw = b64decode(token, validate=True)
    return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
