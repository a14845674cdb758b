"""Versions of the tenants' keys: made, told, and removed, in the key file that all services read.

The file is replaced in one step and keeps its owner; services read it again when it has changed.
"""

import fcntl
import json
import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalStackError
from deploy.local.secrets import write_private


def versions(key_file: Path) -> dict[str, tuple[str, list[str]]]:
    """Return each tenant's key that seals, and all that open.

    Raises:
        LocalStackError: the file cannot be read.
    """
    tenants = _content(key_file)["tenants"]
    return {name: (one["kid"], list(one["keys"])) for name, one in tenants.items()}


def check_known(key_file: Path, tenants: Sequence[str]) -> None:
    """Hold towns that somebody named against the key file.

    Raises:
        LocalStackError: the file cannot be read, or does not know a town.
    """
    content = _content(key_file)
    for name in tenants:
        _of(content, name)


def rotate(key_file: Path, tenants: Sequence[str]) -> dict[str, str]:
    """Let a new key of each tenant seal from now on; older ones still open. None named: all.

    Raises:
        LocalStackError: the file cannot be read, or does not know a tenant.
    """
    with _changing(key_file) as content:
        made = {}
        for name in tenants or content["tenants"]:
            one = _of(content, name)
            numbers = [int(kid[1:]) for kid in one["keys"] if kid[1:].isdigit()]
            kid = f"k{max(numbers, default=0) + 1}"
            one["keys"][kid] = b64encode(os.urandom(32)).decode()
            one["kid"] = made[name] = kid
    return made


def forget(key_file: Path, tenant: str, kid: str) -> None:
    """Remove a key for good: what is sealed with it alone opens never again.

    Raises:
        LocalStackError: the file cannot be read or knows no such key, or it is the one that seals.
    """
    with _changing(key_file) as content:
        one = _of(content, tenant)
        if kid == one["kid"]:
            raise LocalStackError(
                f"{tenant} 的密钥 {kid} 正用来封存：先换新的，chuishao keys rotate。",
                f"Key {kid} of {tenant} is the one that seals: make a new one first, with "
                "`chuishao keys rotate`.",
            )
        if one["keys"].pop(kid, None) is None:
            raise LocalStackError(
                f"{tenant} 没有密钥 {kid}，有的是：{'、'.join(one['keys'])}。",
                f"{tenant} has no key {kid}. It has: {', '.join(one['keys'])}.",
            )


def _of(content: dict[str, Any], tenant: str) -> dict[str, Any]:
    known = content["tenants"]
    if tenant not in known:
        raise LocalStackError(
            f"--tenant {tenant}：密钥文件里没有这个镇，有的是：{'、'.join(known)}。",
            f"--tenant {tenant}: the key file has no such town. It has: {', '.join(known)}.",
        )
    found: dict[str, Any] = known[tenant]
    return found


@contextmanager
def _changing(key_file: Path) -> Iterator[dict[str, Any]]:
    """Change the file alone: of two who read and write it at once, one's key would be lost."""
    directory = os.open(key_file.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        content = _content(key_file)
        yield content
        write_private(key_file, json.dumps(content, indent=1).encode())
    finally:
        os.close(directory)


def _content(key_file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(key_file.read_bytes())
        for one in content["tenants"].values():
            _ = one["kid"], one["keys"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise LocalStackError(
            f"密钥文件 {key_file} 读不了或读不懂，没有动它：用 --key-file 指定，或用备份换回。",
            f"The key file {key_file} cannot be read and was left as it is: name it with "
            "--key-file, or put the backup in its place.",
        ) from None
    return content
