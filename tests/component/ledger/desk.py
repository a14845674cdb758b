"""A clerk's desk: workbooks as people make them, and the ways to bring them in."""

import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import openpyxl

from deploy.exchange.batch import Office as Bringing
from deploy.exchange.batch import Outcome, bring
from deploy.exchange.town import Town, town_held
from services.ledger.domain.numbers import citizen_check
from tests.component.ledger.office import Office

HOUSES = ("户编号", "网格编号", "地址")
PEOPLE = ("人员编号", "户编号", "姓名", "身份证号", "性别", "与户主关系", "电话")
GRID = {"kind": "unit", "id": "g1", "body": {"level": "grid", "zh": "一网格"}}
COMMAND = (sys.executable, "-c", "from deploy.cli.main import main; main()")
_books = count()

Rows = Iterable[Sequence[Any]]


def number(order: int) -> str:
    body = f"11010519491231{order:03d}"
    return body + citizen_check(body)


@dataclass(frozen=True)
class Desk:
    """A town's clerk, with a folder for files."""

    office: Office
    bringing: Bringing
    folder: Path

    def book(self, **sheets: Rows) -> Path:
        """Save a workbook; a sheet's rows stand as they are, its headers first."""
        book, path = openpyxl.Workbook(write_only=True), self.folder / f"{next(_books)}.xlsx"
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(list(row))
        book.save(path)
        return path

    def family(self, *names: str, home: str = "h1", first: int = 2) -> Path:
        """Save a workbook of one household, the head first."""
        people = [
            (f"{home}-{n}", home, name, number(first + n), "女", "户主" if n == 0 else "子", None)
            for n, name in enumerate(names)
        ]
        return self.book(户=[HOUSES, (home, "g1", "河边 3 号")], 人员=[PEOPLE, *people])

    async def bring(self, path: Path, batch: str | None = None, **more: Any) -> Outcome:
        given = {"dry_run": False, "step": lambda _: None, **more}
        return await bring(self.bringing, path, batch, **given)

    async def town(self) -> Town:
        one = self.bringing
        return await town_held(one.dsn, one.tenant_id, one.keys)

    async def command(self, *arguments: str) -> asyncio.subprocess.Process:
        return await self.operate("registry", *arguments)

    async def operate(self, *words: str) -> asyncio.subprocess.Process:
        """Run `chuishao` as the town's operator does."""
        stack = self.folder / "stack.json"
        one = self.bringing
        stack.write_text(
            json.dumps({"ledger": one.ledger_url, "postgres": {"ledger": one.dsn}}), "utf-8"
        )
        data_dir = self.office.secrets.key_file.parent.parent
        (data_dir / "towns.json").write_text(json.dumps({one.tenant_id: {}}), "utf-8")
        return await asyncio.create_subprocess_exec(
            *(*COMMAND, *words, "--data-dir", str(data_dir)),
            env={**os.environ, "CHUISHAO_STACK": str(stack)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
