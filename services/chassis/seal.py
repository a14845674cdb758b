"""Sealing of personal data: a data key per subject, wrapped by the tenant's key, beside the text.

AES-256-GCM throughout; the associated data `tenant|subject|field` ties a sealed text to its
place. Tokens are base64(nonce | ciphertext | tag). The key file is JSON:
`{"pepper": b64, "tenants": {"<id>": {"kid": "k1", "keys": {"k1": b64}, "index": b64}}}` with
32-byte keys; `index` makes digests that must outlive a rotation (tracking codes, body digests).
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Base64Bytes, BaseModel, ValidationError

Texts = Mapping[str, str]  # by field
_NONCE_BYTES = 12
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class CannotOpen(ValueError):  # noqa: N818 - a state of the text, not a fault of the caller
    """A sealed text does not open: wrong key, wrong place, or altered. Never says the text."""


@dataclass(frozen=True, slots=True)
class SealedFields:
    """Sealed texts by field name, with the wrapped data key that they share."""

    kid: str
    key: str
    fields: Texts


class TenantKeys(BaseModel):
    kid: str
    keys: dict[str, Base64Bytes]
    index: Base64Bytes


class _KeyFile(BaseModel):
    pepper: Base64Bytes
    tenants: dict[str, TenantKeys]


class KeyRing:
    """The tenants' keys, read from the key file, and again as soon as it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read()

    def _read(self) -> None:
        read_at = self._path.stat().st_mtime_ns
        try:
            content = _KeyFile.model_validate_json(self._path.read_bytes())
        except ValidationError:  # not now: no record is at fault, and what was known before stays
            raise OSError(f"the key file {self._path} cannot be read") from None
        self.pepper, self._tenants, self._read_at = content.pepper, content.tenants, read_at

    def tenant(self, tenant_id: str, kid: str | None = None) -> TenantKeys:
        """Return a tenant's keys.

        Raises:
            CannotOpen: the key file does not know the tenant.
            OSError: the key file cannot be read.
        """
        try:
            if self._path.stat().st_mtime_ns != self._read_at:
                self._read()
        except OSError:  # what is known opens without the file
            if (had := self._tenants.get(tenant_id)) is None or kid not in (None, *had.keys):
                raise
        if (known := self._tenants.get(tenant_id)) is None:
            raise CannotOpen(f"the key file has no keys for tenant {tenant_id}")
        return known

    def seal(
        self, tenant_id: str, subject: str, texts: Texts, like: SealedFields | None = None
    ) -> SealedFields:
        """Seal texts under the subject's data key, taken from `like`, or under a fresh one.

        Raises:
            CannotOpen: the data key of `like` does not open.
        """
        if like is None:
            tenant, data_key = self.tenant(tenant_id), os.urandom(32)
            wrapped = encrypt(AESGCM(tenant.keys[tenant.kid]), data_key, f"{tenant_id}|{subject}")
            like = SealedFields(tenant.kid, wrapped, {})
        else:
            data_key = self.data_key(tenant_id, subject, like)
        cipher, place = AESGCM(data_key), f"{tenant_id}|{subject}|"
        fields = {n: encrypt(cipher, text.encode(), place + n) for n, text in texts.items()}
        return SealedFields(like.kid, like.key, fields)

    def open(
        self, tenant_id: str, subject: str, sealed: SealedFields, names: set[str]
    ) -> dict[str, str]:
        """Open the named fields, those that are there.

        Raises:
            CannotOpen: wrong key, wrong place, or altered.
        """
        data_key, place = self.data_key(tenant_id, subject, sealed), f"{tenant_id}|{subject}|"
        try:
            cipher, fields = AESGCM(data_key), sealed.fields.items()
            return {n: _decrypt(cipher, one, place + n).decode() for n, one in fields if n in names}
        except (ValueError, InvalidTag) as error:
            raise CannotOpen(f"a sealed text of {subject} does not open") from error

    def data_key(self, tenant_id: str, subject: str, sealed: SealedFields) -> bytes:
        """Return the subject's data key, unwrapped.

        Raises:
            CannotOpen: wrong key, wrong place, altered, or the key is lost.
        """
        keys = self.tenant(tenant_id, sealed.kid).keys
        try:
            return _decrypt(AESGCM(keys[sealed.kid]), sealed.key, f"{tenant_id}|{subject}")
        except (KeyError, ValueError, InvalidTag) as error:
            key = f"key {sealed.kid} of {tenant_id}{'' if sealed.kid in keys else ' is lost: it'}"
            raise CannotOpen(f"{key} does not open the data key of {subject}") from error

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


def _digest(key: bytes, purpose: bytes, text: bytes) -> bytes:
    return hmac.new(key, purpose + b"|" + text, sha256).digest()


def encrypt(cipher: AESGCM, plain: bytes, place: str) -> str:
    nonce = os.urandom(_NONCE_BYTES)
    return b64encode(nonce + cipher.encrypt(nonce, plain, place.encode())).decode()


def _decrypt(cipher: AESGCM, token: str, place: str) -> bytes:
    raw = b64decode(token, validate=True)
    return cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
