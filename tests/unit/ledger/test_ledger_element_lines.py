"""Elements at the door of the registry: numbers and dates bind, words are sealed."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from contracts.registry import Change
from services.chassis.seal import KeyRing, SealedFields
from services.ledger.changes import sealed_entries
from services.ledger.domain.numbers import credit_check
from services.ledger.elements import MODELS, PERSONAL
from services.ledger.lines import Faulty, read_lines
from services.ledger.store.registry import Entry
from tests import factories
from tests.factories import START, TENANT

CODE = "91110000600037341L"  # a licence printed in the press
Line = dict[str, Any]


def line(kind: str, record_id: str, **body: Any) -> Line:
    return {"kind": kind, "id": record_id, "body": body}


def code_list(record_id: str = "sex:2003", **changes: Any) -> Line:
    body = {
        "list": "sex", "version": "2003", "source": "GB/T 2261.1", "confidence": "recalled",
        "valid_from": "2003-12-01", "items": [{"code": "1", "zh": "男"}, {"code": "2", "zh": "女"}],
    }  # fmt: skip
    return line("code_list", record_id, **{**body, **changes})


LINK = {"link": "party_household", "staff": "s1", "to_kind": "household", "to": "h1"}
FAULTY: list[tuple[str, Line, str, str]] = [
    ("a code with a wrong check", line("organisation", "o", unit="v", name="x",
     credit_code=CODE[:-1] + "M"), "credit_code", "校验码不对"),
    ("a code with an O", line("organisation", "o", unit="v", credit_code="O" * 18), "credit_code",
     "没有 I、O、S、V、Z"),
    ("a code too short", line("organisation", "o", unit="v", credit_code=CODE[:17]), "credit_code",
     "18 位"),
    ("founded in the future", line("organisation", "o", unit="v", name="x", founded="2126-01-01"),
     "founded", "在将来"),
    ("dissolved before it was founded", line("organisation", "o", unit="v", name="x",
     founded="2020-01-02", dissolved="2020-01-01"), "dissolved", "founded"),
    ("no unit", line("organisation", "o", name="x"), "unit", "missing"),
    ("a matter that ends first", line("matter", "m", unit="v", begins="2025-02-01",
     ends="2025-01-31"), "ends", "begins"),
    ("a matter on no day", line("matter", "m", unit="v", begins="2025-02-30"), "begins", "date"),
    ("a thing of nowhere", line("thing", "t", name="摄像头"), "grid", "missing"),
    ("a name as a number", line("thing", "t", grid="g", name=1), "name", "text"),
    ("lat before lon", line("place", "p", grid="g", point=[33, 114]), "point", "[lon, lat]"),
    ("another field", line("place", "p", grid="g", owner="王"), "owner", "unknown"),
    ("a link to no kind", line("link", "l", **{**LINK, "to_kind": "grid"}), "to_kind", "unit"),
    ("a link of nobody", line("link", "l", link="x", to_kind="unit", to="g"), "staff", "missing"),
    ("less than nobody", line("party_unit", "b", level="p", zh="x", members=-1), "members", "0"),
    ("a flag twice", line("person", "p", name="王", flags=["a", "a"]), "flags", "once"),
    ("a class twice", line("household", "h", grid="g", more_classes=["a", "a"]), "more_classes",
     "once"),
    ("a list by another id", code_list("sex:2004"), "id", "sex:2003"),
    ("a list without codes", code_list(items=[]), "items", "1"),
    ("a code twice", code_list(items=[{"code": "1", "zh": "男"}] * 2), "items.1.code", "above"),
    ("a list that ends first", code_list(valid_to="2003-11-30"), "valid_to", "valid_from"),
    ("a list on hearsay", code_list(confidence="sure"), "confidence", "verified"),
    ("a list without a source", code_list(source=None), "source", "text"),
    ("an alias without an end", line("unit", "v", level="village", zh="x",
     aliases=[{"code": "v7", "zh": "七村"}]), "aliases.0.valid_to", "missing"),
]  # fmt: skip
RIGHT: list[Line] = [
    line("organisation", "o1", unit="v1", name="某合作社", credit_code=f" {CODE.lower()} "),
    line("organisation", "o2", unit="v1", name="村集体", credit_code="N2370000MF0000000"),
    line("place", "a1", grid="g1", subtype="homestead", name="王𠮷宅基地", point=[114.2, 33.3]),
    line("thing", "t1", grid="g1", place="a1", subtype="camera", name="枪机", note="王家门口"),
    line("matter", "m1", unit="v1", begins="2025-01-29", name="正月灯会", note="王家出资"),
    line("link", "l1", **LINK),
    line("party_unit", "b1", level="p_branch", zh="某村党支部", units=["v1"], members=3),
    code_list(),
    line("household", "h1", grid="g1", head="p1", more_classes=["resettled"], watched=True),
    line("person", "p1", household="h1", name="王𠮷·阿依", flags=["left_behind_elder"]),
    line("unit", "v1", level="village", zh="新村",
         aliases=[{"code": "v7", "zh": "七村", "valid_to": "2020-07-31T00:00+08:00"}]),
]  # fmt: skip
RIGHT[1]["body"]["credit_code"] += credit_check("N2370000MF0000000")


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> KeyRing:
    return KeyRing(factories.secrets(tmp_path_factory.mktemp("keys")).key_file)


def entries(ring: KeyRing, *lines: Mapping[str, Any]) -> list[Entry]:
    written = b"\n".join(json.dumps(one).encode() for one in lines)
    return sealed_entries(TENANT, read_lines(written), ring, START.date())


@pytest.mark.parametrize(
    ("bad", "field", "said"), [row[1:] for row in FAULTY], ids=[row[0] for row in FAULTY]
)
def test_a_fault_of_an_element_is_named_by_its_field(
    ring: KeyRing, bad: Line, field: str, said: str
) -> None:
    with pytest.raises(Faulty) as caught:
        entries(ring, RIGHT[0], bad)
    assert [(one["line"], one["field"]) for one in caught.value.faults] == [(2, field)]
    assert said.lower() in caught.value.faults[0]["message"].lower()


def test_every_kind_is_taken_and_its_words_are_sealed(ring: KeyRing) -> None:
    kept = entries(ring, *RIGHT)
    assert {one.kind for one in kept} >= MODELS.keys() - Change.KINDS.keys()
    for one, given in zip(kept, RIGHT, strict=True):
        plain = json.dumps(one.body, ensure_ascii=False)
        names = PERSONAL.get(one.kind, ()) if one.kind != "person" else ("name",)
        words = [given["body"][name] for name in names if name in given["body"]]
        assert not [text for text in words if text.strip() in plain]
        assert not words or (one.body or {})["sealed"]["fields"].keys() >= {names[0]}


def test_a_credit_code_is_kept_in_one_form(ring: KeyRing) -> None:
    (kept,) = entries(ring, RIGHT[0])
    sealed = SealedFields(**(kept.body or {})["sealed"])
    assert ring.open(TENANT, "o1", sealed, {"credit_code"}) == {"credit_code": CODE}


def test_only_what_readers_need_can_be_published() -> None:
    assert not {"person", "place", "thing", "matter", "organisation", "link"} & Change.KINDS.keys()
    assert not {"head", "more_classes", "watched"} & Change.KINDS["household"].model_fields.keys()
    assert "aliases" not in Change.KINDS["unit"].model_fields
