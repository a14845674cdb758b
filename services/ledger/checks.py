"""What the registry's door refuses: whatever breaks a record's contract, or its readers later.

A reader that meets a broken record stands still with its whole town, so it must not get that far.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError

from contracts import profile as town_profile
from contracts.profile import ProfileError
from contracts.registry import (
    Absence,
    BackupPair,
    ProfileVersion,
    Ring,
    Roster,
    Tenant,
    Unit,
)
from services.ledger import elements
from services.ledger.aliases import wrong_aliases
from services.ledger.domain.numbers import as_kept, birth_date, is_personal, wrong_citizen_number
from services.ledger.domain.texts import phone_as_kept, seen, wrong_text
from services.ledger.faults import Wrong, both, wrong_by

# What is sealed before it is kept. Persons and addresses never leave ledger.
PERSONAL: Mapping[str, tuple[str, ...]] = {
    "staff": ("name", "phone", "openid"),
    "person": ("name", "id_number", "birth_date", "sex", "phone", "relation"),
    "household": ("address",),
    **elements.PERSONAL,
}
_NUMBERS = {"person": "id_number", "organisation": "credit_code"}
_NAMED = ("unit", "department", "party_unit")  # by `zh`
_OF_PEOPLE = ("person", "household", "staff", "organisation")
_RING_POINTS_MIN = 3
_PERSONAL_ID = both(
    "编号不能是身份证号或手机号，它会留在网址、日志和导出里，抹不掉：换一个编号；导入人员时可以留空，"
    "会给一个。",
    "An id must be no citizen number and no mobile number, which would stay in addresses, logs and "
    "exports for ever: take another, or in an import of persons leave it empty and one is given.",
)
_SEALED = {"kid": "", "key": "", "fields": {}}


def tidied(kind: str, body: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a record with its numbers, names and other texts in the form in which it is kept."""
    if body is None:
        return None
    return {
        field: _tidy(kind, field, value) if isinstance(value, str) else value
        for field, value in body.items()
    }


def _tidy(kind: str, field: str, text: str) -> str:
    if field == _NUMBERS.get(kind):
        return as_kept(text)
    if field not in PERSONAL.get(kind, ()) and (field != "zh" or kind not in _NAMED):
        return text
    return phone_as_kept(text) if field == "phone" else seen(text)


def wrong_in(
    tenant_id: str, kind: str, record_id: str, body: Mapping[str, Any] | None, today: date
) -> list[Wrong]:
    """Return what is wrong with one tidied record, without any value of it."""
    if kind == "tenant" and record_id != tenant_id:
        zh = f"只能是本镇自己的编号 {tenant_id}。"
        return [("id", both(zh, f"Expected the tenant's own id, {tenant_id}."))]
    if body is None:
        zh = "镇配置的版本不能删：案件按它办理。"
        final = both(zh, "A profile's versions are final: cases are pinned to them.")
        return [("body", final)] if kind == "profile" else []
    if kind in _OF_PEOPLE and is_personal(record_id, today):
        return [("id", _PERSONAL_ID)]
    texts = {name: body[name] for name in PERSONAL.get(kind, ()) if body.get(name) is not None}
    plain = {name: value for name, value in body.items() if name not in PERSONAL.get(kind, ())}
    no_text = both("应为文字。", "Expected text.")
    wrong = [(name, no_text) for name, text in texts.items() if not isinstance(text, str)]
    if _has_nul(body):
        wrong.append(("body", both("不能有 NUL 字符，请删去。", "Remove the NUL character.")))
    if "sealed" in plain:
        zh, en = "请发明文字段，这里会加密。", "Send the plain fields: they are sealed here."
        return [*wrong, ("sealed", both(zh, en))]
    wrong += _texts(kind, body)
    if kind == "person":
        wrong += _person(texts, today)
    if kind == "organisation":
        wrong += elements.wrong_organisation(texts, plain.get("founded"), today)
    return [*wrong, *_by_contract(kind, record_id, plain, has_texts=bool(texts))]


def _texts(kind: str, body: Mapping[str, Any]) -> Iterator[Wrong]:
    named = ("zh",) if kind in _NAMED else PERSONAL.get(kind, ())
    for field in named:
        text = body.get(field)
        said = wrong_text(kind, field, text) if isinstance(text, str) else None
        if said:
            yield field, both(*said)


def _person(texts: Mapping[str, Any], today: date) -> Iterator[Wrong]:
    number, born = texts.get("id_number"), texts.get("birth_date")
    if isinstance(number, str):
        said = wrong_citizen_number(number, today)
        if said:
            yield "id_number", both(*said)
    if isinstance(born, str):
        try:
            day = date.fromisoformat(born)
        except ValueError:
            yield "birth_date", both("应为日期，如 1990-01-31。", "Expected a date, as 1990-01-31.")
            return
        if day > today:
            yield "birth_date", both("在将来：请改正。", "It is in the future: mend it.")
        elif isinstance(number, str) and not said and birth_date(number) != day:
            zh, en = "与身份证号里的日期不同：改其一。", "Other than in `id_number`: mend one."
            yield "birth_date", both(zh, en)


def _by_contract(
    kind: str, record_id: str, plain: Mapping[str, Any], *, has_texts: bool
) -> Iterator[Wrong]:
    try:
        given = {**plain, **({"sealed": _SEALED} if has_texts else {})}
        record = elements.MODELS[kind].model_validate(given)
    except ValidationError as error:
        for field, said in wrong_by(error):
            if field == "sealed":  # nothing personal was given, and this kind must have some
                names = ", ".join(PERSONAL[kind])
                yield PERSONAL[kind][0], both(f"至少填一项：{names}。", f"Expected one of {names}.")
            else:
                yield field, said
        return
    yield from _unknown(_dropped(plain, _kept(record, plain)))
    match record:
        case Tenant(aliases=aliases):
            yield from wrong_aliases(aliases)
        case ProfileVersion():
            yield from _profile(record_id, record)
        case Unit():
            yield from _outline(record.polygon)
        case Roster() | Absence() | BackupPair():
            yield from _duty(record)
        case _:
            yield from elements.wrong_element(record_id, record)


def _kept(record: BaseModel, given: Mapping[str, Any]) -> Mapping[str, object]:
    """Return what a contract kept, by field; what has no parts of its own is not looked into."""
    if any(isinstance(value, list | dict) for value in given.values()):
        return record.model_dump(mode="json", exclude_unset=True)
    return type(record).model_fields


def _unknown(fields: Iterable[str]) -> list[Wrong]:
    zh, en = "没有这一项：删去，或改正名称。", "Unknown field: remove it, or mend its name."
    return [(field, both(zh, en)) for field in sorted(fields)]


def _dropped(given: object, kept: object, path: str = "") -> Iterator[str]:
    """Yield the paths of what a contract did not keep."""
    if isinstance(given, Mapping) and isinstance(kept, Mapping):
        for name, value in given.items():
            here = f"{path}{name}"
            if name in kept:
                yield from _dropped(value, kept[name], f"{here}.")
            else:
                yield here
    elif isinstance(given, list) and isinstance(kept, list):
        for n, (one, other) in enumerate(zip(given, kept, strict=True)):
            yield from _dropped(one, other, f"{path}{n}.")


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(one) for pair in value.items() for one in pair)
    return isinstance(value, list) and any(_has_nul(one) for one in value)


def _profile(record_id: str, record: ProfileVersion) -> Iterator[Wrong]:
    if record_id != str(record.version):
        zh = f"应为版本号 {record.version}。"
        yield "id", both(zh, f"Expected the version's number, {record.version}.")
    try:
        town_profile.parse(record.body)
    except ProfileError as error:
        yield from ((problem.path, both(problem.zh, problem.en)) for problem in error.problems)


def _duty(record: Roster | Absence | BackupPair) -> Iterator[Wrong]:
    match record:
        case Roster():
            yield from _roster(record)
        case Absence(begin=begin, end=end) if end <= begin:
            yield "end", both("应晚于 begin。", "Expected a moment after `begin`.")
        case BackupPair(grids=grids) if len(set(grids)) < len(grids):
            zh, en = "同一网格写了两次，各写一次。", "A grid stands twice: name each once."
            yield "grids", both(zh, en)
        case _:
            pass


def _roster(roster: Roster) -> Iterator[Wrong]:
    if (roster.staff is None) == (roster.unit is None):
        zh = "staff 和 unit 只写一个。"
        yield "staff", both(zh, "Expected either `staff` or `unit`: leave one of them out.")
    for n, shift in enumerate(roster.shifts):
        if shift.end <= shift.begin:
            zh = "应晚于 begin；夜班在 24:00 处分成两段。"
            en = "Expected a time after `begin`; split a night at 24:00."
            yield f"shifts.{n}.end", both(zh, en)
        if shift.days == ():
            zh, en = "写出日子；工作日则不写。", "Name a day, or leave it out for workdays."
            yield f"shifts.{n}.days", both(zh, en)


def _outline(polygon: Iterable[Ring]) -> Iterator[Wrong]:
    for n, ring in enumerate(polygon):
        if len(set(ring)) < _RING_POINTS_MIN:
            zh = "至少要三个不同的点。"
            yield f"polygon.{n}", both(zh, "Expected a ring of three different points at least.")
        elif not all(-180 <= lon <= 180 and -90 <= lat <= 90 for lon, lat in ring):  # noqa: PLR2004 - degrees
            zh = "应为 [经度, 纬度]，单位度，WGS-84。"
            yield f"polygon.{n}", both(zh, "Expected [lon, lat] in degrees, WGS-84.")
