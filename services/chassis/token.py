"""Bearer tokens: who acts, for which tenant, in which roles, at which units. EdDSA, short-lived."""

from pathlib import Path
from typing import Any

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BadToken(ValueError):  # noqa: N818 - named for what the caller sent
    """The token is missing, altered, expired or not ours."""


class Identity(BaseModel):
    """Who acts. `staff` is an opaque id; nothing of this is ever taken from a request's body."""

    model_config = ConfigDict(frozen=True, validate_by_name=True)

    staff: str = Field(alias="sub", min_length=1)
    tenant_id: str = Field(alias="tenant", min_length=1)
    roles: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    department: str | None = None


class TokenCheck:
    """Checks tokens against one public key (PEM)."""

    def __init__(self, key_file: Path) -> None:
        self.key_file, self._key = key_file, key_file.read_bytes()

    def identity(self, authorization: str | None) -> Identity:
        """Read `Authorization: Bearer …`.

        Raises:
            BadToken: no bearer token, or one that does not hold; the text says which.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise BadToken("send a bearer token in the Authorization header")
        try:
            claims = jwt.decode(
                token, self._key, algorithms=["EdDSA"], options={"require": ["exp", "sub"]}
            )
            return Identity.model_validate(claims)
        except jwt.ExpiredSignatureError as error:
            raise BadToken("the token has expired: sign in again") from error
        except (jwt.InvalidTokenError, ValidationError) as error:
            raise BadToken("the token does not hold: sign in again") from error


def sign(private_key: bytes, claims: dict[str, Any]) -> str:
    """Make a token; used by development's `chuishao token` and by tests."""
    return jwt.encode(claims, private_key, algorithm="EdDSA")
