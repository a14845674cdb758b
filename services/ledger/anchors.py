"""Anchors: heads of the chains, noted in a file that no writer of the database can reach.

A line of JSON for each. The file only grows; of two lines for one place the first one counts.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.ledger.domain.audit import Anchor, Link


class _Line(BaseModel):
    """A line as it stands in the file."""

    model_config = ConfigDict(strict=True)
    tenant: str
    n: int = Field(ge=1)
    seq: int
    hash: str = Field(pattern=r"^[0-9a-f]{64}$")


def note(path: Path, heads: Iterable[Link]) -> None:
    """Append heads, safe on disk when this returns."""
    lines = [
        json.dumps({"tenant": one.tenant_id, "n": one.n, "seq": one.seq, "hash": one.hash.hex()})
        for one in heads
    ]
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # a crash amid a line
        os.write(descriptor, ("\n" * torn + "".join(f"{one}\n" for one in lines)).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(paths: Iterable[Path]) -> tuple[dict[str, dict[int, Anchor]], list[str]]:
    """Return the anchors by town and place, and where a line could not be read (`file:line`)."""
    found: dict[str, dict[int, Anchor]] = {}
    unreadable: list[str] = []
    for path in paths:
        with path.open("rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    line = _Line.model_validate_json(text)
                except ValidationError:
                    unreadable.append(f"{path}:{number}")
                    continue
                anchor = Anchor(line.tenant, line.n, line.seq, bytes.fromhex(line.hash))
                found.setdefault(line.tenant, {}).setdefault(line.n, anchor)
    return found, unreadable
