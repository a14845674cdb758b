"""Whose telephone it is: unit, role and name of the staff. For the sandbox's page alone."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import asyncpg

from deploy.local.registered import CURRENT, PROFILE
from deploy.sandbox.settings import NAME_LENGTH_MAX
from deploy.seed.town import Entry
from services.chassis.seal import CannotOpen, KeyRing, SealedFields

Labels = Mapping[str, str]  # by telephone
Body = Mapping[str, Any]


def labels_of_entries(entries: Sequence[Entry]) -> Labels:
    """Label the telephones of a town that was just made up."""
    profile = next(entry.body["body"] for entry in entries if entry.kind == "profile")
    units = {entry.record_id: entry.body["zh"] for entry in entries if entry.kind == "unit"}
    return _labels(profile, units, (entry.body for entry in entries if entry.kind == "staff"))


async def labels_of_registry(ledger_dsn: str, tenant: str, keys: KeyRing) -> Labels:
    """Label the telephones of a town as its registry has them; what does not open is left out."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        profile = json.loads(await conn.fetchval(PROFILE, tenant))
        rows = await conn.fetch(CURRENT, tenant, ["staff", "unit"])
    finally:
        await conn.close()
    units: dict[str, str] = {}
    staff: list[Body] = []
    for row in rows:
        body = json.loads(row["body"] or "{}")
        if row["kind"] == "unit" and body:
            units[row["record_id"]] = body["zh"]
        elif body.get("sealed"):
            staff.append({**body, **_opened(keys, tenant, row["record_id"], body["sealed"])})
    return _labels(profile, units, staff)


def together(towns: Mapping[str, Labels]) -> dict[str, str]:
    """Put the labels (by tenant) of one stack's towns together; each says whose it is.

    Towns recorded by earlier versions may share a number: its label then names every owner.
    """
    owners: dict[str, list[str]] = defaultdict(list)
    for tenant, labels in towns.items():
        for phone, label in labels.items():
            owners[phone].append(f"{tenant} {label}" if len(towns) > 1 else label)
    return {phone: " / ".join(named)[:NAME_LENGTH_MAX] for phone, named in owners.items()}


def _labels(profile: Body, units: Mapping[str, str], staff: Iterable[Body]) -> Labels:
    roles = {role["id"]: role["zh"] for role in profile["roles"]}
    return {
        body["phone"]: " ".join(
            (
                units.get(post["unit"], post["unit"]),
                roles.get(post["role"], post["role"]),
                body.get("name", ""),
            )
        ).strip()
        for body in staff
        if body.get("phone")
        for post in body["posts"][:1]
    }


def _opened(keys: KeyRing, tenant: str, subject: str, sealed: Body) -> Mapping[str, str]:
    try:
        return keys.open(tenant, subject, SealedFields(**sealed), {"name", "phone"})
    except CannotOpen:
        return {}
