"""What the audit log says of the registry's own doors."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from services.chassis.token import Identity
from services.ledger.domain.audit import Act, digest
from services.ledger.store.registry import ChangeSet, Entry
from services.telemetry import traces


def set_recorded(one: ChangeSet, entries: Sequence[Entry], reason: str | None) -> Act:
    """Tell of a change set: how many records of each kind; a minus sign marks removals."""
    counted = Counter(f"{'-' * (entry.body is None)}{entry.kind}" for entry in entries)
    return Act(
        one.tenant_id,
        one.recorded_by,
        "registry.record",
        f"change_set/{one.change_set_id}",
        fields=tuple(f"{kind}:{number}" for kind, number in sorted(counted.items())),
        reason=reason,
        request_id=_request(),
        after_digest=one.digest,
    )


def set_tried(one: ChangeSet, entries: Sequence[Entry], reason: str | None) -> Act:
    """Tell of a dry run: what would have been recorded."""
    return replace(set_recorded(one, entries, reason), verb="registry.dry_run")


def record_erased(one: ChangeSet, kind: str, record_id: str) -> Act:
    """Tell of an erasure; the set that removes the record has its reason."""
    return Act(
        one.tenant_id,
        one.recorded_by,
        "registry.erase",
        f"{kind}/{record_id}",
        fields=(f"change_set:{one.change_set_id}",),
        reason=one.reason,
        request_id=_request(),
    )


def unmasked(
    who: Identity,
    record: tuple[str, str],
    fields: Sequence[str],
    reason: str,
    refused: str | None,
) -> Act:
    """Tell of personal texts that somebody sees, or was refused, by the code of the refusal."""
    return Act(
        who.tenant_id,
        who.staff,
        "registry.unmask",
        "/".join(record),
        fields=(*fields, *([f"refused:{refused}"] if refused else [])),
        reason=reason,
        request_id=_request(),
        decision="refused" if refused else "allowed",
    )


def searched(who: Identity, kind: str, field: str, found: int | None) -> Act:
    """Tell of a look-up by a number, never which; without `found` the budget did not suffice.

    No digest either: it would outlast an erasure.
    """
    outcome = "refused:search_budget" if found is None else f"found:{found}"
    return Act(
        who.tenant_id,
        who.staff,
        "registry.search",
        kind,
        fields=(field, outcome),
        request_id=_request(),
        decision="refused" if found is None else "allowed",
    )


def sensitive_used(
    who: Identity, what: tuple[str, str, str | None], reason: str, refused: str | None
) -> Act:
    """Tell of a use of a person's entries in sensitive groups: of which, by a digest alone."""
    act, person, place = what
    return Act(
        who.tenant_id,
        who.staff,
        f"registry.sensitive_{act}",
        f"person/{person}",
        fields=(*([place] if place else []), *([f"refused:{refused}"] if refused else [])),
        reason=reason,
        request_id=_request(),
        decision="refused" if refused else "allowed",
    )


def clock_moved(one: ChangeSet, before: Mapping[str, Any], after: Mapping[str, Any]) -> Act:
    """Tell of a move of a town's virtual clock."""
    return Act(
        one.tenant_id,
        one.recorded_by,
        "clock.move",
        f"change_set/{one.change_set_id}",
        fields=("offsets",),
        request_id=_request(),
        before_digest=_digest(before),
        after_digest=_digest(after),
    )


def _digest(body: Mapping[str, Any]) -> str:
    return digest(json.dumps(body, sort_keys=True).encode()).hex()


def _request() -> str | None:
    """Return the trace that a request belongs to, where there are traces."""
    return traces.current().get(traces.HEADER)
