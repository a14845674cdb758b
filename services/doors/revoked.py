"""Tokens that were taken back before they end: a list beside the public key, read when it changes.

A line is JSON, `{"tenant", "staff", "before"}`: what was issued to that person until then (`iat`),
and what does not say when it was issued, is refused. A line that cannot be read harms no other.
"""

import json
from datetime import datetime
from functools import lru_cache
from pathlib import Path

import jwt
import structlog

from services.chassis.token import Identity

FILE = "token-revoked"
log = structlog.get_logger()


class Revoked:
    """Who may not act any more by what was issued to him before."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_at = path, (0, 0)
        self._before: dict[tuple[str, str], float] = {}

    def holds(self, who: Identity, token: str) -> bool:
        """Tell whether a token that was checked has been taken back; each look sees the newest."""
        self._look()
        before = self._before.get((who.tenant_id, who.staff))
        if before is None:
            return False
        issued = jwt.decode(token, options={"verify_signature": False}).get("iat")
        return not isinstance(issued, int | float) or issued <= before

    def _look(self) -> None:
        try:
            told = self._path.stat()
            at = (told.st_mtime_ns, told.st_size)
            lines = self._path.read_text("utf-8").splitlines() if at != self._read_at else None
        except (OSError, UnicodeDecodeError):  # there is none, or not now: what was known stays
            return
        if lines is not None:
            self._read_at = at
            self._take([one for one in lines if one.strip()])

    def _take(self, lines: list[str]) -> None:
        before: dict[tuple[str, str], float] = {}
        unread = 0
        for line in lines:
            try:
                said = json.loads(line)
                until = datetime.fromisoformat(said["before"]).timestamp()
                whose = (said["tenant"], said["staff"])
            except (ValueError, KeyError, TypeError):
                unread += 1
                continue
            before[whose] = max(until, before.get(whose, until))
        self._before = before
        if unread:
            log.error("revocations_not_read", count=unread)


@lru_cache(maxsize=64)
def revoked_beside(key_file: Path) -> Revoked:
    """Return the list that lies beside a public key."""
    return Revoked(key_file.with_name(FILE))
