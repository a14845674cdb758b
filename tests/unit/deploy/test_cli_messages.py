"""The file that `replay` takes: every fault by its line, nothing sent before all is well."""

import json
from pathlib import Path

import pytest

from deploy.cli.messages import Message, read_messages, told_refusal, told_repeats
from deploy.local.errors import LocalStackError

GOOD = {"id": "m-1", "subject": "路灯不亮", "text": "三天了", "at": "2025-03-03T10:00:00+08:00"}


def line(**more: object) -> bytes:
    return json.dumps({**GOOD, **more}, ensure_ascii=False).encode()


def file(tmp_path: Path, *lines: bytes) -> Path:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(b"\n".join(lines))
    return path


def test_blank_lines_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = file(tmp_path, b"\xef\xbb\xbf" + line(), b"", b"  \r", line(id="m-2") + b"\r", b"")
    assert [(one.line, one.id) for one in read_messages(path)] == [(1, "m-1"), (4, "m-2")]


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        pytest.param(b'{"id": 1', "不是 JSON", id="cut-short"),
        pytest.param(b"[1]", "不是 JSON 对象", id="no-object"),
        pytest.param(b"[" * 100_000, "嵌套太深", id="endless"),
        pytest.param("路灯".encode("gbk"), "不是 UTF-8", id="gbk"),
        pytest.param(line(text=7, at=None), "缺少文字字段 text、at", id="no-text"),
        pytest.param(line(id="三"), "id 应为", id="id-not-ascii"),
        pytest.param(line(id="a\nb"), "id 应为", id="id-with-a-line-break"),
        pytest.param(line(id="x" * 122), "id 应为", id="id-too-long"),
    ],
)
def test_a_bad_line_is_named_by_its_own_number(bad: bytes, says: str, tmp_path: Path) -> None:
    path = file(tmp_path, line(), b"", bad, line(id="m-3"))
    with pytest.raises(LocalStackError) as refused:
        read_messages(path)
    assert f"第 3 行 · line 3：{says}" in str(refused.value)
    assert f"{path} 有 1 行不是消息，一条也没有发送" in str(refused.value)


def test_all_bad_lines_are_listed_up_to_twenty(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError) as refused:
        read_messages(file(tmp_path, *([b"?"] * 23), line()))
    assert [f"line {n}：" in str(refused.value) for n in range(1, 24)] == [True] * 20 + [False] * 3
    assert "还有 3 行" in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match="Cannot read"):
        read_messages(tmp_path)


def message(number: int, **more: str) -> Message:
    return Message(number, **{**GOOD, **more})


def test_an_id_that_stands_twice_is_explained() -> None:
    assert told_repeats([message(1), message(2, id="m-2")]) == []
    told = told_repeats([message(1), message(4), message(9, text="又坏了"), message(12, id="x")])
    assert "重复的行数：2" in told[0]
    assert "第 1, 4, 9 行内容不同" in told[1]
    assert len(told_repeats([message(1), message(2)])) == 1, "the same words need no more"


def test_a_refusal_speaks_of_the_file_s_fields() -> None:
    problem = {"errors": [{"field": "occurred_at", "message": "expected a time"}]}
    told = told_refusal(message(7), 422, problem)
    assert told == "第 7 行 · line 7（id m-1）：字段有误 · wrong fields：at: expected a time"
    other = {"title": "太忙", "detail": "Too busy", "code": "overloaded"}
    assert told_refusal(message(7), 429, other).endswith("：太忙 · Too busy（429）")
