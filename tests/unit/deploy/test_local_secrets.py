"""Keys of a stack: what is there stays, and what cannot be read is named and left alone."""

import json
import os
from pathlib import Path

import pytest

from deploy.local.errors import LocalStackError
from deploy.local.keys import rotate
from deploy.local.secrets import ensure_secrets, give_away


def test_keys_that_are_there_stay_and_a_new_town_gets_its_own(tmp_path: Path) -> None:
    file = ensure_secrets(tmp_path, ["yihe"]).key_file
    first, written = json.loads(file.read_bytes()), file.stat().st_ino
    ensure_secrets(tmp_path, ["yihe"])
    assert file.stat().st_ino == written  # nothing to add: not even written again
    ensure_secrets(tmp_path, ["yihe", "gucheng"])
    both = json.loads(file.read_bytes())
    assert (both["pepper"], both["tenants"]["yihe"]) == (first["pepper"], first["tenants"]["yihe"])
    assert set(both["tenants"]) == {"yihe", "gucheng"}


@pytest.mark.parametrize("broken", [b'{"pepper": "x"', b"\xff\xfe", b"", b"[]", b'{"tenants": []}'])
def test_a_key_file_that_cannot_be_read_is_named_and_left_alone(
    tmp_path: Path, broken: bytes
) -> None:
    file = ensure_secrets(tmp_path, ["yihe"]).key_file
    file.write_bytes(broken)
    with pytest.raises(LocalStackError) as told:
        ensure_secrets(tmp_path, ["yihe"])
    assert str(file) in str(told.value)
    assert str(told.value).startswith("密钥文件")
    assert file.read_bytes() == broken


def test_keys_that_are_gone_are_not_made_anew_over_what_they_sealed(tmp_path: Path) -> None:
    file = ensure_secrets(tmp_path, ["yihe"]).key_file
    file.unlink()
    with pytest.raises(LocalStackError) as told:
        ensure_secrets(tmp_path, ["yihe"])
    assert str(file) in str(told.value)
    assert not file.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_keys_that_were_given_to_the_services_stay_theirs(tmp_path: Path) -> None:
    file = ensure_secrets(tmp_path, ["yihe"]).key_file
    give_away(tmp_path, 10001)
    ensure_secrets(tmp_path, ["yihe", "gucheng"])
    assert file.stat().st_uid == 10001
    rotate(file, ["yihe"])
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (10001, 0o600)
