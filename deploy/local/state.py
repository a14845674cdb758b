"""Where a running stack says what it is: one file in its data directory."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from deploy.local.errors import LocalStackError
from deploy.local.layout import SERVICES
from deploy.local.made import all_remembered
from deploy.local.secrets import DEMO_FRONT_END, secrets_of, write_private
from deploy.local.tokens import make_token

FILE = "stack.json"
GIVEN = "CHUISHAO_STACK"  # the file that says where a stack is which others started


@dataclass(frozen=True, slots=True)
class StackState:
    """A running stack, as other commands see it."""

    data_dir: Path
    facts: dict[str, Any]

    def url(self, service: str) -> str:
        return str(self.facts[service])

    def shown(self, service: str) -> str:
        """Return where a person finds a service's pages, if elsewhere than a program does."""
        return str(self.facts.get("shown", {}).get(service) or self.url(service))

    @property
    def kafka(self) -> str:
        return str(self.facts["kafka"])

    @property
    def dsns(self) -> dict[str, str]:
        return dict(self.facts["postgres"])

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(name for name in SERVICES if name in self.facts)

    @property
    def tenants(self) -> list[str]:
        return list(self.facts["tenants"])

    @property
    def api_key(self) -> str:
        if "api_keys" in self.facts:
            return str(self.facts["api_keys"][DEMO_FRONT_END])
        return secrets_of(self.data_dir).api_key

    def token(self, tenant: str, *roles: str, **more: Any) -> str:  # noqa: ANN401 - of make_token
        private = self.data_dir / "secrets" / "token-private.pem"
        return make_token(private, tenant, roles, **more)

    def tenant(self, wanted: str | None) -> str:
        """Return the wanted tenant, or the only one; `wanted` is the option `--tenant`.

        Raises:
            LocalStackError: it is not here, or there are several to choose from.
        """
        if wanted is None and len(self.tenants) == 1:
            return self.tenants[0]
        if wanted in self.tenants:
            return str(wanted)
        names = ", ".join(self.tenants)
        if wanted is not None:
            raise LocalStackError(
                f"--tenant {wanted}：这一套里没有这个镇。有的是：{names}。",
                f"--tenant {wanted}: this stack has no such town. It has: {names}.",
            )
        raise LocalStackError(
            f"请用 --tenant 指定一个镇：{names}。", f"Choose a tenant with --tenant: {names}."
        )


def write_state(data_dir: Path, facts: dict[str, Any]) -> None:
    """Say that a stack is ready; the file holds keys and is its owner's alone."""
    path = data_dir / FILE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({**facts, "pid": os.getpid()}, file, ensure_ascii=False, indent=1)


def note_tenant(data_dir: Path, tenant: str) -> None:
    """Say that a running stack has a town which it did not have at its start.

    Nothing is to be said where others started the stack: its towns are those that are remembered.
    """
    path = data_dir / FILE
    if os.environ.get(GIVEN) or not path.exists():
        return
    facts = json.loads(path.read_text(encoding="utf-8"))
    if tenant not in facts["tenants"]:
        facts["tenants"].append(tenant)
        write_private(path, json.dumps(facts, ensure_ascii=False, indent=1).encode())


def remove_state(data_dir: Path) -> None:
    (data_dir / FILE).unlink(missing_ok=True)


def read_state(data_dir: Path) -> StackState:
    """Find the running stack of a data directory, or the one that `CHUISHAO_STACK` tells of.

    Raises:
        LocalStackError: none is running there, or it is somebody else's.
    """
    if given := os.environ.get(GIVEN):
        return StackState(data_dir, {**_given(Path(given)), "tenants": all_remembered(data_dir)})
    try:
        facts = json.loads((data_dir / FILE).read_text(encoding="utf-8"))
        pid = int(facts["pid"])
    except PermissionError as error:
        raise LocalStackError(
            f"{data_dir / FILE} 属于另一个系统用户。请换成启动系统的用户，或用 --data-dir 指定。",
            f"{data_dir / FILE} belongs to another system user. Run this as the user who started "
            "the stack, or choose another with --data-dir.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError):
        pid = 0
    if not pid or not psutil.pid_exists(pid):
        raise LocalStackError(
            f"数据目录 {data_dir} 上没有正在运行的系统。先运行 chuishao up，或用 --data-dir 指定。",
            f"No stack is running on {data_dir}. Start one with `chuishao up`, or choose another "
            "with --data-dir.",
        )
    return StackState(data_dir, facts)


def _given(path: Path) -> dict[str, Any]:
    """Read where the servers and services of a stack are that others started.

    Raises:
        LocalStackError: there is no such file, or it is no JSON object.
    """
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise LocalStackError(
            f"{GIVEN}：读不了 {path}（{error}）。", f"{GIVEN}: cannot read {path} ({error})."
        ) from error
