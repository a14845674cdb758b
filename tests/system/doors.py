"""The doors of the whole stack, as the people of a town use them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from deploy.cli.told import Town
from deploy.local.state import StackState
from tests.faults.ground import TENANT
from tests.waiting import taken, until

QUIET_S = 60.0
READY_S = 20.0
CHUISHAO = str(Path(sys.executable).with_name("chuishao"))


def command(*arguments: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(  # noqa: S603 - our own command
        [CHUISHAO, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **more},
    )


async def report(state: StackState, key: str, **body: Any) -> tuple[dict[str, Any], StackState]:
    """Post one report as the demo front end."""
    async with httpx.AsyncClient(base_url=state.url("intake"), timeout=10) as client:
        headers = {"X-Api-Key": state.api_key, "Idempotency-Key": key}
        given = {"tenant": TENANT, **body}
        answer = await taken(lambda: client.post("/v1/cases", json=given, headers=headers))
    accepted: dict[str, Any] = answer.json()
    return accepted, state


async def opened(town: Town, case_id: str, unit: str) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        try:
            return await town.ask("routing", f"/v1/cases/{case_id}", "grid_worker", units=[unit])
        except Exception:  # noqa: BLE001 - not opened yet
            return None

    case: dict[str, Any] = await until(ask, "the case is opened", READY_S)
    return case
