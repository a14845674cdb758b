"""Workbooks that go out: the registry in the layout of the way in, and reports of faults."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from errno import EISDIR
from pathlib import Path
from tempfile import TemporaryFile
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
_SUFFIX = ".xlsx"
_TEXT = "@"  # the format that keeps a long number as it is


def check_target(path: Path) -> None:
    """Try a workbook that is to be written, before the work for it is done.

    Raises:
        LocalStackError: it has another name than a workbook's, or cannot be written.
    """
    if path.suffix.lower() != _SUFFIX:
        raise LocalStackError(
            f"{path}：只能写成 xlsx，没有写。文件名请以 {_SUFFIX} 结尾，如 town{_SUFFIX}。",
            f"{path}: only xlsx can be written; nothing was. Name a file that ends in {_SUFFIX}, "
            f"such as town{_SUFFIX}.",
        )
    with _unwritable_told(path):
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        TemporaryFile(dir=path.parent).close()


def write_registry(path: Path, town: Town, step: Callable[[int], None]) -> dict[str, int]:
    """Write a town's households, persons and links; returns how many of each.

    Raises:
        LocalStackError: the file cannot be written.
    """
    counts = dict.fromkeys(LAYOUTS, 0)
    words = {"household_class": classes.words_of(town), "link": links.words_of(town)}
    with _written(path) as book:
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
    return counts


def _text(column: Column, said: object) -> str:
    return "" if said in (None, "") else column.write(said)


def write_report(path: Path, outcome: Outcome) -> None:
    """Write the faults of a batch, a row each.

    Raises:
        LocalStackError: the file cannot be written.
    """
    with _written(path) as book:
        sheet = _sheet(book, "问题", ["工作表", "单元格", "列", "应为什么、怎样改 · what to mend"])
        for fault in outcome.faults:
            texts = (fault.sheet, fault.cell, fault.header, fault.message)
            sheet.append([_cell(sheet, text) for text in texts])


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


@contextmanager
def _written(path: Path) -> Iterator[Workbook]:
    """Write a workbook in one step, readable by its owner alone: it holds people's words."""
    book, fresh = Workbook(write_only=True), path.with_name(f".{path.name}.new")
    with _unwritable_told(path):
        try:
            yield book
            opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(opened, "wb") as file:
                book.save(file)
            fresh.replace(path)
        finally:
            _close(book)
            fresh.unlink(missing_ok=True)


def _close(book: Workbook) -> None:
    """Finish the sheets of a workbook that was not saved, and remove their temporary files."""
    sheets: list[Any] = [one for one in book.worksheets if not one.closed]
    for sheet in sheets:
        sheet.close()
        sheet._writer.cleanup()  # noqa: SLF001 - as openpyxl does when it saves


@contextmanager
def _unwritable_told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LocalStackError(
            f"{path}：写不了（{error.strerror}）。请换一个能写的文件，所在目录要先建好。",
            f"{path}: {error.strerror}. Name a file that can be written, in a directory that is "
            "there.",
        ) from error
