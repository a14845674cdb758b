"""A walk along a service's doors with another town's ids: answered like ids of nothing.

Which doors there are, the service's own OpenAPI document tells: one that is added later and takes
an id is found, and has to be asked.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

NOT_FOUND = 404
Door = tuple[str, str]  # method and path, as the document tells them
Ids = Mapping[str, str]  # by name
Send = Callable[[str, str, bytes | None], Awaitable[httpx.Response]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request at a door; `{name}` stands for an id, in path, query and body alike."""

    method: str
    path: str
    query: str = ""
    body: Any = None
    status: int = NOT_FOUND
    says: str = ""  # a word of the answer, where its status alone does not tell what it is about

    @property
    def door(self) -> Door:
        return self.method, self.path

    def url(self, ids: Ids) -> str:
        return _filled(f"{self.path}?{self.query}" if self.query else self.path, ids)

    def content(self, ids: Ids) -> bytes | None:
        return None if self.body is None else _filled(json.dumps(self.body), ids).encode()


def _filled(text: str, ids: Ids) -> str:
    for name, id_ in ids.items():
        text = text.replace(f"{{{name}}}", id_)
    return text


def doors_taking(document: Mapping[str, Any], names: Iterable[str]) -> set[Door]:
    """Return the doors that take any of these in their path, their query or their body."""
    wanted = set(names)
    return {
        (method, path)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if wanted.intersection(_fields(operation, document))
    }


def _fields(operation: Mapping[str, Any], document: Mapping[str, Any]) -> set[str]:
    named = {one["name"] for one in operation.get("parameters", ())}
    return named | set(_named_in(operation.get("requestBody", {}), document, set()))


def _named_in(part: Any, document: Mapping[str, Any], seen: set[str]) -> Iterator[str]:
    """Yield the names of all fields of a schema, and of those it is made of."""
    if isinstance(part, list):
        for one in part:
            yield from _named_in(one, document, seen)
    elif isinstance(part, dict):
        yield from part.get("properties", ())
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if name and name not in seen:
            seen.add(name)
            yield from _named_in(document["components"]["schemas"][name], document, seen)
        for one in part.values():
            yield from _named_in(one, document, seen)


async def walk(asks: Iterable[Ask], theirs: Ids, nobodys: Ids, send: Send) -> None:
    """Ask with both ids; fail where an answer is not as told, or differs from the other."""
    told = []
    for ask in asks:
        one = await send(ask.method, ask.url(theirs), ask.content(theirs))
        none = await send(ask.method, ask.url(nobodys), ask.content(nobodys))
        told.append((ask, one, none))
    assert [
        (ask, one.text)
        for ask, one, _ in told
        if one.status_code != ask.status or ask.says not in one.text
    ] == []
    assert [
        (ask, one.text, none.text)
        for ask, one, none in told
        if (one.status_code, _said(one, theirs)) != (none.status_code, _said(none, nobodys))
    ] == []


def _said(answer: httpx.Response, ids: Ids) -> str:
    """Return what was answered; what is no 404 may repeat the ids that it was given."""
    text = answer.text
    for name, id_ in ids.items() if answer.status_code != NOT_FOUND else ():
        text = text.replace(id_, name)
    return text
