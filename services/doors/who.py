"""Who asks: what every door takes as a bearer token, and how it refuses one."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from services.chassis.http import Problem
from services.chassis.token import BadToken, Identity, TokenCheck
from services.doors.revoked import revoked_beside


class _Bearer(SecurityBase):
    """The header as it came. OpenAPI passes over a parameter of this name: it is a scheme there."""

    scheme_name = "token"

    def __init__(self) -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="`chuishao token` makes one")

    async def __call__(self, request: Request) -> str | None:
        return request.headers.get("authorization")


Authorization = Annotated[str | None, Security(_Bearer())]


def identified(tokens: TokenCheck, authorization: str | None) -> Identity:
    """Return whom a token names.

    Raises:
        Problem: 401, there is none that holds, or it was taken back.
    """
    try:
        who = tokens.identity(authorization)
    except BadToken as error:
        raise Problem(401, "token_invalid", "请重新登录。", str(error)) from error
    if is_revoked(tokens, who, authorization):
        zh, en = "这次登录已被收回，请重新登录。", "This token was taken back: sign in again."
        raise Problem(401, "token_revoked", zh, en)
    return who


def is_revoked(tokens: TokenCheck, who: Identity, authorization: str | None) -> bool:
    """Tell whether a token that holds was taken back."""
    token = (authorization or "").partition(" ")[2]
    return revoked_beside(tokens.key_file).holds(who, token)
