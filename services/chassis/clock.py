"""Time is the database's clock plus the tenant's virtual offset; nobody else's clock decides.

Rules, deadlines and quiet hours use the tenant's time. Time-outs, leases, expiry and back-off
use the real clock. Outside development every offset is zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.chassis.postgres import Connection

DATABASE_NOW = "SELECT clock_timestamp()"


@dataclass(frozen=True, slots=True)
class Offsets:
    """A tenant's offsets: (from this real instant on, this far ahead), in ascending order."""

    entries: Sequence[tuple[datetime, timedelta]] = ()

    def at(self, real: datetime) -> timedelta:
        """Return the offset in force at a real instant; before the first entry, none."""
        return next((far for since, far in reversed(self.entries) if since <= real), timedelta())

    def tenant_time(self, real: datetime) -> datetime:
        return real + self.at(real)


REAL = Offsets()


async def database_now(conn: Connection) -> datetime:
    """Read the database's clock: real time, UTC."""
    now: datetime = await conn.fetchval(DATABASE_NOW)
    return now.astimezone(UTC)
