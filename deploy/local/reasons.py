"""Why a record was set aside, in words, and what to do: Chinese first, English beside it."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Told:
    """What a reason means, and what an operator does about it."""

    what: str
    todo: str


_FIX = (
    "查是谁写的；改正用 chuishao dlq fix 位置 --set 字段=值（或 --file），再 dlq replay 位置"
    " · find who wrote it; correct it by `dlq fix`, then `dlq replay`"
)
_NEWER = (
    "先看是不是新版本写的：是就启动能读它的版本，再 chuishao dlq replay；不是就 dlq fix · if a "
    "newer version wrote it, start one that can read it and replay; else correct it by `dlq fix`"
)
_OURS = (
    "多半是程序的错：报给开发者；换上改好的版本后 chuishao dlq replay · most likely a fault of "
    "ours: call the developers; replay once the mended version runs"
)
_UNSENT = (
    "先放大主题或服务器的上限（runbooks/outbox_rows_parked），再 chuishao dlq replay；登记记录"
    "改小后重新提交，再 dlq drop · raise the topic's limit, then `dlq replay`; send a registry "
    "record smaller, then `dlq drop`"
)
# The first that is found in a reason counts.
_KNOWN = (
    (
        r"an earlier record of its subject is held",
        "同一件前面的记录被搁置，它在后面等 · it waits behind an earlier record of its subject",
        "处理前面那条，它随后自动生效 · mend the one in front; this one follows by itself",
    ),
    (
        r"no units in the registry of tenant (\S+)",
        "镇 {0} 还没有登记，记录没有错 · town {0} is not recorded; the record is well",
        "登记这个镇，再 chuishao dlq replay · record the town, then `dlq replay`",
    ),
    (
        r"cannot be sent to (\S+): (\d+) bytes",
        "{1} 字节，主题 {0} 不收 · {0} refuses its {1} bytes",
        _UNSENT,
    ),
    (r"Invalid JSON", "正文不是 JSON · its body is no JSON", _FIX),
    (r"missing header: ([\w, ]+)", "缺少头 {0} · headers are missing: {0}", _FIX),
    (r"header", "有一个头的格式不对 · a header has the wrong form", _FIX),
    (
        r"([a-z_]+(?:\.[a-z_]+)+\.v\d+): ([\w.]+): (.+?)(?: \(\S+:\d+\))?$",
        "{0} 的字段 {1} 不合约定：{2} · its field breaks the contract",
        _NEWER,
    ),
    (
        r"^(\w+):.*\((\S+:\d+)\)",
        "处理时出错 {0}，在 {1} · handling failed there",
        _OURS,
    ),
)


def in_words(reason: str) -> Told:
    """Tell what a reason means; one that is not known is told as it is."""
    for pattern, what, todo in _KNOWN:
        if match := re.search(pattern, reason):
            return Told(what.format(*match.groups()), todo)
    return Told(reason, _FIX)
