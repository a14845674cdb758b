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

from deploy.local.errors import LocalStackError
from services.doors.revoked import FILE

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
    """Make what is missing; what is there stays, so that sealed data can still be opened.

    Raises:
        LocalStackError: the key file cannot be read, or is gone while others are there.
    """
    place = data_dir / "secrets"
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    key_file, api_key = place / "keys.json", place / "demo-api-key"
    if api_key.exists() and not key_file.exists():
        raise LocalStackError(
            f"密钥文件 {key_file} 不见了：请用备份换回，没有它，已封存的内容再也打不开。"
            f"要从头开始，就删去整个 {data_dir}。",
            f"The key file {key_file} is gone: put the backup in its place, since without it "
            f"nothing that is sealed can be opened again. To begin anew remove all of {data_dir}.",
        )
    _keys(key_file, tenants)
    private, public = place / "token-private.pem", place / "token-public.pem"
    if not private.exists():
        _token_pair(private, public)
    write_once(api_key, f"cs_{DEMO_FRONT_END}_{secrets.token_urlsafe(32)}")
    write_once(place / "gateway-secret", secrets.token_urlsafe(24))
    write_once(place / "receipts-token", secrets.token_urlsafe(24))
    write_once(place / FILE, "")
    return secrets_of(data_dir)


def secrets_of(data_dir: Path) -> Secrets:
    """Return the keys that lie in a data directory.

    Raises:
        LocalStackError: they cannot be read.
    """
    place = data_dir / "secrets"
    try:
        api_key = (place / "demo-api-key").read_text()
    except OSError as error:
        raise LocalStackError(
            f"{place}：读不到密钥（{error.strerror}）。请先运行 chuishao secrets 建好。",
            f"{place}: the keys cannot be read ({error.strerror}). Make them first, with "
            "`chuishao secrets`.",
        ) from error
    return Secrets(
        place / "keys.json",
        place / "token-private.pem",
        place / "token-public.pem",
        place / "gateway-secret",
        place / "receipts-token",
        api_key,
    )


def give_away(data_dir: Path, owner: int) -> None:
    """Make the files another user's, by number: the services' in their containers.

    Others may look at names, not into files: whoever starts containers must find them.
    """
    place = data_dir / "secrets"
    place.chmod(0o711)
    for path in (place, *place.iterdir()):
        os.chown(path, owner, owner)


def _keys(key_file: Path, tenants: Iterable[str]) -> None:
    before = key_file.read_bytes() if key_file.exists() else b"{}"
    try:
        content = json.loads(before)
        content.setdefault("pepper", _key())
        known = content.setdefault("tenants", {})
        for tenant in tenants:
            known.setdefault(tenant, {"kid": "k1", "keys": {"k1": _key()}, "index": _key()})
    except (ValueError, AttributeError):  # no JSON, or no object where one must be
        raise LocalStackError(
            f"密钥文件 {key_file} 读不懂，没有动它：请用备份换回。没有它，已封存的内容再也打不开。",
            f"The key file {key_file} cannot be read and was left as it is: put the backup in its "
            "place. Without it nothing that is sealed can be opened again.",
        ) from None
    after = json.dumps(content, indent=1).encode()
    if after != before:
        write_private(key_file, after)


def _token_pair(private: Path, public: Path) -> None:
    key = Ed25519PrivateKey.generate()
    write_private(private, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(
        public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )


def write_once(path: Path, text: str) -> None:
    """Write a file that is not there yet, readable by its owner alone."""
    if not path.exists():
        write_private(path, text.encode())


def _key() -> str:
    return b64encode(os.urandom(32)).decode()


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step, readable by its owner alone: whoever it was, they stay."""
    fresh, before = path.with_suffix(".new"), path.stat() if path.exists() else None
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if before is not None and before.st_uid != os.geteuid():  # it belongs to the services' user
        os.chown(fresh, before.st_uid, before.st_gid)
    fresh.replace(path)
