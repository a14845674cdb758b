"""Points at which a test may let this process die, as if the power had gone."""

import os
import signal

# `after_commit:3` dies at the third passage; read once, in development alone (see `arm`).
_armed: dict[str, int] = {}


def arm(mode: str) -> None:
    """Read `CHUISHAO_CRASH_AT`. In production a set variable is refused.

    Raises:
        RuntimeError: the variable is set outside development.
    """
    wanted = os.environ.get("CHUISHAO_CRASH_AT", "")
    if wanted and mode != "development":
        raise RuntimeError("CHUISHAO_CRASH_AT is set outside development: unset it")
    point, _, passage = wanted.partition(":")
    _armed[point] = int(passage or "1")


def crash_point(name: str) -> None:
    """Die here by SIGKILL if this point is armed and this is the chosen passage."""
    if name in _armed:
        _armed[name] -= 1
        if _armed[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
