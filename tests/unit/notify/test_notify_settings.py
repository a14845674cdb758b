from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.notify.settings import NotifySettings

BASE: dict[str, Any] = {"port": 1, "key_file": Path("k"), "token_key_file": Path("t")}
GATEWAY: dict[str, Any] = {
    "gateway_url": "http://127.0.0.1:8105",
    "gateway_key_id": "chuishao",
    "gateway_secret_file": Path("s"),
    "gateway_sign_name": "吹哨",
    "receipts_token_file": Path("r"),
}


def test_without_a_gateway_there_is_no_channel_for_sms() -> None:
    assert NotifySettings(**BASE).gateway_url is None
    assert str(NotifySettings(**BASE, **GATEWAY).gateway_url) == "http://127.0.0.1:8105/"


@pytest.mark.parametrize("missing", [name for name in GATEWAY if name != "gateway_url"])
def test_half_a_gateway_stops_the_start(missing: str) -> None:
    given = {name: value for name, value in GATEWAY.items() if name != missing}
    with pytest.raises(ValidationError, match="with gateway_url give"):
        NotifySettings(**BASE, **given)


def test_a_call_must_end_well_before_its_lease() -> None:
    with pytest.raises(ValidationError, match="half of send_lease_s"):
        NotifySettings(**BASE, gateway_deadline_s=10, send_lease_s=15)
