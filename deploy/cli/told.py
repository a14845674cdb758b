"""What a demo tells, and the doors through which its people act."""

import asyncio
import contextlib
import io
import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image, ImageDraw

from deploy.cli.screen import out
from deploy.local.errors import LocalStackError
from deploy.local.state import StackState

NOT_NOW, ASKED_MAX = 503, 5
# Nothing here is https, and to load the authorities anew for each client takes 40 ms.
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@dataclass(slots=True)
class Story:
    """What was told, and whether it came true. `pause_s` is how long the eye has for each beat."""

    pause_s: float = 0
    told: list[tuple[bool, str]] = field(default_factory=list)

    async def pause(self) -> None:
        await asyncio.sleep(self.pause_s)

    def aside(self, zh: str, en: str) -> None:
        """Say what the story needs to be understood and what cannot fail to come true."""
        out.print(f"[dim]· {zh}  {en}[/dim]")

    def tell(self, true: bool, zh: str, en: str) -> None:
        self.told.append((true, zh))
        lamp = "[green]●[/green]" if true else "[red]○[/red]"
        out.print(f"{lamp} {zh}  [dim]{en}[/dim]")

    @property
    def came_true(self) -> bool:
        return bool(self.told) and all(true for true, _ in self.told)


def picture(name: str) -> bytes:
    """Return a picture for the story, with its name on it."""
    drawn, out = Image.new("RGB", (320, 240), "#d8e2dc"), io.BytesIO()
    ImageDraw.Draw(drawn).text((24, 108), name, fill="#22223b")
    drawn.save(out, "JPEG")
    return out.getvalue()


class Town:
    """The doors of one town, as its people use them."""

    def __init__(self, state: StackState, tenant: str) -> None:
        self.state, self.tenant = state, tenant

    async def ask(self, service: str, path: str, *roles: str, **who: Any) -> dict[str, Any]:  # noqa: ANN401 - of make_token
        """Read at a door; told to come again, it does."""
        token = self.state.token(self.tenant, *roles, **who)
        async with httpx.AsyncClient(
            base_url=self.state.url(service), timeout=10, verify=PLAIN
        ) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.get(path, headers=headers)
            for _ in range(ASKED_MAX):
                if answer.status_code != NOT_NOW:
                    break
                await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))
                answer = await client.get(path, headers=headers)
        return self._checked(answer)

    async def opened(self, case_id: str) -> dict[str, Any]:
        """Wait until routing has opened a case; return it."""
        for _ in range(100):
            with contextlib.suppress(LocalStackError):
                return await self.ask(
                    "routing", f"/v1/cases/{case_id}", "center_clerk", units=["town"]
                )
            await asyncio.sleep(0.1)
        raise LocalStackError("报上去的件没有登记。", "What was reported has not been opened.")

    async def post(
        self,
        path: str,
        body: dict[str, Any],
        *roles: str,
        **who: Any,  # noqa: ANN401 - of make_token
    ) -> dict[str, Any]:
        """Let somebody act at routing's door."""
        token = self.state.token(self.tenant, *roles, **who)
        async with httpx.AsyncClient(
            base_url=self.state.url("routing"), timeout=10, verify=PLAIN
        ) as client:
            headers = {"Authorization": f"Bearer {token}"}
            answer = await client.post(path, json=body, headers=headers)
        return self._checked(answer)

    async def step(
        self, case: dict[str, Any], body: dict[str, Any], role: str, unit: str, staff: str
    ) -> dict[str, Any]:
        given = {**body, "expected_seq": case["seq"]}
        if "proof" in body:
            given["proof"] = [await self.attach(name) for name in body["proof"]]
        path = f"/v1/cases/{case['case_id']}/steps"
        return await self.post(path, given, role, units=[unit], staff=staff)

    async def attach(self, name: str) -> str:
        """Post a picture that says its name; return its id."""
        async with httpx.AsyncClient(
            base_url=self.state.url("intake"), timeout=60, verify=PLAIN
        ) as client:
            answer = await client.post(
                "/v1/attachments",
                params={"tenant": self.tenant},
                content=picture(name),
                headers={"X-Api-Key": self.state.api_key},
            )
        return str(self._checked(answer)["attachment_id"])

    async def texts(self, case: dict[str, Any]) -> list[str]:
        """Return what phones have shown about a case, oldest first."""
        named = {"words": case["number"]}
        async with httpx.AsyncClient(
            base_url=self.state.url("sandbox"), timeout=10, verify=PLAIN
        ) as client:
            answer = await client.get("/sandbox/messages", params=named)
        return [str(one["text"]) for one in answer.json()["messages"]]

    async def first_text(self, case: dict[str, Any]) -> str | None:
        """Wait until a phone has shown a text about a case; return it."""
        for _ in range(100):
            if texts := await self.texts(case):
                return texts[0]
            await asyncio.sleep(0.2)
        return None

    @staticmethod
    def _checked(answer: httpx.Response) -> dict[str, Any]:
        body: dict[str, Any] = answer.json()
        if answer.is_error:
            raise LocalStackError(str(body.get("title")), str(body.get("detail")))
        return body
