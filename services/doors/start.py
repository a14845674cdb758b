"""How a service's process begins: what it needs is looked at first, and a fault told by name."""

import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import ValidationError

from services.chassis.seal import KeyRing
from services.chassis.settings import ServiceSettings
from services.doors.faults import invalid

MISCONFIGURED = 78  # as sysexits.h calls it: to start again would not help


def start(settings: type[ServiceSettings], main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a service; with a wrong setting or an unusable key file end with 78 and say which."""
    if faults := faults_of(settings):
        lines = ["没有启动，配置有误 · Not started, settings are wrong:"]
        lines += [f"  {name}: {fault}" for name, fault in faults]
        sys.stderr.write("\n".join(lines) + "\n")
        sys.exit(MISCONFIGURED)
    uvloop.run(main())


def faults_of(settings: type[ServiceSettings]) -> list[tuple[str, str]]:
    """Return what is wrong with a service's environment: each setting, and what and how to mend.

    No value is shown: it may be a secret that was put in the wrong place.
    """
    prefix = str(settings.model_config.get("env_prefix", ""))
    try:
        given = settings()
    except ValidationError as error:
        told = invalid(error.errors(include_input=False, include_url=False)).body["errors"]
        return [(_setting(prefix, one["field"]), one["message"]) for one in told]
    files = [name for name in type(given).model_fields if name.endswith("_file")]
    found = [(f"{prefix}{name}".upper(), _unusable(name, getattr(given, name))) for name in files]
    return [(name, fault) for name, fault in found if fault]


def _setting(prefix: str, field: str) -> str:
    """Return a setting's name; what several of them lack together is told of all."""
    return f"{prefix}*" if field == "body" else f"{prefix}{field}".upper()


def _unusable(name: str, path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        return f"{path} 读不了，请检查路径和属主 · cannot be read: {error.strerror}"
    if not content.strip():
        return f"{path} 是空的 · is empty"
    if name == "key_file":
        try:
            KeyRing(path)
        except OSError:
            return f"{path} 不是密钥文件 · is no key file: docs/operating.md shows one"
    if name == "token_key_file" and not _is_public_key(content):
        return f"{path} 不是 Ed25519 公钥（PEM）· is no Ed25519 public key in PEM"
    return None


def _is_public_key(content: bytes) -> bool:
    try:
        return isinstance(load_pem_public_key(content), Ed25519PublicKey)
    except ValueError:
        return False
