"""Attachments on disk: the wrapped key in each one's first line, counted and wrapped anew."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.local.resealing import Use, rewrapped
from services.chassis.seal import KeyRing, SealedFields


def used_in_files(place: Path) -> Counter[Use]:
    """Count attachments by tenant and key."""
    found = Counter[Use]()
    for tenant in place.iterdir() if place.is_dir() else ():
        for _, line in _attachments(place, tenant.name):
            found[tenant.name, line["sealed"]["kid"]] += 1
    return found


def reseal_files(place: Path, ring: KeyRing, tenant: str) -> int:
    """Wrap the keys of a tenant's attachments by its present key; each file in one step."""
    done = 0
    for path, line in _attachments(place, tenant):
        if line["sealed"]["kid"] == ring.tenant(tenant).kid:
            continue
        # What is hidden lies under its id and a suffix.
        new = rewrapped(ring, tenant, {path.name.partition(".")[0]}, SealedFields(**line["sealed"]))
        if new is not None:
            line["sealed"] |= {"kid": new.kid, "key": new.key}
            _replace_line(path, json.dumps(line, separators=(",", ":")).encode())
            done += 1
    return done


def _attachments(place: Path, tenant: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted((place / tenant).rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                head = file.readline()
            if head.startswith(b"{"):  # the marks of who has posted it are empty
                yield path, json.loads(head)


def _replace_line(path: Path, line: bytes) -> None:
    fresh, before = path.with_name(f".{path.name}.new"), path.stat()
    with path.open("rb") as old, fresh.open("wb") as new:
        old.readline()
        new.write(line + b"\n")
        while part := old.read(1 << 20):
            new.write(part)
        new.flush()
        os.fsync(new.fileno())
    os.chmod(fresh, before.st_mode)  # noqa: PTH101 - beside `chown`
    os.chown(fresh, before.st_uid, before.st_gid)
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(path)
