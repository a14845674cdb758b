"""Ledger's doors as the console asks them: always with the token of whoever looks."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx

from services.console.settings import ConsoleSettings

Refusal = Literal["signed_out", "not_yours", "unknown", "away"]
_REFUSALS: Mapping[int, Refusal] = {401: "signed_out", 403: "not_yours", 404: "unknown",
                                     422: "unknown"}  # fmt: skip
_OK = 200


@dataclass(frozen=True, slots=True)
class Ledger:
    """Asks; without an address all of it is away."""

    http: httpx.AsyncClient | None

    async def ask(
        self, token: str, kind: str, record_id: str, **query: str
    ) -> dict[str, Any] | Refusal:
        """Return what ledger shows of a grid or a household, or why it does not."""
        if self.http is None:
            return "away"
        path, bearer = (
            f"/v1/{kind}/{quote(record_id, safe='')}",
            {"Authorization": f"Bearer {token}"},
        )
        try:
            answer = await self.http.get(path, params=query, headers=bearer)
            if answer.status_code == _OK:
                told: dict[str, Any] = answer.json()
                return told
        except (httpx.HTTPError, ValueError):
            return "away"
        return _REFUSALS.get(answer.status_code, "away")


@asynccontextmanager
async def open_ledger(settings: ConsoleSettings) -> AsyncIterator[Ledger]:
    """Keep connections to ledger while the block lasts."""
    if settings.ledger_url is None:
        yield Ledger(None)
        return
    async with httpx.AsyncClient(
        base_url=str(settings.ledger_url), timeout=settings.ledger_wait_s
    ) as http:
        yield Ledger(http)
