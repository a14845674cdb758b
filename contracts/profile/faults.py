"""Faults of form, found by the models, turned into problems that name ids instead of positions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from contracts.profile.parts import ID_PATTERN, item_key
from contracts.profile.problems import Problem, did_you_mean, listed, shown

Loc: TypeAlias = tuple[int | str, ...]
Texts: TypeAlias = tuple[str, str]

_QUOTES = (
    "（YAML 会把不带引号的 on、off、yes、no 读成真假，把 18:00、2025-01-01 读成别的值：请加引号）",
    " (bare on, off, yes, no, 18:00 and 2025-01-01 are not text to YAML: put it in quotes)",
)


def problems_of(
    error: ValidationError, model: type[BaseModel], mapping: Mapping[str, Any]
) -> tuple[Problem, ...]:
    """Turn what `model` found in `mapping` into problems."""
    faults = error.errors(include_url=False)
    return tuple(
        Problem(path_of(fault["loc"], mapping), *_texts(fault, model))
        for fault in faults
        if not _follows_from_another(fault, faults)
    )


def path_of(loc: Loc, mapping: object) -> str:
    """Return a place as a dotted path; an item of a list goes by its id where it has one."""
    parts: list[str] = []
    here = mapping
    for part in loc:
        if isinstance(part, int) and isinstance(here, Sequence) and part < len(here):
            here = here[part]
            parts.append(item_key(here) or str(part))
        else:
            here = here.get(part) if isinstance(here, Mapping) else None
            parts.append(str(part))
    return ".".join(part for part in parts if part != "[key]") or "profile"


def _follows_from_another(fault: ErrorDetails, faults: Sequence[ErrorDetails]) -> bool:
    """Whether a list is called too short only because its faulty items were not counted."""
    loc = fault["loc"]
    return fault["type"] == "too_short" and any(
        len(other["loc"]) > len(loc) and other["loc"][: len(loc)] == loc for other in faults
    )


def _texts(fault: ErrorDetails, model: type[BaseModel]) -> Texts:
    context = fault.get("ctx", {})
    match fault["type"]:
        case "profile":
            return context["zh"], context["en"]
        case "extra_forbidden":
            return _unknown_key(str(fault["loc"][-1]), _keys_at(model, fault["loc"][:-1]))
        case "literal_error":
            return _not_a_choice(fault["input"], context["expected"])
        case known if known in _SIMPLE:
            zh, en = _SIMPLE[known](context)
            if known == "missing":
                return zh, en
            found = shown(fault["input"])
            hint = _QUOTES if known == "string_type" else ("", "")
            return f"{zh}，现在是 {found}{hint[0]}", f"{en}, found {found}{hint[1]}"
        case _:
            return f"不合要求：{fault['msg']}", fault["msg"]


def _unknown_key(key: str, known: Sequence[str]) -> Texts:
    zh, en = did_you_mean(key, known)
    return (
        f"没有 {key!r} 这个键{zh or '，'}可用的键：{listed(known)}",
        f"unknown key {key!r}{en or ';'} known here: {listed(known)}",
    )


def _not_a_choice(value: object, expected: str) -> Texts:
    choices = [choice.strip("'") for choice in expected.replace(" or ", ", ").split(", ")]
    zh, en = did_you_mean(value, choices)
    hint = _QUOTES if not isinstance(value, str) else ("", "")
    return (
        f"{shown(value)} 不在可选之列{zh or '，'}可选：{listed(choices)}{hint[0]}",
        f"{shown(value)} is none of the choices{en or ';'} choose from: {listed(choices)}{hint[1]}",
    )


def _keys_at(model: type[BaseModel], loc: Loc) -> tuple[str, ...]:
    """Return the keys that the model at `loc` knows, by the names that a profile uses."""
    here: type[BaseModel] | None = model
    for part in loc:
        fields = here.model_fields if here else {}
        field = next((f for name, f in fields.items() if part in (name, f.alias)), None)
        if field is not None:
            here = _model_in(field.annotation)
    return tuple(field.alias or name for name, field in here.model_fields.items()) if here else ()


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(_models_in(annotation), None)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    for argument in get_args(annotation):
        if found := _model_in(argument):
            yield found


def _bound(zh: str, en: str, name: str) -> Callable[[Mapping[str, Any]], Texts]:
    def texts(context: Mapping[str, Any]) -> Texts:
        bound = str(context[name]).removesuffix(".0")
        return zh.format(bound), en.format(bound)

    return texts


def _filled(zh: str, en: str) -> Callable[[Mapping[str, Any]], Texts]:
    def texts(context: Mapping[str, Any]) -> Texts:
        least = context["min_length"]
        return (
            ("不能为空", "must not be empty")
            if least == 1
            else (zh.format(least), en.format(least))
        )

    return texts


def _pattern(context: Mapping[str, Any]) -> Texts:
    if context["pattern"] == ID_PATTERN:
        return (
            "标识以小写字母开头，只用小写字母、数字和下划线",
            "an id begins with a small letter and has small letters, digits and underscores alone",
        )
    return f"写法应合乎 {context['pattern']}", f"must match {context['pattern']}"


def _said(zh: str, en: str) -> Callable[[Mapping[str, Any]], Texts]:
    return lambda _: (zh, en)


_SIMPLE: Mapping[str, Callable[[Mapping[str, Any]], Texts]] = {
    "missing": _said("缺少这一项，请补上", "is missing — add it"),
    "string_type": _said("应为文字", "expected text"),
    "bool_type": _said("应为 true 或 false", "expected true or false"),
    "int_type": _said("应为整数", "expected a whole number"),
    "int_from_float": _said("应为整数", "expected a whole number"),
    "float_type": _said("应为数字", "expected a number"),
    "finite_number": _said("应为有限的数字", "expected a finite number"),
    "tuple_type": _said("应为列表", "expected a list"),
    "mapping_type": _said("应为一组“键: 值”", "expected keys with values"),
    "dict_type": _said("应为一组“键: 值”", "expected keys with values"),
    "model_type": _said("应为一组“键: 值”", "expected keys with values"),
    "invalid_key": _said("键应为文字", "a key must be text"),
    "string_pattern_mismatch": _pattern,
    "string_too_short": _filled("至少 {} 个字", "needs at least {} characters"),
    "string_too_long": _bound("至多 {} 个字", "takes at most {} characters", "max_length"),
    "too_short": _filled("至少要有 {} 项", "needs at least {} items"),
    "too_long": _bound("至多 {} 项", "takes at most {} items", "max_length"),
    "greater_than": _bound("应大于 {}", "must be greater than {}", "gt"),
    "greater_than_equal": _bound("应不小于 {}", "must be at least {}", "ge"),
    "less_than": _bound("应小于 {}", "must be less than {}", "lt"),
    "less_than_equal": _bound("应不大于 {}", "must be at most {}", "le"),
}
