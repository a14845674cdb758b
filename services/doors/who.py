"""Who asks: what every door takes as a bearer token, and how it refuses one."""

from typing import Annotated

from fastapi import Header

from services.chassis.http import Problem
from services.chassis.token import BadToken, Identity, TokenCheck

Authorization = Annotated[str | None, Header(description="Bearer token: `chuishao token`")]


def identified(tokens: TokenCheck, authorization: str | None) -> Identity:
    """Return whom a token names.

    Raises:
        Problem: 401, there is none that holds.
    """
    try:
        return tokens.identity(authorization)
    except BadToken as error:
        raise Problem(401, "token_invalid", "请重新登录。", str(error)) from error
