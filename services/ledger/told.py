"""A household's history told: what each version says otherwise than what held before it."""

from collections.abc import Mapping, Sequence
from typing import Any

from services.ledger.opened import Body, Opener

Entry = dict[str, Any]
_ABSENT = object()


def told(
    tenant_id: str, household: str, versions: Sequence[Mapping[str, Any]], opener: Opener
) -> list[Entry]:
    """Tell versions, the newest first, of a household, its people and its links.

    Of a person only what he did here is told: where he lived before or after is another page.
    """
    entries = []
    for row in versions:
        act = _act(row["kind"], household, row["before"], row["body"], first=row["first"])
        if act is not None:
            entries.append(
                {
                    "kind": row["kind"],
                    "id": row["record_id"],
                    "version": row["version"],
                    "act": act,
                    "who": row["recorded_by"],
                    "reason": row["reason"],
                    "change_set": row["change_set_id"],
                    "valid_from": row["valid_from"],
                    "recorded_at": row["recorded_at"],
                    "changes": _changes(tenant_id, row, opener, act),
                }
            )
    return entries


def _act(
    kind: str, household: str, before: Body | None, after: Body | None, *, first: bool
) -> str | None:
    """Name what a version did: added, changed, removed, moved in or out; None: nothing here."""
    if kind == "person":
        was, now = (_lives(one) == household for one in (before, after))
        if not was and not now:
            return None
        if was != now and before is not None and after is not None:
            return "moved_in" if now else "moved_out"
    if after is None:
        return "removed"
    return "added" if before is None and first else "changed"


def _lives(body: Body | None) -> str | None:
    return (body or {}).get("household")


def _changes(tenant_id: str, row: Mapping[str, Any], opener: Opener, act: str) -> list[Entry]:
    """Compare in the clear, show masked: two phones may look alike and still differ."""
    before: Body | None = row["before"]
    after: Body | None = row["body"]
    if after is None or act in ("moved_in", "moved_out"):
        return []
    name = row["record_id"]
    clear = [_clear(tenant_id, name, body or {}, opener) for body in (before, after)]
    shown = [opener.shown(tenant_id, name, body or {}) for body in (before, after)]
    fields = sorted({*clear[0], *clear[1]})
    return [
        {"field": field, "before": shown[0].get(field), "after": shown[1].get(field)}
        for field in fields
        if clear[0].get(field, _ABSENT) != clear[1].get(field, _ABSENT)
    ]


def _clear(tenant_id: str, name: str, body: Body, opener: Opener) -> Entry:
    plain = {field: value for field, value in body.items() if field != "sealed"}
    return {**plain, **opener.texts(tenant_id, name, body)}
