"""An attachment's id is the content's in one tenant, and nobody else can make one up."""

from pathlib import Path

import pytest

from services.chassis.http import Problem
from services.chassis.seal import CannotOpen, KeyRing
from services.doors.attachment_id import attachment_id, check_given_out, is_given_out
from tests import factories


@pytest.fixture
def ring(tmp_path: Path) -> KeyRing:
    return KeyRing(factories.secrets(tmp_path, "yihe", "gucheng").key_file)


def test_the_same_content_is_the_same_id_in_one_tenant_alone(ring: KeyRing) -> None:
    id_ = attachment_id(ring, "yihe", b"photo")
    assert id_ == attachment_id(ring, "yihe", b"photo")
    assert id_ != attachment_id(ring, "yihe", b"photo2")
    assert len(id_) == 64
    assert is_given_out(ring, "yihe", id_)
    assert not is_given_out(ring, "gucheng", id_)


@pytest.mark.parametrize("nth", [0, 31, 32, 63])
def test_an_id_with_one_character_changed_was_never_given_out(ring: KeyRing, nth: int) -> None:
    id_ = attachment_id(ring, "yihe", b"photo")
    other = "0" if id_[nth] != "0" else "1"
    assert not is_given_out(ring, "yihe", id_[:nth] + other + id_[nth + 1 :])


@pytest.mark.parametrize("wrong", ["", "photo-1", "é" * 64, "0" * 64, "0" * 65])
def test_what_is_no_id_is_named_by_its_place(ring: KeyRing, wrong: str) -> None:
    good = attachment_id(ring, "yihe", b"photo")
    check_given_out(ring, "yihe", "proof", [good, good])
    with pytest.raises(Problem) as refused:
        check_given_out(ring, "yihe", "proof", [good, wrong])
    assert [one["field"] for one in refused.value.body["errors"]] == ["proof.1"]


def test_a_tenant_without_keys_is_told(ring: KeyRing) -> None:
    with pytest.raises(CannotOpen):
        is_given_out(ring, "elsewhere", "0" * 64)
