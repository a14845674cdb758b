"""Bearer tokens for development: whoever holds the data directory may act as anybody."""

import time
from collections.abc import Iterable
from pathlib import Path

from services.chassis.token import sign

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
    claims = {
        "sub": staff,
        "tenant": tenant,
        "roles": sorted(roles),
        "units": sorted(units),
        "exp": int(time.time()) + life_s,
    }
    if department is not None:
        claims["department"] = department
    return sign(private_key.read_bytes(), claims)
