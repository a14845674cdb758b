import pytest

from services.notify.domain.contacts import masked, mobile


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("13812345678", "13812345678"),
        ("+8613812345678", "13812345678"),
        ("008613812345678", "13812345678"),
        ("138 1234-5678", "13812345678"),
        ("16000000001", "16000000001"),
        ("12812345678", None),
        ("1381234567", None),
        ("138123456789", None),
        ("0546-1234567", None),
        ("１３８１２３４５６７８", None),
        ("+113812345678", None),
        ("", None),
        ("王五", None),
    ],
)
def test_only_a_mainland_mobile_gets_an_sms(text: str, expected: str | None) -> None:
    assert mobile(text) == expected


def test_a_number_is_shown_without_its_middle() -> None:
    assert masked("13812345678") == "138****5678"
