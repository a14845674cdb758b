"""A token is believed only if all of it holds."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.chassis.token import BadToken, Identity, TokenCheck, sign
from tests import factories

CLAIMS: dict[str, Any] = {
    "sub": "s1",
    "tenant": "yihe",
    "roles": ["dispatcher"],
    "units": ["v1", "v2"],
    "exp": 4_000_000_000,
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Path]:
    made = factories.secrets(tmp_path_factory.mktemp("token"))
    return made.token_private.read_bytes(), made.token_public


@pytest.fixture(scope="module")
def check(keys: tuple[bytes, Path]) -> TokenCheck:
    return TokenCheck(keys[1])


def bearer(keys: tuple[bytes, Path], **claims: Any) -> str:
    return f"Bearer {sign(keys[0], {**CLAIMS, **claims})}"


def part(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def test_a_good_token_says_who_acts(keys: tuple[bytes, Path], check: TokenCheck) -> None:
    assert check.identity(bearer(keys, department="police")) == Identity(
        staff="s1",
        tenant_id="yihe",
        roles=frozenset({"dispatcher"}),
        units=frozenset({"v1", "v2"}),
        department="police",
    )


def test_the_schemes_name_may_be_written_in_any_case(
    keys: tuple[bytes, Path], check: TokenCheck
) -> None:
    assert check.identity(bearer(keys).replace("Bearer", "bearer")).staff == "s1"


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "x"])
def test_no_token_is_named_as_such(check: TokenCheck, header: str | None) -> None:
    with pytest.raises(BadToken, match="send a bearer token"):
        check.identity(header)


def test_an_expired_token_is_named_as_such(keys: tuple[bytes, Path], check: TokenCheck) -> None:
    with pytest.raises(BadToken, match="expired"):
        check.identity(bearer(keys, exp=int(time.time()) - 1))


@pytest.mark.parametrize("claim", ["sub", "tenant", "exp"])
def test_a_token_that_lacks_a_claim_does_not_hold(
    keys: tuple[bytes, Path], check: TokenCheck, claim: str
) -> None:
    claims = {name: value for name, value in CLAIMS.items() if name != claim}
    with pytest.raises(BadToken):
        check.identity(f"Bearer {sign(keys[0], claims)}")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": 7},
        {"tenant": None},
        {"tenant": 7},
        {"tenant": ""},
        {"roles": "dispatcher"},
        {"roles": 7},
        {"roles": [7]},
        {"units": "v1"},
        {"units": {"v1": 1}},
        {"department": 7},
        {"exp": "soon"},
        {"aud": "another"},
    ],
    ids=str,
)
def test_a_claim_of_the_wrong_form_does_not_hold(
    keys: tuple[bytes, Path], check: TokenCheck, claims: dict[str, Any]
) -> None:
    with pytest.raises(BadToken):
        check.identity(bearer(keys, **claims))


def test_an_altered_token_does_not_hold(keys: tuple[bytes, Path], check: TokenCheck) -> None:
    head, _, signature = bearer(keys).split(".")
    with pytest.raises(BadToken):
        check.identity(f"{head}.{part({**CLAIMS, 'tenant': 'other'})}.{signature}")


def test_a_token_without_a_signature_does_not_hold(check: TokenCheck) -> None:
    for algorithm in ("none", "None", "NONE"):
        with pytest.raises(BadToken):
            check.identity(f"Bearer {part({'alg': algorithm, 'typ': 'JWT'})}.{part(CLAIMS)}.")


def test_the_public_key_is_no_shared_secret(keys: tuple[bytes, Path], check: TokenCheck) -> None:
    head = part({"alg": "HS256", "typ": "JWT"})
    body = f"{head}.{part(CLAIMS)}".encode()
    digest = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = digest.sign(body, keys[1].read_bytes())
    with pytest.raises(BadToken):
        check.identity(
            f"Bearer {body.decode()}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
        )


def test_a_token_of_another_key_does_not_hold(check: TokenCheck, tmp_path: Path) -> None:
    other = factories.secrets(tmp_path).token_private.read_bytes()
    with pytest.raises(BadToken):
        check.identity(f"Bearer {sign(other, CLAIMS)}")


@settings(max_examples=50)
@given(header=st.text())
def test_no_header_makes_the_check_itself_fail(check: TokenCheck, header: str) -> None:
    for one in (header, f"Bearer {header}"):
        with pytest.raises(BadToken):
            check.identity(one)
