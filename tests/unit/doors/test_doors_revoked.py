"""A token that is taken back is refused by the very next look at it, and no other token is."""

import ast
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.cli.operate import revoke as revoke_command
from deploy.local.secrets import Secrets, ensure_secrets
from deploy.local.tokens import make_token, revoke
from services import doors
from services.chassis.http import Problem
from services.chassis.token import TokenCheck, sign
from services.doors.revoked import FILE
from services.doors.who import identified

TOWN, THIEVED = "qingshi", "w-1"
SERVICES = Path(doors.__file__).parents[1]


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return ensure_secrets(tmp_path, [TOWN])


@pytest.fixture
def check(secrets: Secrets) -> TokenCheck:
    return TokenCheck(secrets.token_public)


def token(secrets: Secrets, staff: str = THIEVED, tenant: str = TOWN) -> str:
    return make_token(secrets.token_private, tenant, ["grid_worker"], staff=staff)


def answer(check: TokenCheck, given: str) -> str:
    try:
        return identified(check, f"Bearer {given}").staff
    except Problem as refused:
        return f"{refused.body['code']}"


def take_back(secrets: Secrets, *, after_s: float = 0, tenant: str = TOWN) -> None:
    revoke(secrets.token_public, tenant, THIEVED, datetime.now(UTC) + timedelta(seconds=after_s))


def test_one_look_after_it_was_taken_back_suffices(secrets: Secrets, check: TokenCheck) -> None:
    stolen = token(secrets)
    assert [answer(check, stolen) for _ in range(3)] == [THIEVED] * 3
    take_back(secrets)
    assert answer(check, stolen) == "token_revoked"


def test_who_signs_in_again_is_let_in(secrets: Secrets, check: TokenCheck) -> None:
    stolen = token(secrets)
    take_back(secrets)
    assert [answer(check, one) for one in (stolen, token(secrets))] == ["token_revoked", THIEVED]
    take_back(secrets, after_s=60)
    take_back(secrets)
    assert answer(check, token(secrets)) == "token_revoked"


def test_nobody_else_is_shut_out(secrets: Secrets, check: TokenCheck) -> None:
    others = token(secrets, staff="w-2"), token(secrets, tenant="elsewhere")
    take_back(secrets)
    assert [answer(check, one) for one in others] == ["w-2", THIEVED]


def test_a_token_that_does_not_say_when_it_was_issued_is_refused(
    secrets: Secrets, check: TokenCheck
) -> None:
    ends = int(datetime.now(UTC).timestamp()) + 600
    claims = {"sub": THIEVED, "tenant": TOWN, "roles": [], "units": [], "exp": ends}
    dateless = sign(secrets.token_private.read_bytes(), claims)
    assert answer(check, dateless) == THIEVED
    take_back(secrets)
    assert answer(check, dateless) == "token_revoked"


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "null", '{"tenant": "qingshi"}', '{"tenant":"t","staff":"s","before":"soon"}'],
)
def test_a_line_that_cannot_be_read_harms_no_other(
    secrets: Secrets, check: TokenCheck, line: str
) -> None:
    stolen = token(secrets)
    secrets.token_public.with_name(FILE).write_text(f"{line}\n", "utf-8")
    take_back(secrets)
    assert answer(check, stolen) == "token_revoked"
    assert answer(check, token(secrets, staff="w-2")) == "w-2"


def test_what_was_known_stays_while_the_list_is_away(secrets: Secrets, check: TokenCheck) -> None:
    stolen, place = token(secrets), secrets.token_public.with_name(FILE)
    take_back(secrets)
    assert answer(check, stolen) == "token_revoked"
    place.unlink()
    assert answer(check, stolen) == "token_revoked"
    place.write_bytes(b"\xff\xfe no text")
    assert answer(check, stolen) == "token_revoked"
    place.write_text("", "utf-8")
    assert answer(check, stolen) == THIEVED


def test_without_a_list_everybody_is_let_in(secrets: Secrets, check: TokenCheck) -> None:
    secrets.token_public.with_name(FILE).unlink()
    assert answer(check, token(secrets)) == THIEVED


def test_a_token_of_another_key_is_no_revoked_one(
    secrets: Secrets, check: TokenCheck, tmp_path: Path
) -> None:
    strange = token(ensure_secrets(tmp_path / "other", [TOWN]))
    take_back(secrets)
    assert answer(check, strange) == "token_invalid"


def test_the_command_takes_back_what_was_issued_until_now(
    secrets: Secrets, check: TokenCheck, capsys: pytest.CaptureFixture[str]
) -> None:
    stolen = token(secrets)
    revoke_command(THIEVED, TOWN, secrets.token_public.parents[1])
    assert answer(check, stolen) == "token_revoked"
    assert stolen not in capsys.readouterr().out
    (line,) = secrets.token_public.with_name(FILE).read_text("utf-8").splitlines()
    assert json.loads(line).keys() == {"tenant", "staff", "before"}


def test_no_service_looks_at_a_token_past_the_list() -> None:
    found = [
        path.relative_to(SERVICES).as_posix()
        for path in sorted(SERVICES.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "identity"
    ]
    assert found == ["doors/who.py"]
