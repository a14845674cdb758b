"""One YAML file, read without the traps of YAML 1.1: nothing is guessed, nothing is overwritten."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from contracts.profile.problems import Problem, ProfileError

FILE_BYTES_MAX = 512 * 1024
DEPTH_MAX = 20

# libyaml is five times faster; not every platform's PyYAML has it.
_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING = "tag:yaml.org,2002:str"
_BOOLEAN = "tag:yaml.org,2002:bool"


def read(path: Path) -> dict[str, Any]:
    """Read one file.

    Raises:
        ProfileError: it is not there, is no YAML, or falls into one of YAML's traps.
    """
    name = path.name
    text = _text(path)
    try:
        return _content(text, name)
    except ProfileError:
        raise
    except yaml.YAMLError as error:
        at = _at(name, getattr(error, "problem_mark", None))
        why = getattr(error, "problem", None) or error
        raise _unreadable(at, f"不是合法的 YAML：{why}", f"is no valid YAML: {why}") from error
    except ValueError as error:  # such as a bare date that does not exist
        raise _unreadable(name, f"YAML 读不懂：{error}", f"cannot be read: {error}") from error


def _content(text: str, name: str) -> dict[str, Any]:
    _refuse_depth(text, name)
    loader = _LOADER(text)
    try:
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise _unreadable(name, "应为一组“键: 值”", "expected keys with values")
        if problems := tuple(_traps(root, name)):
            raise ProfileError(problems)
        return dict(loader.construct_document(root))
    finally:
        loader.dispose()


def _refuse_depth(text: str, name: str) -> None:
    """Composing recurses: libyaml would end the process rather than raise."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_MAX:
            at = _at(name, event.start_mark)
            raise _unreadable(at, f"嵌套超过 {DEPTH_MAX} 层", f"is nested deeper than {DEPTH_MAX}")


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        zh, en = f"读不到：{error.strerror}", f"cannot be read: {error.strerror}"
        raise _unreadable(path.name, zh, en) from error
    if len(data) > FILE_BYTES_MAX:
        raise _unreadable(path.name, "超过 512 KB", "is larger than 512 KB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise _unreadable(path.name, "不是 UTF-8 编码", "is not encoded in UTF-8") from error


def _unreadable(path: str, zh: str, en: str) -> ProfileError:
    return ProfileError((Problem(path, zh, en),))


def _at(name: str, mark: Any) -> str:  # noqa: ANN401 - libyaml's marks are no kind of PyYAML's
    return f"{name}:{mark.line + 1}" if mark else name


def _traps(root: yaml.Node, name: str) -> Iterator[Problem]:
    """Yield keys that are no text, keys that stand twice, and anchors which are used again."""
    seen: set[int] = set()
    ahead = [root]
    while ahead:
        node = ahead.pop()
        if id(node) in seen:
            yield Problem(
                _at(name, node.start_mark),
                "不支持锚点和别名（& 与 *），请写全，或用 extends",
                "anchors and aliases (& and *) are not used — write it out, or use extends",
            )
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from _keys(node, name)
            ahead += [value for _, value in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            ahead += reversed(node.value)


def _keys(node: yaml.MappingNode, name: str) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for key, _ in node.value:
        at = _at(name, key.start_mark)
        if key.tag == _BOOLEAN:
            yield Problem(
                at,
                f"YAML 把键 {key.value!r} 读成了真假值，请换一个键，或加引号",
                f"YAML reads the key {key.value!r} as true or false — rename it, or quote it",
            )
        elif key.tag != _STRING:
            shown = key.value if isinstance(key, yaml.ScalarNode) else "…"
            yield Problem(
                at,
                f"键 {shown!r} 不是文字，请改名或加引号",
                f"the key {shown!r} is no text — rename it, or quote it",
            )
        elif key.value in seen:
            yield Problem(
                at,
                f"键 {key.value!r} 在第 {seen[key.value]} 行已经写过，请留一个",
                f"the key {key.value!r} stands already on line {seen[key.value]} — keep one",
            )
        else:
            seen[key.value] = key.start_mark.line + 1
