"""From sheets to records: each row by its columns, each fault by its cell."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from openpyxl.utils import get_column_letter, range_boundaries

from deploy.exchange.cells import Cell
from deploy.exchange.columns import (
    HEADERS,
    ID,
    LAYOUTS,
    Column,
    Layout,
    known_headers,
    layout_of,
    tidy,
)
from deploy.exchange.files import broken_told, sheets_of
from deploy.exchange.sheets import Sheet
from deploy.exchange.told import Fault, Faults, Unfit
from deploy.local.errors import LocalStackError
from services.ledger.lines import Faulty, read_lines

RECORDS_MAX = 200_000
Bounds = tuple[int, ...]  # of an area: left, top, right, bottom
_HEADER_WITHIN = 10  # rows from the top
_HEADERS_MIN = 2  # texts that make a row of headers
_NONE, _BLANK = Cell(""), frozenset([""])


@dataclass(frozen=True, slots=True)
class Row:
    """A record as a file tells it; `fields` are those that the file has a place for.

    What stands in `body` is given, and a field without a value there is cleared.
    """

    kind: str
    record_id: str
    body: Mapping[str, Any]
    fields: Sequence[str]
    sheet: str
    number: int
    cells: Mapping[str, str] = field(default_factory=dict)  # the column's letter, by field

    @property
    def key(self) -> tuple[str, str]:
        """Tell the row from all others, also while it has no id: no record has such a one."""
        return self.kind, self.record_id or f"?{self.sheet}!{self.number}"

    def place(self, said: str) -> str:
        """Return the cell of a field, or else the row."""
        letter = self.cells.get(said.partition(".")[0], "")
        return f"{letter}{self.number}" if letter else f"第 {self.number} 行"

    def fault(self, said: str, message: str) -> Fault:
        """Tell a fault of one field where a person finds it."""
        header = LAYOUTS[self.kind].header(said.partition(".")[0]) if self.cells else said
        return Fault(self.sheet, self.place(said), header, message)


@dataclass(slots=True)
class Reading:
    """What was read: the rows, what is wrong with cells, and the sheets that were passed over."""

    rows: list[Row] = field(default_factory=list)
    faults: Faults = field(default_factory=Faults)
    sheets: list[str] = field(default_factory=list)  # in the order of the file
    covered: set[tuple[str, str]] = field(default_factory=set)  # cells of merged areas
    passed_over: list[str] = field(default_factory=list)


def read_rows(path: Path, content: bytes, step: Callable[[int], None]) -> Reading:
    """Read all records of a file; `step` is told how many rows were read.

    Raises:
        LocalStackError: it is no file of a kind that is read here, or too large.
    """
    reading = Reading()
    if path.suffix.lower() == ".ndjson":
        _lines(content, reading)
        return reading
    with broken_told(path):
        for sheet in sheets_of(path, content):
            reading.sheets.append(sheet.title)
            _read_sheet(sheet, reading, step)
    if not reading.rows and not reading.faults.total:
        titles = "、".join(one.title for one in LAYOUTS.values())
        raise LocalStackError(
            f"{path}：没有一行可读。应有工作表 {titles}，第一行是表头。",
            f"{path}: not one row to read. Expected sheets {titles}, with headers in row 1.",
        )
    return reading


def _too_many() -> LocalStackError:
    return LocalStackError(
        f"超过 {RECORDS_MAX:,} 条记录，什么都没有改。请分成几个文件。",
        f"More than {RECORDS_MAX:,} records; nothing was changed. Split the file.",
    )


def _lines(content: bytes, reading: Reading) -> None:
    if sum(bool(text.strip()) for text in content.splitlines()) > RECORDS_MAX:
        raise _too_many()
    try:
        lines = read_lines(content)
    except Faulty as error:
        reading.faults.extend(
            Fault("", f"第 {one['line']} 行", one["field"], one["message"]) for one in error.faults
        )
        return
    for number, line in lines.items():
        if line.kind in LAYOUTS and line.body is not None:
            given = {name: value for name, value in line.body.items() if value is not None}
            row = Row(line.kind, line.id, given, [*line.body], "", number)
            reading.rows.append(row)
        else:
            kinds = "、".join(LAYOUTS)
            said = f"只收 {kinds}，body 不能空。 Expected one of these kinds, and a body."
            reading.faults.add(Fault("", f"第 {number} 行", "kind", said))


def _read_sheet(sheet: Sheet, reading: Reading, step: Callable[[int], None]) -> None:
    top = list(islice(sheet.rows, _HEADER_WITHIN))
    at = next((n for n, row in enumerate(top) if _is_header(row)), None)
    headers = [cell.text for cell in top[at]] if at is not None else []
    layout = layout_of(sheet.title, headers)
    if layout is None:
        reading.passed_over.append(sheet.title)
        return
    if at is None:
        if any(cell.text for row in top for cell in row):
            shown = "、".join(one.header for one in layout.columns)
            said = f"找不到表头：第一行写 {shown}。 No headers: write them in row 1."
            reading.faults.add(Fault(sheet.title, "A1", "", said))
        return
    reading.faults.extend(_above(sheet.title, top[:at]))
    merged = _merged(sheet, at + 1)
    reading.faults.extend(_unmerge(sheet.title, area) for area in merged)
    columns = _columns(sheet.title, layout, headers, at + 1, reading.faults)
    headed = {n for n, said in enumerate(headers) if tidy(said)}
    places = {column.field: get_column_letter(n + 1) for n, column in columns.items()}
    fields = [name for name in places if name != ID]
    bounds = [tuple(n or 0 for n in range_boundaries(area)) for area in merged]
    into = _Sheet(sheet.title, layout, columns, reading, headed, fields, places, bounds)
    for number, cells in enumerate(chain(top[at + 1 :], sheet.rows), at + 2):
        into.take(number, cells)
        step(1)


def _is_header(row: Sequence[Cell]) -> bool:
    return known_headers([cell.text for cell in row]) >= _HEADERS_MIN


def _above(title: str, rows: Sequence[list[Cell]]) -> Iterator[Fault]:
    """A title may stand above the headers, by itself in its row; not another row of headers."""
    for number, row in enumerate(rows, 1):
        if sum(bool(cell.text) for cell in row) > 1:
            yield _two_headers(title, number)


def _two_headers(title: str, number: int) -> Fault:
    said = (
        f"表头有两行：只留写着列名的一行，删去第 {number} 行。 "
        f"Two rows of headers: keep the one that names the columns, remove row {number}."
    )
    return Fault(title, f"第 {number} 行", "", said)


def _merged(sheet: Sheet, header_row: int) -> list[str]:
    """Return the merged areas that reach the headers, or what is below."""
    return [one for one in sheet.merged if (range_boundaries(one)[3] or 0) >= header_row]


def _unmerge(title: str, area: str) -> Fault:
    said = (
        "合并了单元格，只有左上一格有内容：取消合并，每格各填一次。 "
        "Merged cells, of which the first alone says something: unmerge, and fill each."
    )
    return Fault(title, area, "", said)


def _columns(
    title: str, layout: Layout, headers: Sequence[str], row: int, faults: Faults
) -> dict[int, Column]:
    """Find each column by its header; unknown, doubled and missing ones are faults."""
    found: dict[int, Column] = {}
    for n, said in enumerate(headers):
        column = layout.column(said)
        if not tidy(said):
            continue
        if column is None or column in found.values():
            shown = "、".join(one.header for one in layout.columns)
            zh = "没有这一列" if column is None else "这一列写了两次"
            message = f"{zh}：删去，或改正列名。可用：{shown}。 Unknown or doubled: remove it."
            faults.add(Fault(title, f"{get_column_letter(n + 1)}{row}", said[:20], message))
        else:
            found[n] = column
    for column in layout.columns:
        if column.filled and column not in found.values():
            message = (
                f"缺少这一列：加上列名“{column.header}”并填写。 The column is missing: add it."
            )
            faults.add(Fault(title, f"第 {row} 行", column.header, message))
    return found


@dataclass(slots=True)
class _Sheet:
    """A sheet while its rows are read."""

    title: str
    layout: Layout
    columns: Mapping[int, Column]
    reading: Reading
    headed: set[int]
    fields: Sequence[str]
    places: Mapping[str, str]
    merged: Sequence[Bounds]

    def take(self, number: int, cells: Sequence[Cell]) -> None:
        """Take in one row; an empty one is passed over."""
        texts = {cell.text for cell in cells}
        if texts <= _BLANK:
            return
        if len(texts & HEADERS) >= _HEADERS_MIN:
            self.reading.faults.add(_two_headers(self.title, number))
            return
        if len(self.reading.rows) >= RECORDS_MAX:
            raise _too_many()
        body, unfit = self._read(number, cells)
        record_id = body.pop(ID, "")
        kind, places = self.layout.kind, self.places
        row = Row(kind, record_id, body, self.fields, self.title, number, places)
        self.reading.faults.extend(row.fault(*one) for one in unfit)
        self._nameless(number, cells)
        self.reading.rows.append(row)

    def _read(
        self, number: int, cells: Sequence[Cell]
    ) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        """Return what a row says by field, and what is wrong with it."""
        body: dict[str, Any] = {}
        unfit: list[tuple[str, str]] = []
        for n, column in self.columns.items():
            try:
                value = _value(column, cells[n] if n < len(cells) else _NONE)
            except Unfit as error:
                if self._covered(n + 1, number):
                    place = f"{get_column_letter(n + 1)}{number}"
                    self.reading.covered.add((self.title, place))
                else:
                    unfit.append((column.field, str(error)))
                continue
            if value:
                body[column.field] = column.keep(value) if column.keep else value
        return body, unfit

    def _covered(self, column: int, row: int) -> bool:
        """Tell whether a cell is part of a merged area, which is told as a whole."""
        return any(
            left <= column <= right and top <= row <= bottom
            for left, top, right, bottom in self.merged
        )

    def _nameless(self, number: int, cells: Sequence[Cell]) -> None:
        """Tell once of each column that holds something but has no header."""
        for n, cell in enumerate(cells):
            if cell.text and n not in self.headed:
                self.headed.add(n)
                message = "这一列没有可用的表头：补上列名，或清空。 No header: name it or clear it."
                place = f"{get_column_letter(n + 1)}{number}"
                self.reading.faults.add(Fault(self.title, place, "", message))


def _value(column: Column, cell: Cell) -> str:
    if cell.kind == "formula":
        raise Unfit(
            "是公式，这里不计算：复制这一列，用“选择性粘贴 → 数值”粘回。",
            "A formula, which is not evaluated here: copy the column and paste its values.",
        )
    if cell.kind == "other":
        raise Unfit("是错误值或是非值：改成文字。", "An error or a truth value: type a text.")
    value = column.read(cell) if cell.text else ""
    if column.filled and not value:
        raise Unfit("必须填写。", "Must be filled in.")
    return value
