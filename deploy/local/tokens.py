"""Bearer tokens for development: whoever holds the data directory may act as anybody."""

import json
import os
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from services.chassis.token import sign
from services.doors.revoked import FILE

LIFE_S = 12 * 3600


def make_token(
    private_key: Path,
    tenant: str,
    roles: Iterable[str],
    units: Iterable[str] = (),
    *,
    staff: str = "dev",
    department: str | None = None,
    life_s: int = LIFE_S,
) -> str:
    """Sign a token for a tenant."""
    now = time.time()
    claims = {
        "sub": staff,
        "tenant": tenant,
        "roles": sorted(roles),
        "units": sorted(units),
        "iat": now,
        "exp": int(now) + life_s,
    }
    if department is not None:
        claims["department"] = department
    return sign(private_key.read_bytes(), claims)


def revoke(public_key: Path, tenant: str, staff: str, before: datetime) -> None:
    """Take back what was issued to somebody until a moment; the file stays the same one.

    So containers in which it is mounted see the line, too.
    """
    line = json.dumps({"tenant": tenant, "staff": staff, "before": before.isoformat()})
    descriptor = os.open(public_key.with_name(FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())
