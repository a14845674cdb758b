"""Versions of keys: a new one beside the old, and nothing that is there gets lost."""

import json
import threading
from dataclasses import asdict
from pathlib import Path

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.keys import check_known, forget, rotate, versions
from deploy.local.resealed_files import reseal_files, used_in_files
from deploy.local.resealing import rewrapped, sealed_in
from deploy.local.secrets import ensure_secrets
from services.chassis.seal import CannotOpen, KeyRing

SUBJECT, TEXTS = "p-1", {"name": "阿依古丽·麦麦提", "phone": "13900000000"}


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    return ensure_secrets(tmp_path, ["yihe", "gucheng"]).key_file


def test_a_new_key_seals_at_once_in_a_ring_that_was_open_before(key_file: Path) -> None:
    ring = KeyRing(key_file)
    before = ring.seal("yihe", SUBJECT, TEXTS)
    assert rotate(key_file, ["yihe"]) == {"yihe": "k2"}
    after = ring.seal("yihe", SUBJECT, TEXTS)
    assert (before.kid, after.kid, ring.seal("gucheng", SUBJECT, TEXTS).kid) == ("k1", "k2", "k1")
    assert ring.open("yihe", SUBJECT, before, set(TEXTS)) == TEXTS
    assert ring.open("yihe", SUBJECT, after, set(TEXTS)) == TEXTS


def test_without_a_name_every_town_gets_a_new_key_and_the_rest_stays(key_file: Path) -> None:
    before = json.loads(key_file.read_bytes())
    assert rotate(key_file, []) == {"yihe": "k2", "gucheng": "k2"}
    assert rotate(key_file, ["yihe"]) == {"yihe": "k3"}
    after = json.loads(key_file.read_bytes())
    assert versions(key_file) == {
        "yihe": ("k3", ["k1", "k2", "k3"]),
        "gucheng": ("k2", ["k1", "k2"]),
    }
    for town in ("yihe", "gucheng"):
        assert after["tenants"][town]["index"] == before["tenants"][town]["index"]
        assert after["tenants"][town]["keys"]["k1"] == before["tenants"][town]["keys"]["k1"]
    assert after["pepper"] == before["pepper"]
    assert key_file.stat().st_mode & 0o777 == 0o600


def test_of_two_who_rotate_at_once_neither_loses_a_key(key_file: Path) -> None:
    threads = [threading.Thread(target=rotate, args=(key_file, ["yihe"])) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert versions(key_file)["yihe"] == ("k13", [f"k{n}" for n in range(1, 14)])


def test_the_key_that_seals_and_a_key_that_is_not_there_are_not_removed(key_file: Path) -> None:
    for kid in ("k1", "k9"):
        with pytest.raises(LocalStackError, match=kid):
            forget(key_file, "yihe", kid)
    with pytest.raises(LocalStackError, match="nowhere"):
        rotate(key_file, ["nowhere"])
    assert versions(key_file)["yihe"] == ("k1", ["k1"])


def test_a_lost_key_is_named_with_its_town_and_other_towns_go_on(key_file: Path) -> None:
    ring = KeyRing(key_file)
    before, theirs = (ring.seal(town, SUBJECT, TEXTS) for town in ("yihe", "gucheng"))
    rotate(key_file, ["yihe"])
    forget(key_file, "yihe", "k1")
    with pytest.raises(CannotOpen, match="key k1 of yihe is lost") as told:
        ring.open("yihe", SUBJECT, before, {"name"})
    assert TEXTS["name"] not in str(told.value)
    assert ring.open("gucheng", SUBJECT, theirs, {"name"}) == {"name": TEXTS["name"]}
    assert ring.seal("yihe", SUBJECT, TEXTS).kid == "k2"


def test_a_data_key_wrapped_anew_opens_the_same_texts_without_the_old_key(key_file: Path) -> None:
    ring = KeyRing(key_file)
    before = ring.seal("yihe", SUBJECT, TEXTS)
    rotate(key_file, ["yihe"])
    after = rewrapped(ring, "yihe", {"another", SUBJECT}, before)
    assert after is not None
    assert (after.kid, after.fields) == ("k2", before.fields)
    forget(key_file, "yihe", "k1")
    assert ring.open("yihe", SUBJECT, after, set(TEXTS)) == TEXTS


def test_a_data_key_is_not_wrapped_anew_in_another_place(key_file: Path) -> None:
    ring = KeyRing(key_file)
    sealed = ring.seal("yihe", SUBJECT, TEXTS)
    rotate(key_file, [])
    assert rewrapped(ring, "yihe", {"another"}, sealed) is None
    assert rewrapped(ring, "gucheng", {SUBJECT}, sealed) is None


def test_what_is_sealed_is_found_however_deep_and_nothing_else_is() -> None:
    sealed = {"kid": "k1", "key": "a", "fields": {"name": "b"}}
    held = {"kid": "a child", "list": [{"sealed": sealed}, 1, None], "more": {"kid": 1, "key": 2}}
    assert list(sealed_in(held)) == [sealed]
    assert list(sealed_in(sealed)) == [sealed]


def test_attachments_are_wrapped_anew_and_their_content_stays(
    key_file: Path, tmp_path: Path
) -> None:
    ring, place = KeyRing(key_file), tmp_path / "attachments"
    content = bytes(range(256)) * 9 + b"\n{\n"
    for path in (place / "yihe/ab/abc", place / "yihe/ab/abd.gone"):
        sealed = asdict(ring.seal("yihe", path.name.partition(".")[0], {"content_key": "x"}))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(json.dumps({"bytes": 1, "sealed": sealed}).encode() + b"\n" + content)
    (place / "yihe/ab/abc.by").write_bytes(b"")
    rotate(key_file, ["yihe"])
    assert used_in_files(place) == {("yihe", "k1"): 2}
    assert [reseal_files(place, ring, "yihe") for _ in range(2)] == [2, 0]
    assert used_in_files(place) == {("yihe", "k2"): 2}
    assert (place / "yihe/ab/abc").read_bytes().partition(b"\n")[2] == content
    assert used_in_files(tmp_path / "nowhere") == {}


def test_a_town_that_the_key_file_does_not_know_is_told_with_those_it_knows(
    key_file: Path,
) -> None:
    check_known(key_file, ["yihe", "gucheng"])
    with pytest.raises(LocalStackError, match=r"nowhere: the key file has.*yihe, gu"):
        check_known(key_file, ["yihe", "nowhere"])
