"""Keys of a development stack: made once, kept in the data directory, readable by its owner."""

import json
import os
import secrets
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

DEMO_FRONT_END = "demo"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where the keys lie, and the API key of the demo front end."""

    key_file: Path
    token_private: Path
    token_public: Path
    gateway_secret_file: Path
    receipts_token_file: Path
    api_key: str


def ensure_secrets(data_dir: Path, tenants: Iterable[str]) -> Secrets:
    """Make what is missing; what is there stays, so that sealed data can still be opened."""
    place = data_dir / "secrets"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file = place / "keys.json"
    _keys(key_file, tenants)
    private, public = place / "token-private.pem", place / "token-public.pem"
    if not private.exists():
        _token_pair(private, public)
    api_key = place / "demo-api-key"
    _text(api_key, f"cs_{DEMO_FRONT_END}_{secrets.token_urlsafe(32)}")
    _text(place / "gateway-secret", secrets.token_urlsafe(24))
    _text(place / "receipts-token", secrets.token_urlsafe(24))
    return Secrets(
        key_file,
        private,
        public,
        place / "gateway-secret",
        place / "receipts-token",
        api_key.read_text(),
    )


def _keys(key_file: Path, tenants: Iterable[str]) -> None:
    content = json.loads(key_file.read_text()) if key_file.exists() else {}
    content.setdefault("pepper", _key())
    known = content.setdefault("tenants", {})
    for tenant in tenants:
        known.setdefault(tenant, {"kid": "k1", "keys": {"k1": _key()}, "index": _key()})
    _write(key_file, json.dumps(content, indent=1).encode())


def _token_pair(private: Path, public: Path) -> None:
    key = Ed25519PrivateKey.generate()
    _write(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _text(path: Path, text: str) -> None:
    if not path.exists():
        _write(path, text.encode())


def _key() -> str:
    return b64encode(os.urandom(32)).decode()


def _write(path: Path, content: bytes) -> None:
    """Replace a file in one step, readable by its owner alone."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    fresh.replace(path)
