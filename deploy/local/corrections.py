"""A record corrected by hand: taken only if it keeps the contract, its id and its subject.

Nothing is decided here about when it takes effect; that is the replay's.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from contracts.events import Unreadable, read_event
from contracts.facts import INTAKE_FACTS, NOTIFY_FACTS, ROUTING_FACTS, TASK_FACTS
from contracts.registry import read_change
from contracts.topics import LEDGER_REGISTRY
from deploy.local.errors import LocalStackError
from deploy.local.set_aside import Kept

FACTS = {**INTAKE_FACTS, **ROUTING_FACTS, **NOTIFY_FACTS, **TASK_FACTS}
_SEALED = {"kid", "key", "fields"}


@dataclass(frozen=True, slots=True)
class Correction:
    """What is to be changed: single values, the whole body, or headers."""

    values: Sequence[str] = ()
    headers: Sequence[str] = ()
    body: bytes | None = None


def corrected(kept: Kept, wanted: Correction) -> tuple[dict[str, bytes], bytes]:
    """Return headers and body as they are to be read.

    Raises:
        LocalStackError: the correction is none, or breaks the contract; the field is named.
    """
    old_headers, old_body = kept.now
    headers = dict(old_headers)
    for text in wanted.headers:
        name, value = _pair("--header", text)
        headers[name] = value.encode()
    body = wanted.body if wanted.body is not None else old_body
    if wanted.values:
        told = _object(body)
        for text in wanted.values:
            path, value = _pair("--set", text)
            _put(told, path, value)
        body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    _check_identity(kept, headers)
    _check_contract(kept, headers, body)
    return headers, body or b""


def _pair(option: str, text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not name or not sign:
        raise LocalStackError(
            f"{option} {text}：要写成 名称=值。", f"{option} {text}: write it as name=value."
        )
    return name, value


def _object(body: bytes | None) -> dict[str, Any]:
    try:
        told = json.loads(body or b"")
    except (ValueError, RecursionError) as error:
        raise LocalStackError(
            "正文不是 JSON，--set 改不了：用 --file 给出整份正文（show --raw 可取出原文）。",
            "The body is no JSON, so --set cannot change it: give the whole body by --file "
            "(`show --raw` writes the original to a file).",
        ) from error
    if not isinstance(told, dict):
        raise LocalStackError("正文不是 JSON 对象。", "The body is no JSON object.")
    return told


def _put(told: dict[str, Any], path: str, value: str) -> None:
    """Set one value: what reads as JSON is JSON, all else is text. The sealed stays as it is."""
    *above, name = path.split(".")
    place: Any = told
    for step in above:
        place = place.setdefault(step, {}) if isinstance(place, dict) else None
        if isinstance(place, dict) and place.keys() >= _SEALED:
            raise LocalStackError(
                f"--set {path}：密封的内容不能手改。",
                f"--set {path}: what is sealed stays as it is.",
            )
    if not isinstance(place, dict):
        raise LocalStackError(
            f"--set {path}：{'.'.join(above)} 不是对象。",
            f"--set {path}: {'.'.join(above)} is no object.",
        )
    try:
        place[name] = json.loads(value)
    except ValueError:
        place[name] = value


def _check_identity(kept: Kept, headers: Mapping[str, bytes]) -> None:
    """Refuse another id or another subject: a replay keeps both."""
    try:
        known = UUID(kept.headers.get("ce_id", b"").decode())
    except ValueError:
        return
    if headers.get("ce_id", b"").decode(errors="replace") != str(known):
        raise LocalStackError(
            f"--header ce_id：记录的 id 是 {known}，不能改。",
            f"--header ce_id: the record's id is {known}; it cannot be changed.",
        )


def _check_contract(kept: Kept, headers: Mapping[str, bytes], body: bytes | None) -> None:
    try:
        if kept.topic == LEDGER_REGISTRY.name:
            change = read_change(headers, body)
            key = None if change is None else change.key
        else:
            event = read_event(FACTS, headers, body)
            key = None if event is None else event.key
    except Unreadable as error:
        raise LocalStackError(
            f"改过的记录仍不合约定，没有保存：{error}",
            f"The corrected record still breaks the contract; nothing was kept: {error}",
        ) from error
    kind = headers.get("ce_type", b"").decode(errors="replace")
    if key is None:
        raise LocalStackError(
            f"没有 {kind} 这种事实，没有保存。", f"There is no fact {kind}; nothing was kept."
        )
    if kept.key is not None and key != kept.key:
        told = kept.key.decode(errors="replace")
        raise LocalStackError(
            f"改过的记录属于另一件事（{key.decode()}），键是 {told}，没有保存。",
            f"The corrected record is about another subject ({key.decode()}); its key is {told}; "
            "nothing was kept.",
        )


def shown(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a body for people to look at: what is sealed is named, not shown."""
    if isinstance(value, dict):
        if value.keys() >= _SEALED and isinstance(value["fields"], dict):
            return {"（密封 · sealed）": sorted(value["fields"])}
        return {name: shown(one) for name, one in value.items()}
    return [shown(one) for one in value] if isinstance(value, list) else value
