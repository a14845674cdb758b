"""The file that `chuishao replay` takes: a JSON object per line, four fields of text."""

import codecs
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.cli.places import Places, place_of
from deploy.local.errors import LocalStackError

SUMMARY_MAX, DESCRIPTION_MAX = 200, 10_000
SHOWN_MAX = 20
PREFIX = "replay-"
_KEY_MAX = 128  # of intake's idempotency key
_ID = re.compile(rf"[\x21-\x7e]{{1,{_KEY_MAX - len(PREFIX)}}}")
# What intake calls a field, and how the file calls it.
FIELDS = {
    "occurred_at": "at",
    "summary": "subject",
    "description": "text",
    "Idempotency-Key": "id",
    "tenant": "--tenant",
}


@dataclass(frozen=True, slots=True)
class Message:
    """One line of the file; `line` counts from 1."""

    line: int
    id: str
    subject: str
    text: str
    at: str

    @property
    def words(self) -> tuple[str, str, str]:
        return self.subject, self.text, self.at


def read_messages(path: Path) -> list[Message]:
    """Read the file; blank lines and a byte order mark are passed over.

    Raises:
        LocalStackError: it cannot be read, or lines are no messages: each is named, none is sent.
    """
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise LocalStackError(
            f"读不了 {path}（{error.strerror}）。一条也没有发送。",
            f"Cannot read {path} ({error.strerror}). Nothing was sent.",
        ) from error
    read = [_message(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    bad = [one for one in read if isinstance(one, str)]
    if bad:
        more = [f"……还有 {len(bad) - SHOWN_MAX} 行 · and more"] if len(bad) > SHOWN_MAX else []
        raise LocalStackError(
            f"{path} 有 {len(bad)} 行不是消息，一条也没有发送。请改正或删去这些行后重发。",
            f"{path}: {len(bad)} lines are no messages. Nothing was sent; mend or remove them.",
            "\n".join([*bad[:SHOWN_MAX], *more]),
        )
    return [one for one in read if isinstance(one, Message)]


def _message(number: int, line: bytes) -> Message | str:
    """Read one line, or tell what is wrong with it."""
    try:
        return _checked(number, json.loads(line.decode()))
    except UnicodeDecodeError:
        why = "不是 UTF-8 编码 · not UTF-8"
    except json.JSONDecodeError as error:
        why = f"不是 JSON，在第 {error.colno} 个字符处 · not JSON: {error.msg}"
    except RecursionError:
        why = "嵌套太深 · nested too deeply"
    except _NoMessageError as error:
        why = str(error)
    return f"第 {number} 行 · line {number}：{why}"


class _NoMessageError(Exception):
    """A JSON value is no message; the text tells why."""


def _checked(number: int, told: object) -> Message:
    if not isinstance(told, dict):
        raise _NoMessageError("不是 JSON 对象 · not a JSON object")
    names = ("id", "subject", "text", "at")
    missing = [name for name in names if not isinstance(told.get(name), str)]
    if missing:
        raise _NoMessageError(
            f"缺少文字字段 {'、'.join(missing)} · no text field {', '.join(missing)}"
        )
    if not _ID.fullmatch(told["id"]):
        most = _KEY_MAX - len(PREFIX)
        raise _NoMessageError(
            f"id 应为 1–{most} 个可见 ASCII 字符 · "
            f"id: expected 1 to {most} visible ASCII characters"
        )
    return Message(number, *(told[name] for name in names))


def key_of(message: Message) -> str:
    """Return the idempotency key: a message is the same report each time."""
    return f"{PREFIX}{message.id}"


def body_of(message: Message, tenant: str, places: Places) -> dict[str, Any]:
    """Turn a message into a report."""
    return {
        "tenant": tenant,
        "summary": message.subject.strip()[:SUMMARY_MAX] or "（无题）",
        "description": message.text.strip()[:DESCRIPTION_MAX] or "（无正文）",
        "occurred_at": message.at,
        "location": place_of(message.id, places),
    }


def told_repeats(messages: Sequence[Message]) -> list[str]:
    """Tell of ids that stand in several lines, for they are one case each."""
    by_id: dict[str, list[Message]] = defaultdict(list)
    for message in messages:
        by_id[message.id].append(message)
    repeated = [same for same in by_id.values() if len(same) > 1]
    if not repeated:
        return []
    more = sum(len(same) - 1 for same in repeated)
    told = [
        f"同一个 id 只立一件，重复的行数：{more} · an id is one case; lines that repeat one: {more}"
    ]
    differing = [same for same in repeated if len({message.words for message in same}) > 1]
    for same in differing[:SHOWN_MAX]:
        lines = ", ".join(str(message.line) for message in same)
        told.append(
            f"  id {same[0].id}：第 {lines} 行内容不同，以先收到的为准 · "
            f"lines {lines} differ; the first to arrive counts"
        )
    return told


def told_refusal(message: Message, status: int, problem: dict[str, Any]) -> str:
    """Tell why intake refused a message, in the file's own words."""
    where = f"第 {message.line} 行 · line {message.line}（id {message.id}）："
    faults = problem.get("errors") or []
    if faults:
        why = "；".join(f"{_field(fault['field'])}: {fault['message']}" for fault in faults)
        return f"{where}字段有误 · wrong fields：{why}"
    field = f"{_field(problem['field'])}: " if problem.get("field") else ""
    said = f"{problem.get('title', '')} · {problem.get('detail', '')}"
    return f"{where}{field}{said}（{status}）"


def _field(name: str) -> str:
    first, dot, rest = name.partition(".")
    return f"{FIELDS.get(first, first)}{dot}{rest}"
