"""CloudEvents 1.0 over HTTP, read strictly: structured, batched and binary mode.

Source: CloudEvents 1.0.2, its JSON event format (sections 2 to 4) and its HTTP protocol binding
(section 3). Data must be JSON; extension attributes are allowed and passed over.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from urllib.parse import unquote

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from starlette.datastructures import Headers

from services.chassis.http import Json, Problem, read_json

SPECVERSION = "1.0"
Mode: TypeAlias = Literal["structured", "batched", "binary"]
STRUCTURED, BATCHED = "application/cloudevents+json", "application/cloudevents-batch+json"
_MODES: Mapping[str, Mode] = {STRUCTURED: "structured", BATCHED: "batched"}
_PREFIX = "ce-"
_REQUIRED = ("id", "source", "type")
_LONGEST = {"id": 256, "source": 512, "type": 128}
# No blank stands in a source, so that source and id in one text can be told apart.
_SOURCE = re.compile(r"[!-~]+")
_TEXT = re.compile(r"[^\x00-\x1f\x7f-\x9f]+")
_JSON = re.compile(r"[a-z0-9!#$&^_.+-]+/(?:json|[a-z0-9!#$&^_.+-]*\+json)")
_ESCAPED = re.compile(r"\\(.)")
_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. `key` is its source and id: the same two are the same event, for ever."""

    source: str
    id: str
    type: str
    data: Json

    @property
    def key(self) -> str:
        return f"{self.source} {self.id}"


def mode_of(headers: Headers) -> Mode:
    """Tell the mode by the content type, as the HTTP binding does.

    Raises:
        Problem: 415, it is no CloudEvent in a format that is taken.
    """
    media = _media(headers.get("content-type", ""))
    if media in _MODES:
        return _MODES[media]
    if not media.startswith("application/cloudevents") and any(
        name.startswith(_PREFIX) for name in headers
    ):
        return "binary"
    zh = f"不是 CloudEvents：请用 {STRUCTURED}、{BATCHED}，或者把属性写在 ce-* 头里。"
    en = f"Not a CloudEvent: send {STRUCTURED}, {BATCHED}, or the attributes as ce-* headers."
    raise Problem(415, "not_an_event", zh, en, field="Content-Type")


def read_binary(headers: Headers, body: bytes) -> CloudEvent:
    """Read attributes from `ce-*` headers, percent-encoded, and the data from the body.

    Raises:
        Problem: naming the attribute that is wrong.
    """
    attributes: dict[str, Json] = {}
    for header, value in headers.items():
        if header.startswith(_PREFIX):
            name = header.removeprefix(_PREFIX)
            if name in attributes:
                raise _wrong(name, "出现了两次", "stands twice")
            attributes[name] = _decoded(name, value)
    attributes["datacontenttype"] = headers.get("content-type") or None
    _check(attributes)
    return _event(attributes, read_json(body) if body else None)


def read_structured(said: Json) -> CloudEvent:
    """Read one event from its JSON form.

    Raises:
        Problem: naming the attribute that is wrong.
    """
    if not isinstance(said, dict):
        zh, en = "一个事件应为 JSON 对象。", "An event is a JSON object: mend it and resend."
        raise Problem(400, "event_not_an_object", zh, en)
    _check(said)
    if "data_base64" not in said:
        return _event(said, said.get("data"))
    if "data" in said:
        raise _wrong("data_base64", "不能和 data 同时给", "either this or `data`, not both")
    try:
        raw = b64decode(said["data_base64"].encode(), validate=True)
    except (AttributeError, binascii.Error):
        zh, en = "data_base64 不是合法的 Base64。", "`data_base64` is not base64: mend and resend."
        raise Problem(400, "data_base64_invalid", zh, en, field="data_base64") from None
    return _event(said, read_json(raw) if raw else None)


def read_batch(said: Json) -> list[Json]:
    """Return the events of a batch, still unread.

    Raises:
        Problem: 400, it is no list.
    """
    if not isinstance(said, list):
        zh, en = "一批事件应为 JSON 数组。", "A batch of events is a JSON array: mend and resend."
        raise Problem(400, "event_not_a_list", zh, en)
    return said


def _check(attributes: Mapping[str, Json]) -> None:
    """Check the attributes that every event has, in the order in which one would read them."""
    version = attributes.get("specversion")
    if version != SPECVERSION:
        zh = f"specversion 应为 {SPECVERSION}。"
        en = f"`specversion` must be {SPECVERSION}."
        raise Problem(400, "specversion_unsupported", zh, en, field="specversion")
    for name in _REQUIRED:
        _check_required(name, attributes.get(name))
    time = attributes.get("time")
    if time is not None and not _is_time(time):
        zh, en = "应为带时区的时间，如 2025-03-03T10:00:00Z", "expected a time in RFC 3339"
        raise _wrong("time", zh, en)
    content_type = attributes.get("datacontenttype")
    if content_type is not None and not (
        isinstance(content_type, str) and _JSON.fullmatch(_media(content_type))
    ):
        zh = "数据应为 JSON：datacontenttype（二进制模式为 Content-Type）请写 application/json。"
        en = "Data must be JSON: `datacontenttype` (Content-Type in binary mode) application/json."
        raise Problem(415, "datacontenttype_unsupported", zh, en, field="datacontenttype")


def _check_required(name: str, value: Json) -> None:
    if value is None or value == "":
        zh = f"缺少 {name}：source 加 id 认出一个事件，type 说明它是什么。"
        en = f"Missing `{name}`: source and id tell an event from others, type says what it is."
        raise Problem(400, "event_attribute_missing", zh, en, field=name)
    form = _SOURCE if name == "source" else _TEXT
    longest = _LONGEST[name]
    if not isinstance(value, str) or len(value) > longest or not form.fullmatch(value):
        zh, en = f"应为 1 至 {longest} 个字符的文字，不含控制字符", "without control characters"
        if form is _SOURCE:
            zh = f"应为不超过 {longest} 个字符的 URI，只用可见 ASCII 字符、不含空格"
            en = "a URI in visible ASCII without blanks"
        raise _wrong(name, zh, f"text of at most {longest} characters, {en}")


def _is_time(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    try:
        _TIME.validate_python(value)
    except ValidationError:
        return False
    return True


def _event(attributes: Mapping[str, Json], data: Json) -> CloudEvent:
    if data is None:
        zh, en = "事件没有数据。", "The event has no data: send what the door of its kind takes."
        raise Problem(400, "event_data_missing", zh, en, field="data")
    return CloudEvent(attributes["source"], attributes["id"], attributes["type"], data)


def _decoded(name: str, value: str) -> str:
    """Undo the quoting and the percent-encoding of a header (HTTP binding, section 3.1.3.2)."""
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        zh, en = "百分号编码不是 UTF-8", "its percent-encoding is not UTF-8"
        raise _wrong(name, zh, en) from None


def _media(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _wrong(name: str, zh: str, en: str) -> Problem:
    return Problem(
        400, "event_attribute_invalid", f"{name}：{zh}。", f"`{name}`: {en}.", field=name
    )
