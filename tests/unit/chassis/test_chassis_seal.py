"""Sealed text opens with the right keys in the right place, and nowhere else."""

import json
import os
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.seal import CannotOpen, KeyRing, SealedFields

TOWN, SUBJECT = "yihe", "6f1d5c0e-3a0b-5f5e-9c1a-c71f5a0ca5e5"
TEXTS = {"name": "王小明", "phone": "13900000000"}


def key(fill: int) -> str:
    return b64encode(bytes([fill]) * 32).decode()


def tenant(kid: str = "k1", **more: int) -> dict[str, Any]:
    return {"kid": kid, "keys": {"k1": key(1), **{k: key(v) for k, v in more.items()}}}


def write(path: Path, tenants: Mapping[str, dict[str, Any]]) -> Path:
    content = {"pepper": key(9)}
    whole = {name: {"index": key(7), **entry} for name, entry in tenants.items()}
    path.write_text(json.dumps({**content, "tenants": whole}))
    return path


def later(path: Path) -> None:
    """Let the file look changed, however coarse the file system's clock is."""
    at = path.stat().st_mtime + 10
    os.utime(path, (at, at))


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("keys") / "keys.json", {TOWN: tenant(), "other": tenant()})


@pytest.fixture(scope="module")
def ring(key_file: Path) -> KeyRing:
    return KeyRing(key_file)


def flipped(token: str) -> str:
    raw = bytearray(b64decode(token))
    raw[-1] ^= 1
    return b64encode(bytes(raw)).decode()


def test_what_is_sealed_opens_again_as_far_as_it_is_named(ring: KeyRing) -> None:
    sealed = ring.seal(TOWN, SUBJECT, TEXTS)
    assert ring.open(TOWN, SUBJECT, sealed, {"name", "phone", "openid"}) == TEXTS
    assert ring.open(TOWN, SUBJECT, sealed, {"phone"}) == {"phone": TEXTS["phone"]}
    assert ring.open(TOWN, SUBJECT, sealed, set()) == {}


@settings(max_examples=25)
@given(text=st.text())
def test_any_text_survives_sealing(text: str, ring: KeyRing) -> None:
    sealed = ring.seal(TOWN, SUBJECT, {"name": text})
    assert ring.open(TOWN, SUBJECT, sealed, {"name"}) == {"name": text}


def test_two_seals_of_one_text_have_nothing_in_common(ring: KeyRing) -> None:
    first, second = (ring.seal(TOWN, SUBJECT, TEXTS) for _ in range(2))
    assert first.key != second.key
    assert not set(first.fields.values()) & set(second.fields.values())


def test_a_later_text_may_share_the_data_key_of_an_earlier_one(ring: KeyRing) -> None:
    first = ring.seal(TOWN, SUBJECT, {"name": "甲"})
    second = ring.seal(TOWN, SUBJECT, {"note": "乙"}, like=first)
    assert second.key == first.key
    both = SealedFields(first.kid, first.key, {**first.fields, **second.fields})
    assert ring.open(TOWN, SUBJECT, both, {"name", "note"}) == {"name": "甲", "note": "乙"}


def moved_fields() -> list[tuple[str, str, str]]:
    return [("other", SUBJECT, "name"), (TOWN, "another", "name"), (TOWN, SUBJECT, "phone")]


@pytest.mark.parametrize(("town", "subject", "field"), moved_fields())
def test_a_sealed_text_moved_to_another_place_does_not_open(
    ring: KeyRing, town: str, subject: str, field: str
) -> None:
    sealed = ring.seal(TOWN, SUBJECT, {"name": "王小明"})
    moved = replace(sealed, fields={field: sealed.fields["name"]})
    with pytest.raises(CannotOpen) as refused:
        ring.open(town, subject, moved, {field})
    assert "王小明" not in str(refused.value)


def test_a_text_under_another_subjects_data_key_does_not_open(ring: KeyRing) -> None:
    mine, theirs = ring.seal(TOWN, SUBJECT, TEXTS), ring.seal(TOWN, SUBJECT, TEXTS)
    with pytest.raises(CannotOpen):
        ring.open(TOWN, SUBJECT, replace(mine, key=theirs.key), {"name"})
    with pytest.raises(CannotOpen):
        ring.seal(TOWN, "another", TEXTS, like=mine)


@pytest.mark.parametrize("broken", ["", "====", "漢", "AAAA", "QUJD" * 4, None])
def test_an_altered_text_does_not_open(ring: KeyRing, broken: str | None) -> None:
    sealed = ring.seal(TOWN, SUBJECT, {"name": "王小明"})
    token = flipped(sealed.fields["name"]) if broken is None else broken
    with pytest.raises(CannotOpen):
        ring.open(TOWN, SUBJECT, replace(sealed, fields={"name": token}), {"name"})
    wrapped = flipped(sealed.key) if broken is None else broken
    with pytest.raises(CannotOpen):
        ring.open(TOWN, SUBJECT, replace(sealed, key=wrapped), {"name"})


def test_an_unknown_tenant_and_an_unknown_key_are_told_apart_from_a_bad_text(
    ring: KeyRing,
) -> None:
    sealed = ring.seal(TOWN, SUBJECT, TEXTS)
    with pytest.raises(CannotOpen, match="no keys for tenant nowhere"):
        ring.seal("nowhere", SUBJECT, TEXTS)
    with pytest.raises(CannotOpen, match="data key"):
        ring.open(TOWN, SUBJECT, replace(sealed, kid="k9"), {"name"})


def test_a_new_tenants_keys_are_found_without_a_restart(tmp_path: Path) -> None:
    path = write(tmp_path / "keys.json", {TOWN: tenant()})
    ring = KeyRing(path)
    write(path, {TOWN: tenant(), "new": tenant()})
    later(path)
    assert ring.seal("new", SUBJECT, TEXTS).kid == "k1"


def test_a_key_rotated_meanwhile_is_found_without_a_restart(tmp_path: Path) -> None:
    path = write(tmp_path / "keys.json", {TOWN: tenant()})
    reader = KeyRing(path)
    write(path, {TOWN: tenant("k2", k2=2)})
    later(path)
    sealed = KeyRing(path).seal(TOWN, SUBJECT, TEXTS)
    assert sealed.kid == "k2"
    assert reader.open(TOWN, SUBJECT, sealed, {"name"}) == {"name": TEXTS["name"]}


def test_what_was_sealed_before_a_rotation_still_opens(tmp_path: Path) -> None:
    path = write(tmp_path / "keys.json", {TOWN: tenant()})
    before = KeyRing(path).seal(TOWN, SUBJECT, TEXTS)
    write(path, {TOWN: tenant("k2", k2=2)})
    assert KeyRing(path).open(TOWN, SUBJECT, before, {"name"}) == {"name": TEXTS["name"]}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pepper": "AAAA"}', '{"tenants": 1}'])
def test_a_key_file_that_cannot_be_read_is_nobodys_record_at_fault(
    tmp_path: Path, content: str
) -> None:
    path = write(tmp_path / "keys.json", {TOWN: tenant()})
    ring = KeyRing(path)
    path.write_text(content)
    later(path)
    with pytest.raises(OSError, match="key file"):
        ring.tenant("new")
    assert ring.tenant(TOWN).kid == "k1"
    write(path, {TOWN: tenant(), "new": tenant()})
    later(path)
    assert ring.tenant("new").kid == "k1"


def test_a_tracking_code_is_stable_and_of_twelve_crockford_characters(ring: KeyRing) -> None:
    code = ring.tracking_code(TOWN, SUBJECT)
    assert code == "5S1EX5MP9JSF"
    assert len(code) == 12
    assert not set(code) - set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert ring.tracking_code(TOWN, "another") != code


def test_digests_for_different_purposes_differ(ring: KeyRing) -> None:
    assert ring.body_mac(TOWN, b"x") != ring.body_mac(TOWN, b"y")
    assert ring.body_mac(TOWN, b"x") == ring.body_mac(TOWN, b"x")
    assert len(ring.api_key_digest("x")) == 64
