"""`chuishao registry erase` and `erased`: personal texts that nobody shall read any more."""

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from deploy.cli.actor import By, actor
from deploy.cli.screen import DATA_DIR, DataDir, Tenant, out, run
from deploy.local.errors import LocalStackError
from deploy.local.state import StackState, read_state
from deploy.local.whole import OPERATOR

app = typer.Typer(help="台账登记 · the registry", no_args_is_help=True)

Kind = Annotated[str, typer.Argument(help="哪类登记，如 person · which kind of record")]
Id = Annotated[str, typer.Argument(metavar="ID", help="登记编号 · the record's id")]
Reason = Annotated[
    str, typer.Option(help="为什么，写依据或编号，不写姓名 · why: a rule or a number, no name")
]


@app.command()
def erase(
    kind: Kind,
    record_id: Id,
    reason: Reason,
    by: By = None,
    tenant: Tenant = None,
    data_dir: DataDir = Path(DATA_DIR),
) -> None:
    """抹去个人内容，各版本都打不开，登记随之撤下 · Erase a record's personal texts, for good."""

    async def work() -> None:
        state = read_state(data_dir)
        body = {"kind": kind, "id": record_id, "reason": reason}
        done = checked(await _ask(state, state.tenant(tenant), actor(by), "POST", body))
        said = "早已抹去 · was erased before" if done["known"] else "已抹去 · erased"
        out.print(f"{kind} {record_id}：{said}：{done['erased_at']}", markup=False)
        out.print(
            "备份里还有：恢复备份后要再抹一次 · backups still hold it: erase it again after one is "
            "restored"
        )

    run(work)


@app.command()
def erased(tenant: Tenant = None, data_dir: DataDir = Path(DATA_DIR)) -> None:
    """列出抹去了什么，每行一条 JSON，恢复备份时用 · List what was erased, a line of JSON each."""

    async def work() -> None:
        state = read_state(data_dir)
        for one in checked(await _ask(state, state.tenant(tenant), actor(None), "GET", None)):
            print(json.dumps(one, ensure_ascii=False))

    run(work)


async def _ask(
    state: StackState, tenant: str, staff: str, method: str, body: dict[str, str] | None
) -> httpx.Response:
    token = state.token(tenant, OPERATOR, staff=staff)
    async with httpx.AsyncClient(base_url=state.url("ledger"), timeout=30) as client:
        headers = {"Authorization": f"Bearer {token}"}
        return await client.request(method, "/v1/registry/erasures", json=body, headers=headers)


def checked(answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """Return what ledger answered.

    Raises:
        LocalStackError: it refused; with what is in the way.
    """
    if answer.is_error:
        said = answer.json()
        named = "".join(f"\n  {one['message']}" for one in said.get("errors", ()))
        raise LocalStackError(f"台账：{said['title']}", f"ledger: {said['detail']}{named}")
    return answer.json()
