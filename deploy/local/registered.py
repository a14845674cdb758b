"""What a town's registry says now, as far as commands tell it: who may log in, in what zone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from deploy.local.set_aside import opened

CURRENT = """
SELECT DISTINCT ON (kind, record_id) kind, record_id, body
FROM registry_record
WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND valid_from <= now()
ORDER BY kind, record_id, valid_from DESC, version DESC
LIMIT 100000
"""
# Profiles are numbered; the highest number binds new cases.
PROFILE = """
SELECT body -> 'body'
FROM registry_record
WHERE tenant_id = $1 AND kind = 'profile' AND body IS NOT NULL
ORDER BY (body ->> 'version')::integer DESC, version DESC
LIMIT 1
"""

STAFF = """
SELECT EXISTS (
    SELECT FROM registry_record WHERE tenant_id = $1 AND kind = 'staff' AND record_id = $2
)
"""


@dataclass(frozen=True, slots=True)
class Login:
    """Somebody of the staff, in one of his posts."""

    tenant: str
    role: str
    unit: str
    staff: str


async def is_recorded(ledger_dsn: str, tenant: str) -> bool:
    """Tell whether a town is in the registry."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        return await conn.fetchval(PROFILE, tenant) is not None
    finally:
        await conn.close()


async def has_staff(ledger_dsn: str, tenant: str, staff: str) -> bool:
    """Tell whether a town's registry knows somebody of the staff, or did."""
    async with opened(ledger_dsn) as conn:
        return bool(await conn.fetchval(STAFF, tenant, staff))


async def roles_of(ledger_dsn: str, tenant: str) -> list[str]:
    """Return the roles that a town's profile names."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        profile = json.loads(await conn.fetchval(PROFILE, tenant))
    finally:
        await conn.close()
    return [role["id"] for role in profile["roles"]]


async def timezone_of(ledger_dsn: str, tenant: str) -> ZoneInfo:
    """Return the zone of a town's clocks."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        profile = json.loads(await conn.fetchval(PROFILE, tenant))
    finally:
        await conn.close()
    return ZoneInfo(profile["clock"]["timezone"])


async def logins_of(ledger_dsn: str, tenant: str) -> list[Login]:
    """Return somebody for each level of a town, of the role that its profile names first."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        profile = json.loads(await conn.fetchval(PROFILE, tenant))
        rows = await conn.fetch(CURRENT, tenant, ["staff", "unit"])
    finally:
        await conn.close()
    there = [
        (row["kind"], row["record_id"], json.loads(row["body"])) for row in rows if row["body"]
    ]
    levels = {record_id: body["level"] for kind, record_id, body in there if kind == "unit"}
    staff = [(record_id, body["posts"]) for kind, record_id, body in there if kind == "staff"]
    return [
        Login(tenant, *found)
        for level in (one["id"] for one in profile["levels"])
        if (
            found := _first(profile["roles"], staff, {u for u, at in levels.items() if at == level})
        )
    ]


def _first(
    roles: Sequence[dict[str, Any]], staff: Sequence[tuple[str, Any]], units: set[str]
) -> tuple[str, str, str] | None:
    for role in roles:
        for record_id, posts in staff:
            for post in posts:
                if post["role"] == role["id"] and post["unit"] in units:
                    return post["role"], post["unit"], record_id
    return None
