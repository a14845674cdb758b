"""Whose telephone it is, for the sandbox's page alone: where, in which role, and who."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from deploy.local.registered import CURRENT, PROFILE
from deploy.sandbox.settings import NAME_LENGTH_MAX
from deploy.seed.numbers import phone_beginnings
from deploy.seed.town import Entry
from services.chassis.seal import CannotOpen, KeyRing, SealedFields

Labels = Mapping[str, str]  # by telephone
Body = Mapping[str, Any]
Places = dict[tuple[str, str], str]  # names of units and departments, by kind and id


def labels_of_entries(entries: Sequence[Entry]) -> Labels:
    """Label the telephones of a town that was just made up."""
    profile = next(entry.body["body"] for entry in entries if entry.kind == "profile")
    named = ("unit", "department")
    places: Places = {(e.kind, e.record_id): e.body["zh"] for e in entries if e.kind in named}
    return _labels(profile, places, (entry.body for entry in entries if entry.kind == "staff"))


async def labels_of_registry(ledger_dsn: str, tenant: str, keys: KeyRing) -> Labels:
    """Label the telephones of a town as its registry has them; what does not open is left out."""
    conn = await asyncpg.connect(ledger_dsn)
    try:
        profile = json.loads(await conn.fetchval(PROFILE, tenant))
        rows = await conn.fetch(CURRENT, tenant, ["staff", "unit", "department"])
    finally:
        await conn.close()
    places: Places = {}
    staff: list[Body] = []
    for row in rows:
        body = json.loads(row["body"] or "{}")
        if row["kind"] != "staff" and body:
            places[row["kind"], row["record_id"]] = body["zh"]
        elif body.get("sealed"):
            staff.append({**body, **_opened(keys, tenant, row["record_id"], body["sealed"])})
    return _labels(profile, places, staff)


@dataclass(frozen=True, slots=True)
class Phonebook:
    """The phones of one stack: their labels by number, and how each town's numbers begin."""

    labels: dict[str, str]
    beginnings: dict[str, tuple[str, ...]]


def together(towns: Mapping[str, Labels]) -> Phonebook:
    """Put the labels (by tenant) of one stack's towns together; each says whose it is.

    Towns recorded by earlier versions may share a number: its label then names every owner.
    """
    owners: dict[str, list[str]] = defaultdict(list)
    for tenant, labels in towns.items():
        for phone, label in labels.items():
            owners[phone].append(f"{tenant} {label}" if len(towns) > 1 else label)
    labels = {phone: " / ".join(named)[:NAME_LENGTH_MAX] for phone, named in owners.items()}
    return Phonebook(labels, {tenant: _beginnings(tenant, own) for tenant, own in towns.items()})


def _beginnings(tenant: str, phones: Iterable[str]) -> tuple[str, ...]:
    """Return the beginnings of a made-up town's block, and whole numbers that lie elsewhere."""
    block = phone_beginnings(tenant)
    return (*block, *(phone for phone in phones if not phone.startswith(block)))


def _labels(profile: Body, places: Places, staff: Iterable[Body]) -> Labels:
    roles = {role["id"]: role["zh"] for role in profile["roles"]}
    return {
        body["phone"]: " ".join(
            (
                _place(body, post["unit"], places),
                roles.get(post["role"], post["role"]),
                body.get("name", ""),
            )
        ).strip()
        for body in staff
        if body.get("phone")
        for post in body["posts"][:1]
    }


def _place(body: Body, unit: str, places: Places) -> str:
    """Say a department's people by their department: they all sit in one town hall."""
    department = body.get("department")
    where = ("department", department) if department else ("unit", unit)
    return places.get(where, where[1])


def _opened(keys: KeyRing, tenant: str, subject: str, sealed: Body) -> Mapping[str, str]:
    try:
        return keys.open(tenant, subject, SealedFields(**sealed), {"name", "phone"})
    except CannotOpen:
        return {}
