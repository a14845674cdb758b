"""How `chuishao dlq` shows what is set aside."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from rich.table import Table
from rich.text import Text

from deploy.cli.screen import out
from deploy.local.corrections import shown
from deploy.local.reasons import in_words
from deploy.local.set_aside import Kept, Place, Subject

_BODY_MAX = 4_000
_STATES = {"rejected": "被拒", "parked": "等条件", "unsent": "发不出"}
_ACTS = {"fixed": "改正", "replayed": "重放", "dropped": "舍弃", "resent": "重发"}


def as_json(one: Subject) -> dict[str, Any]:
    """Return what holds a subject, for programs."""
    return {
        "place": str(one.place),
        "service": one.place.service,
        "key": None if one.key is None else one.key.decode(errors="replace"),
        "type": one.type,
        "state": one.state,
        "reason": one.reason,
        "at": one.at.isoformat(),
        "age_s": round(one.age_s, 1),
        "behind": one.behind,
        "corrected": one.corrected,
        "released": one.released,
    }


def show_subjects(found: Sequence[Subject]) -> None:
    if not found:
        out.print("没有被搁置的记录 · nothing is set aside")
        return
    for one in found:  # a line each, however narrow the screen: the other commands take the place
        state = _STATES[one.state] + ("，已改正" if one.corrected else "")
        state += "，已放行" if one.released else ""
        age = timedelta(seconds=round(one.age_s))
        behind = f"后面等着 {one.behind} behind" if one.behind else ""
        told = (str(one.place), state, one.type, str(age), behind)
        out.print(Text("  ".join(filter(None, told))))
        out.print(Text(f"    {in_words(one.reason).what}", "dim"))
    out.print(
        f"{len(found)} 件；看一件：chuishao dlq show 位置 · subjects; look at one: dlq show PLACE"
    )


def show_counts(found: Sequence[Subject]) -> None:
    counted = Counter((one.place.service, one.reason) for one in found)
    table = Table("服务 · service", "件 · subjects", "原因 · why", box=None)
    for (service, reason), count in counted.most_common():
        table.add_row(service, str(count), Text(f"{in_words(reason).what}\n{reason}"))
    out.print(table)


def show_one(
    kept: Kept, others: Sequence[Place], done: Sequence[Mapping[str, Any]], *, as_one_json: bool
) -> None:
    headers, body = kept.now
    text = {name: value.decode(errors="replace") for name, value in sorted(headers.items())}
    told = in_words(kept.reason)
    facts: dict[str, Any] = {
        "place": str(kept.place),
        "key": None if kept.key is None else kept.key.decode(errors="replace"),
        "at": kept.at.isoformat(),
        "state": kept.state,
        "reason": kept.reason,
        "why": told.what,
        "todo": told.todo,
        "corrected": kept.corrected_headers is not None,
        "headers": text,
        "body": decoded(body),
        "behind": [str(one) for one in others],
        "acts": [{**one, "at": one["at"].isoformat()} for one in done],
    }
    if as_one_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    rows = Table(show_header=False, box=None)
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for zh, name in (("位置", "place"), ("键", "key"), ("时间", "at"), ("原因", "why")):
        rows.add_row(f"{zh} · {name}", Text(str(facts[name])))
    rows.add_row("", Text(kept.reason, "dim"))
    rows.add_row("怎么办 · todo", Text(told.todo))
    rows.add_row("头 · headers", Text("\n".join(f"{name}: {one}" for name, one in text.items())))
    corrected = "（已改正）" if facts["corrected"] else ""
    rows.add_row(f"正文{corrected} · body", Text(_told_body(facts["body"])))
    if others:
        rows.add_row("后面等着 · behind", Text("\n".join(facts["behind"])))
    for act in facts["acts"]:
        said = f"{act['at']} {_ACTS[act['act']]} {act['done_by']}：{act['why']}"
        rows.add_row("做过 · done", Text(said))
    out.print(rows)


def decoded(body: bytes | None) -> Any:  # noqa: ANN401 - any JSON
    """Return a body as JSON without what is sealed; one that is none as the text that it is."""
    try:
        return shown(json.loads(body or b""))
    except (ValueError, RecursionError):
        return (body or b"").decode(errors="replace")[:_BODY_MAX]


def _told_body(body: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(body, str):
        return body
    return json.dumps(body, ensure_ascii=False, indent=1)[:_BODY_MAX]
