"""Sheets of a workbook, row by row: fast where it is plain, else so that every cell is told.

Plain is what holds texts, numbers and days alone, each cell with its place. A formula, an error
or anything odd has the whole workbook read the thorough way.
"""

import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO
from typing import Any

import openpyxl
from openpyxl.utils import get_column_letter
from python_calamine import CalamineError, CalamineSheet, SheetTypeEnum, load_workbook

from deploy.exchange.cells import Cell

COLUMNS_MAX = 64
_ROWS_MAX = 1_048_576
_NONE = Cell("")
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
# A formula, an error, a cell that does not begin with its place, or one far out: the fast reader
# lays a sheet out as a whole, so that one cell at its far end would take all memory.
_ODD = re.compile(
    rb"<(?:[^\s<>/:]+:)?"
    rb'(?:f[\s/>]|c(?! r="[A-Z](?:\d{1,5}|[12]\d{5})"[\s/>])[\s/>])'
    rb"|\st=[\"']e[\"']|\0"
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its cells row by row from the first, and its merged areas."""

    title: str
    rows: Iterator[list[Cell]]
    merged: tuple[str, ...] = ()


def sheets_in(archive: bytes) -> list[Sheet]:
    """Open the sheets of an archive whose parts are known to be small enough."""
    if is_plain(archive):
        with suppress(CalamineError):  # the other reader may do, or tells what is broken
            return plain_sheets(archive)
    return thorough_sheets(archive)


def is_plain(archive: bytes) -> bool:
    """Tell whether nothing in a workbook needs to be read the thorough way."""
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        parts = (opened.read(one) for one in opened.infolist())
        return not any(b"sheetData" in part and _ODD.search(part) for part in parts)


def plain_sheets(archive: bytes) -> list[Sheet]:
    """Read the sheets of a plain workbook, each as a whole.

    Raises:
        CalamineError: it is damaged, or of a form that this reader does not know.
    """
    book = load_workbook(BytesIO(archive))
    kinds = [one.typ for one in book.sheets_metadata]
    sheets = [
        book.get_sheet_by_index(n)
        for n, kind in enumerate(kinds)
        if kind == SheetTypeEnum.WorkSheet
    ]
    return [
        Sheet(
            one.name,
            (_trimmed(row) for row in one.to_python(skip_empty_area=False)),
            tuple(_areas(one)),
        )
        for one in sheets
    ]


def _areas(sheet: CalamineSheet) -> Iterator[str]:
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        first, last = get_column_letter(left + 1), get_column_letter(right + 1)
        yield f"{first}{top + 1}:{last}{bottom + 1}"


def _trimmed(values: Sequence[object]) -> list[Cell]:
    width = len(values)
    while width and values[width - 1] == "":
        width -= 1
    return [_cell(one) for one in values[:width]]


def thorough_sheets(archive: bytes) -> list[Sheet]:
    """Open the sheets of any workbook; rows are read as they are asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which nobody reads here
        book = openpyxl.load_workbook(BytesIO(archive), read_only=True)
    with zipfile.ZipFile(BytesIO(archive)) as opened:
        merged = [_merged(opened, sheet._worksheet_path) for sheet in book.worksheets]  # type: ignore[attr-defined]  # noqa: SLF001 - a sheet that is read row by row has no other way to its areas
    return [
        Sheet(str(sheet.title), _rows(sheet), areas)
        for sheet, areas in zip(book.worksheets, merged, strict=True)
    ]


def _merged(archive: zipfile.ZipFile, part: str) -> tuple[str, ...]:
    return tuple(area.decode() for area in _MERGED.findall(archive.read(part)))


def _rows(sheet: Any) -> Iterator[list[Cell]]:  # noqa: ANN401 - openpyxl's, whose stubs are of another sheet
    sheet.reset_dimensions()  # what a file claims of its size is not believed
    for row in sheet.iter_rows(max_row=_ROWS_MAX, max_col=COLUMNS_MAX):
        width = len(row)
        while width and row[width - 1].value is None:
            width -= 1
        yield [_typed(one) for one in row[:width]]


def _typed(one: Any) -> Cell:  # noqa: ANN401 - see above
    if one.data_type == "f":
        return Cell("=", "formula")
    if one.data_type == "e":
        return Cell(str(one.value), "other")
    return _cell(one.value)


def _cell(value: object) -> Cell:
    if isinstance(value, str):
        return Cell(value) if value and not value.isspace() else _NONE
    match value:
        case None:
            return _NONE
        case bool():
            return Cell(str(value), "other")
        case date() | datetime():
            return Cell(f"{value:%Y-%m-%d}", "day")
        case int() | float():
            whole = isinstance(value, float) and value.is_integer()
            return Cell(str(int(value) if whole else value), "number")
        case _:
            return Cell(str(value))
