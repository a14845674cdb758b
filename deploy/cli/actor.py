"""Who acts by a command, as the audit log has it: the account that runs it."""

import os
import pwd
from typing import Annotated

import typer

_BY_MAX = 64


def _named(given: str | None) -> str | None:
    if given is not None and not (given.strip() and given.isprintable() and len(given) <= _BY_MAX):
        raise typer.BadParameter(
            f"应为 1 到 {_BY_MAX} 个可见字符 · expected 1 to {_BY_MAX} printable characters"
        )
    return given and given.strip()


By = Annotated[
    str | None,
    typer.Option(
        callback=_named,
        help="替谁做的，人员编号；系统账号也记下 · for whom, a staff id; the account is noted too",
    ),
]


def actor(by: str | None) -> str:
    """Return who acts: the account of the running uid, behind whoever is named."""
    account = _account()
    return f"{by} ({account})" if by else account


def _account() -> str:
    """Return the account's name as the system has it, whatever the environment says."""
    uid = os.getuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
