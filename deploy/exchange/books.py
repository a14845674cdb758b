"""Workbooks that go out: the registry in the layout of the way in, and reports of faults."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Font
from openpyxl.utils import get_column_letter

from deploy.exchange import classes, links
from deploy.exchange.batch import Outcome
from deploy.exchange.cells import escaped
from deploy.exchange.columns import ID, LAYOUTS, Column
from deploy.exchange.town import Town
from deploy.local.errors import LocalStackError

_WIDTH = 20
_TEXT = "@"  # the format that keeps a long number as it is


def write_registry(path: Path, town: Town, step: Callable[[int], None]) -> dict[str, int]:
    """Write a town's households, persons and links; returns how many of each.

    Raises:
        LocalStackError: the file cannot be written.
    """
    book, counts = Workbook(write_only=True), dict.fromkeys(LAYOUTS, 0)
    words = {"household_class": classes.words_of(town), "link": links.words_of(town)}
    for kind, layout in LAYOUTS.items():
        sheet = _sheet(book, layout.title, [column.header for column in layout.columns])
        for (one, record_id), body in town.records.items():
            if one == kind:
                told = {**body, ID: record_id}
                for field in words.keys() & told.keys():
                    told[field] = words[field].get(told[field], told[field])
                texts = (_text(column, told.get(column.field)) for column in layout.columns)
                sheet.append([_cell(sheet, text) for text in texts])
                counts[kind] += 1
                step(1)
    _save(path, book)
    return counts


def _text(column: Column, said: object) -> str:
    return "" if said in (None, "") else column.write(said)


def write_report(path: Path, outcome: Outcome) -> None:
    """Write the faults of a batch, a row each.

    Raises:
        LocalStackError: the file cannot be written.
    """
    book = Workbook(write_only=True)
    sheet = _sheet(book, "问题", ["工作表", "单元格", "列", "应为什么、怎样改 · what to mend"])
    for fault in outcome.faults:
        texts = (fault.sheet, fault.cell, fault.header, fault.message)
        sheet.append([_cell(sheet, text) for text in texts])
    _save(path, book)


def _sheet(book: Workbook, title: str, headers: Iterable[str]) -> Any:  # noqa: ANN401 - a sheet that is written row by row
    sheet: Any = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    cells = [_cell(sheet, one) for one in headers]
    for n, cell in enumerate(cells, 1):
        cell.font = Font(bold=True)
        sheet.column_dimensions[get_column_letter(n)].width = _WIDTH
    sheet.append(cells)
    return sheet


def _cell(sheet: Any, text: str) -> Any:  # noqa: ANN401 - see above
    cell: Any = WriteOnlyCell(
        sheet, ILLEGAL_CHARACTERS_RE.sub("\N{REPLACEMENT CHARACTER}", escaped(text))
    )
    cell.number_format = _TEXT
    return cell


def _save(path: Path, book: Workbook) -> None:
    """Write a file in one step, readable by its owner alone: it holds people's words."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            book.save(file)
        fresh.replace(path)
    except OSError as error:
        raise LocalStackError(
            f"{path}：写不了（{error.strerror}）。请换一个能写的文件，所在目录要先建好。",
            f"{path}: {error.strerror}. Name a file that can be written, in a directory that is "
            "there.",
        ) from error
