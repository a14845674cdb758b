"""What comes through the registry's door: all of it is right, or none of it is taken."""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from contracts.registry import Change
from services.chassis.seal import KeyRing, SealedFields
from services.ledger.aliases import alias_warnings
from services.ledger.changes import change_of, sealed_entries
from services.ledger.checks import PERSONAL
from services.ledger.elements import MODELS
from services.ledger.lines import Faulty, read_lines
from services.ledger.store.registry import ChangeSet, Entry
from tests import factories
from tests.factories import START, TENANT

PROFILE = next(line for line in factories.town_lines() if line["kind"] == "profile")


def line(kind: str, record_id: str, **body: Any) -> dict[str, Any]:
    return {"kind": kind, "id": record_id, "body": body}


NUMBER = "11010519491231002X"  # the example printed in GB 11643
UNIT = line("unit", "g1", level="grid", zh="一格")
STAFF = line("staff", "s1", posts=[{"unit": "g1", "role": "grid_worker"}], name="王𠮷")


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(factories.secrets(tmp_path_factory.mktemp("keys")).key_file)


def entries(ring: KeyRing, *lines: Mapping[str, Any] | bytes) -> list[Entry]:
    written = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    return sealed_entries(TENANT, read_lines(b"\n".join(written)), ring, START.date())


def faults(ring: KeyRing, *lines: Mapping[str, Any] | bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(Faulty) as caught:
        entries(ring, *lines)
    return [(one["line"], one["field"], one["message"]) for one in caught.value.faults]


def outline(*points: tuple[float, float]) -> dict[str, Any]:
    return line("unit", "g1", level="grid", zh="一格", polygon=[list(points)])


def with_body(**changes: Any) -> dict[str, Any]:
    return {**PROFILE, "body": {**PROFILE["body"], **changes}}


def code(digits: str, **more: Any) -> dict[str, Any]:
    return {"code": digits, "valid_from": "2020-01-01T00:00Z", **more}


def renamed(*codes: dict[str, Any]) -> dict[str, Any]:
    return line("tenant", TENANT, zh="x", en="y", aliases=codes)


CODE = "371728101000"
DAY = {"begin": "08:30", "end": "18:00"}
NIGHT, NOON = {"begin": "18:00", "end": "08:30"}, {"begin": "08:30", "end": "noon"}
SOONER, LATER = "2025-03-04T08:00+08:00", "2025-03-04T09:00+08:00"
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]
FAULTY: list[tuple[str, Mapping[str, Any] | bytes, str, str]] = [
    ("no JSON", b"{", "line", "JSON"),
    ("no object", b"[1]", "line", "object"),
    ("not UTF-8", b'{"kind":"\xff"}', "line", "UTF-8"),
    ("a key twice", b'{"kind":"unit","kind":"staff","id":"a","body":null}', "line", "duplicate"),
    ("NaN", b'{"kind":"unit","id":"a","body":{"level":"x","zh":NaN}}', "line", "number"),
    ("no kind", {"id": "a", "body": None}, "kind", "missing"),
    ("another kind", line("wish", "a"), "kind", "unit"),
    ("a clock", line("clock", "clock", offsets=[]), "kind", "unit"),
    ("no id", {"kind": "unit", "body": None}, "id", "missing"),
    ("a wild id", line("unit", "../a", level="grid", zh="x"), "id", "form"),
    ("a long id", line("unit", "a" * 65, level="grid", zh="x"), "id", "64"),
    ("no body", {"kind": "unit", "id": "a"}, "body", "missing"),
    ("an extra word", {**UNIT, "valid": True}, "valid", "no such field"),
    ("a field missing", line("unit", "a", zh="x"), "level", "missing"),
    ("hours of nobody", line("roster", "a", shifts=[DAY]), "staff", "either"),
    ("hours of two", line("roster", "a", staff="s", unit="g", shifts=[DAY]), "staff", "either"),
    ("a night in one", line("roster", "a", unit="g", shifts=[NIGHT]), "shifts.0.end", "24:00"),
    ("no time", line("roster", "a", unit="g", shifts=[NOON]), "shifts.0.end", "form"),
    ("no day", line("roster", "a", unit="g", shifts=[{**DAY, "days": []}]), "shifts.0.days",
     "leave it out"),
    ("an absence that ends first", line("absence", "a", staff="s", begin=LATER, end=SOONER), "end",
     "after `begin`"),
    ("an absence without a zone", line("absence", "a", staff="s", begin=SOONER, end="2025-03-05"),
     "end", "time"),
    ("a grid that backs itself", line("backup_pair", "a", grids=["g1", "g1"]), "grids", "once"),
    ("a pair of one", line("backup_pair", "a", grids=["g1"]), "grids", "2"),
    ("a row of four", line("backup_pair", "a", grids=list("abcd")), "grids", "3"),
    ("a field of another type", line("unit", "a", level="grid", zh=5), "zh", "text"),
    ("an unknown field", line("unit", "a", level="g", zh="x", polygn=[]), "polygn", "unknown"),
    (
        "an unknown field inside",
        line("staff", "a", name="x", posts=[{"unit": "g", "role": "r", "phone": "1"}]),
        "posts.0.phone",
        "unknown",
    ),
    ("a person's unknown field", line("person", "a", name="x", wechat="y"), "wechat", "unknown"),
    ("a staff's contact by another name", {**STAFF, "body": {**STAFF["body"], "mobile": "1"}},
     "mobile", "unknown"),
    ("nobody's staff", line("staff", "a", posts=[]), "name", "expected"),
    ("a name of 51", line("person", "a", name="𠮷" * 51), "name", "50"),
    ("a name of staff of 51", line("staff", "a", posts=[], name="王" * 51), "name", "50"),
    ("a name of nothing", line("person", "a", name="\u200b"), "name", "blank"),
    ("a bell in a name", line("person", "a", name="王\x07五"), "name", "control"),
    ("a line break in a name", line("person", "a", name="王\n五"), "name", "control"),
    ("a bell in a unit's name", line("unit", "a", level="grid", zh="一\x1b格"), "zh", "control"),
    ("no phone", line("person", "a", name="x", phone="abc"), "phone", "5 to 20"),
    ("an address on the web", line("organisation", "a", unit="v", name="x", phone="https://x"),
     "phone", "5 to 20"),
    ("two phones", line("person", "a", name="x", phone="13800000000、13900000000"), "phone", "one"),
    ("a phone of four digits", line("person", "a", name="x", phone="1-2-3-4"), "phone", "5 to 20"),
    ("a phone as a number", line("person", "a", name="x", phone=13800000000), "phone", "text"),
    ("an address as an object", line("household", "a", grid="g", address={"a": 1}), "address",
     "text"),
    ("sealed by the sender", line("staff", "a", posts=[], sealed={"kid": "", "key": "",
     "fields": {}}), "sealed", "plain"),
    ("NUL", line("unit", "a", level="grid", zh="x\0y"), "body", "NUL"),
    ("no quota", {**UNIT, "kind": "front_end", "body": {"zh": "x", "kind": "app",
     "key_digest": "d", "quota_per_s": 0}}, "quota_per_s", "more"),
    ("two points", outline((0, 0), (1, 1)), "polygon.0", "three"),
    ("one point often", outline((1, 1), (1, 1), (1, 1), (1, 1)), "polygon.0", "three"),
    ("lat before lon", outline((33, 114), (34, 114), (34, 115)), "polygon.0", "[lon, lat]"),
    ("a bad hole", line("unit", "g", level="grid", zh="x", polygon=[SQUARE, [[0, 0]]]),
     "polygon.1", "three"),
    ("another tenant", line("tenant", "gucheng", zh="x", en="y"), "id", TENANT),
    ("another tenant removed", {"kind": "tenant", "id": "gucheng", "body": None}, "id", TENANT),
    ("a code of nine digits", renamed(code("371728101")), "aliases.0.code", "12 digits"),
    ("a code with a nought before", renamed(code("071728101000")), "aliases.0.code", "12 digits"),
    ("a code in words", renamed(code("某镇")), "aliases.0.code", "12 digits"),
    ("a code that ends first", renamed(code(CODE, valid_to="2019-01-01T00:00Z")),
     "aliases.0.valid_to", "after"),
    ("a code twice at once", renamed(code(CODE), code(CODE)), "aliases.1.valid_from", "twice"),
    ("a version under a name", {**PROFILE, "id": "v1"}, "id", "expected the version's number, 1"),
    ("a version under another number", {**PROFILE, "id": "2"}, "id", "number, 1"),
    ("a profile removed", {"kind": "profile", "id": "1", "body": None}, "body", "final"),
    ("version nought", with_body(version=0), "version", "more"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("bad", "field", "said"), [row[1:] for row in FAULTY], ids=[row[0] for row in FAULTY]
)
def test_a_fault_is_named_by_its_line_and_field(
    ring: KeyRing, bad: Mapping[str, Any] | bytes, field: str, said: str
) -> None:
    found = faults(ring, {**UNIT, "id": "fine"}, bad)
    assert [(number, name) for number, name, _ in found] == [(2, field)]
    assert said.lower() in found[0][2].lower()


def test_a_code_may_come_back_and_an_unknown_province_is_only_warned_of(ring: KeyRing) -> None:
    until = "2021-01-01T00:00Z"
    again = {**code(CODE), "valid_from": until}
    unreal = code("791728101000")
    taken = entries(ring, renamed(code(CODE, valid_to=until), again, unreal))
    (warning,) = alias_warnings(taken)
    assert "791728101000" in warning


CALENDAR: list[tuple[dict[str, Any], str]] = [
    ({"holidays": [{"zh": "元旦", "first": "2026-01-03", "last": "2026-01-01"}]}, "应为 1 到"),
    ({"holidays": [{"zh": "元旦", "first": "2025-06-01", "last": "2025-06-01"}]}, "不属于 2026"),
    ({"workdays": ["2026-01-05"]}, "不是周末"),
    ({"workdays": ["2026-01-04", "2026-01-04"]}, "写了不止一次"),
    ({"workdays": ["soon"]}, "应为日期"),
]


@pytest.mark.parametrize(("year", "said"), CALENDAR)
def test_a_fault_of_a_calendar_is_told_in_both_languages(
    ring: KeyRing, year: dict[str, Any], said: str
) -> None:
    source = {"number": "第1号", "issued": "2025-11-01"}
    whole = {"year": 2026, "official": True, "sources": [source], "holidays": [], **year}
    ((_, field, message),) = faults(ring, line("calendar", "cn", version=1, years=[whole]))
    assert field
    assert said in message
    assert re.search(r"。 [A-Z0-9]", message)


VALUES: list[Any] = [
    None,
    True,
    -1,
    1.5,
    "",
    "路",
    "yesterday",
    [],
    ["x"] * 200,
    {},
    {"x": 1},
    [[]],
]


@pytest.mark.parametrize("kind", sorted(MODELS.keys() - {"clock"}))
def test_whatever_is_wrong_with_a_record_is_said_in_chinese_first_and_in_english(
    ring: KeyRing, kind: str
) -> None:
    names = {*MODELS[kind].model_fields, *PERSONAL.get(kind, ())}
    bodies = [{name: value} for name in names for value in VALUES]
    said = set[str]()
    for body in bodies:
        try:
            sealed_entries(
                TENANT,
                read_lines(json.dumps({"kind": kind, "id": TENANT, "body": body}).encode()),
                ring,
                START.date(),
            )
        except Faulty as error:
            said |= {one["message"] for one in error.faults}
    assert said
    for message in said:
        assert re.match(r"[^A-Za-z]*[\u4e00-\u9fff]|[\w ]+[\u4e00-\u9fff]", message), message
        assert re.search(r"。 [A-Z]", message), message
        assert not re.search(r"\b(Input|should|valid string|dictionary|NoneType)\b", message), (
            message
        )
        assert "对照接口说明" not in message


def test_a_profile_with_faults_is_refused_with_each_path(ring: KeyRing) -> None:
    body = json.loads(json.dumps(PROFILE["body"]["body"]))
    body["flows"][0]["steps"][0]["by"] = ["nobody"]
    body["clock"]["workday"] = []
    assert {(number, name) for number, name, _ in faults(ring, UNIT, with_body(body=body))} == {
        (2, "clock.workday")
    }
    del body["clock"]["workday"]
    ((number, path, _),) = faults(ring, UNIT, with_body(body=body))
    assert number == 2
    assert path.startswith("flows.")
    assert path.endswith(".by")


def test_empty_lines_are_passed_over_and_counted(ring: KeyRing) -> None:
    found = faults(ring, UNIT, b"", b"  ", b"{", b"", b"[]")
    assert [number for number, _, _ in found] == [4, 6]
    (later,) = faults(ring, UNIT, b"", {**UNIT, "body": {"level": "grid", "zh": 1}, "id": "g2"})
    assert later[:2] == (3, "zh")


def test_windows_line_breaks_are_line_breaks(ring: KeyRing) -> None:
    body = b"\r\n".join(json.dumps({**UNIT, "id": f"g{n}"}).encode() for n in range(3))
    assert len(sealed_entries(TENANT, read_lines(body + b"\r\n"), ring, START.date())) == 3


def test_an_empty_set_is_a_fault(ring: KeyRing) -> None:
    assert faults(ring, b"\n\n")[0][:2] == (1, "body")


def test_the_same_record_twice_in_a_set_is_a_fault(ring: KeyRing) -> None:
    removed = {"kind": "unit", "id": "g1", "body": None}
    assert faults(ring, UNIT, STAFF, removed) == [
        (3, "id", "第 1 行已有这一条：删去其一。 It stands in line 1 already: remove one of them.")
    ]
    assert len(entries(ring, UNIT, line("department", "g1", zh="x", level="town"))) == 2


def test_faults_are_listed_up_to_a_limit_that_can_be_read(ring: KeyRing) -> None:
    broken = [line("unit", f"g{n}", zh="x") for n in range(500)]
    assert len(faults(ring, *broken)) == 50
    assert len(faults(ring, *([b"{"] * 500))) == 50


def test_no_fault_repeats_what_a_person_is_called(ring: KeyRing) -> None:
    secret = "王小明13800000000"
    bad = line("person", "a", name=secret, phone=[secret], wechat=secret, sex={"x": secret})
    torn = json.dumps({**STAFF, "body": {"name": secret}}, ensure_ascii=False).encode()[:-3]
    assert secret not in str(faults(ring, bad, torn))
    assert secret not in str(faults(ring, bad))


PERSONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "a wrong check character": (
        {"id_number": "110105194912310021"}, "id_number", "校验码不对，有一位抄错了"
    ),
    "an old number": ({"id_number": "110105491231002"}, "id_number", "15 位旧号已停用"),
    "born tomorrow": ({"birth_date": "2099-01-01"}, "birth_date", "在将来：请改正。"),
    "no date": ({"birth_date": "1990年1月"}, "birth_date", "应为日期，如 1990-01-31。"),
    "born on two days": (
        {"id_number": NUMBER, "birth_date": "1949-12-30"}, "birth_date",
        "与身份证号里的日期不同：改其一。",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "field", "said"), PERSONS.values(), ids=PERSONS.keys())
def test_a_persons_number_and_birth_are_looked_at(
    ring: KeyRing, body: dict[str, Any], field: str, said: str
) -> None:
    found = faults(ring, line("person", "p1", name="王𠮷", **body), line("person", "p2", name="王"))
    assert [(one[0], one[1]) for one in found] == [(1, field)]
    assert found[0][2].startswith(said)


def test_a_citizen_number_is_kept_in_one_form_however_it_was_typed(ring: KeyRing) -> None:
    for n, typed in enumerate(
        ("11010519491231002x", "１１０１０５１９４９１２３１００２Ｘ", " 110105 19491231 002X ")
    ):
        kept = entries(ring, line("person", f"p{n}", name="王", id_number=typed))[0]
        sealed = SealedFields(**(kept.body or {})["sealed"])
        assert ring.open(TENANT, f"p{n}", sealed, {"id_number"}) == {"id_number": NUMBER}


@pytest.mark.parametrize(
    ("kind", "field", "typed", "kept"),
    [
        ("person", "name", "\ufeff王\u200b五\u202e", "王五"),
        ("person", "name", "e\u200b\u0301lan·𠮷", "élan·𠮷"),
        ("household", "address", " 东街\u2060 1 号", "东街 1 号"),
        ("person", "phone", "١٣٨٠٠٠٠٠٠٠٠", "13800000000"),
        ("person", "phone", "＋86 138–0000\u200b0000", "+86 138-00000000"),
        ("person", "phone", "12345", "12345"),
        ("organisation", "phone", "0546-1234567", "0546-1234567"),
        ("organisation", "phone", "（0546） 1234567", "0546-1234567"),
        ("person", "phone", "(+86)13800000000", "+86-13800000000"),
        ("person", "id_number", "١١٠١٠٥١٩٤٩١٢٣١٠٠٢x", NUMBER),
    ],
)
def test_a_text_is_kept_in_one_form_however_it_was_typed(
    ring: KeyRing, kind: str, field: str, typed: str, kept: str
) -> None:
    needed = {"household": {"grid": "g1"}, "organisation": {"unit": "v1"}}.get(kind, {})
    (entry,) = entries(ring, line(kind, "a", **needed, **{field: typed}))
    sealed = SealedFields(**(entry.body or {})["sealed"])
    assert ring.open(TENANT, "a", sealed, {field}) == {field: kept}


def test_the_name_of_a_unit_is_kept_without_what_cannot_be_seen(ring: KeyRing) -> None:
    (entry,) = entries(ring, line("unit", "g1", level="grid", zh="一\u200b格\ufeff"))
    assert (entry.body or {})["zh"] == "一格"


def test_what_is_personal_is_sealed_and_opens_again(ring: KeyRing) -> None:
    given = [
        line("person", "p1", name="王𠮷", id_number=NUMBER, phone="12345", household="h1", sex="f"),
        line("household", "h1", grid="g1", address="某村1号"),
        {**STAFF, "body": {**STAFF["body"], "phone": "16000000000", "openid": None}},
    ]
    for entry, line_ in zip(entries(ring, *given), given, strict=True):
        assert entry.body is not None
        kept = json.dumps(entry.body, ensure_ascii=False)
        sealed = SealedFields(**entry.body["sealed"])
        plain = {n: v for n, v in line_["body"].items() if n in sealed.fields}
        assert ring.open(TENANT, entry.record_id, sealed, set(plain)) == plain
        assert not [text for text in plain.values() if text in kept and len(text) > 1]
    assert "openid" not in entries(ring, given[2])[0].body["sealed"]["fields"]  # type: ignore[index]  # just made


def test_every_seeded_town_passes_the_door(ring: KeyRing) -> None:
    lines = factories.town_lines()
    assert len(entries(ring, *lines)) == len(lines)


def test_a_change_says_its_set_and_only_its_own_contract(ring: KeyRing) -> None:
    one = ChangeSet(TENANT, "s1", "somebody", START)
    home = entries(ring, line("household", "h1", grid="g1", address="某村1号"))[0]
    change = change_of(one, home, UUID(int=1), last=True)
    assert change.headers["ce_changeset"] == "s1"
    assert change.headers["ce_last"] == "true"
    assert json.loads(change.body or b"") == {"grid": "g1"}
    assert change.kind in Change.KINDS
