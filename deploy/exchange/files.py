"""Files that people send: opened only if small enough, as sheets of cells, row by row.

Nothing is unpacked before its size is known, and nothing is ever evaluated.
"""

import csv
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any
from zlib import error as ZlibError  # noqa: N812 - a class, whatever its spelling

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from deploy.exchange.cells import Cell
from deploy.local.errors import LocalStackError

FILE_BYTES_MAX = 64 * 2**20
UNPACKED_BYTES_MAX = 256 * 2**20
_PARTS_MAX = 1_000
_ROWS_MAX, _COLUMNS_MAX = 1_048_576, 64
_CHUNK = 2**20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})"')
_DTD = re.compile(rb"<\0?!\0?(D\0?O\0?C\0?T|E\0?N\0?T)")  # UTF-16 too
_LOOKED_FOR_MAX = 256  # bytes of either
# What openpyxl meets in a workbook that is none.
_BROKEN = (
    zipfile.BadZipFile,
    InvalidFileException,
    ZlibError,
    SyntaxError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
)
_NONE = Cell("")


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its cells row by row from the first, and its merged areas."""

    title: str
    rows: Iterator[list[Cell]]
    merged: tuple[str, ...] = ()


@contextmanager
def broken_told(path: Path) -> Iterator[None]:
    """Tell what a damaged file is, wherever in it the reader stumbles.

    Raises:
        LocalStackError: it is damaged.
    """
    try:
        yield
    except LocalStackError:
        raise
    except _BROKEN as error:
        raise LocalStackError(
            f"{path}：文件已损坏，读不完，什么都没有改。请在表格软件里打开，另存为 xlsx 再试。",
            f"{path}: damaged, nothing was changed. Open it in a spreadsheet, save it as xlsx.",
        ) from error


def read_bytes(path: Path) -> bytes:
    """Read a file that is not too large.

    Raises:
        LocalStackError: it cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise LocalStackError(
            f"{path}：读不了（{error.strerror}）。", f"{path}: {error.strerror}."
        ) from error
    if len(content) > FILE_BYTES_MAX:
        raise _too_large(path)
    return content


def sheets_of(path: Path, content: bytes) -> list[Sheet]:
    """Open a workbook (.xlsx) or a table (.csv).

    Raises:
        LocalStackError: it is neither, too large once unpacked, encrypted, or an old .xls.
    """
    if content.startswith(_OLE):
        raise _old_or_locked(path, encrypted=_ENCRYPTED in content)
    if content.startswith(b"PK") or path.suffix.lower() in (".xlsx", ".xlsm"):
        with broken_told(path):
            _check_parts(path, content)
            return _sheets(content)
    return [Sheet("", _csv_rows(path, content))]


def _check_parts(path: Path, content: bytes) -> None:
    """Look at the sizes that the archive states, which its reader keeps to; then for entities."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        parts = archive.infolist()
        if sum(one.file_size for one in parts) > UNPACKED_BYTES_MAX or len(parts) > _PARTS_MAX:
            raise _too_large(path)
        for one in parts:
            if any(_DTD.search(chunk) for chunk in _chunks(archive, one.filename)):
                raise zipfile.BadZipFile("no part of a workbook declares entities")


def _chunks(archive: zipfile.ZipFile, part: str) -> Iterator[bytes]:
    """Yield a part piece by piece, each with the end of the one before it."""
    before = b""
    with archive.open(part) as opened:
        while chunk := opened.read(_CHUNK):
            yield before + chunk
            before = chunk[-_LOOKED_FOR_MAX:]


def _sheets(content: bytes) -> list[Sheet]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and extensions, which nobody reads here
        book = openpyxl.load_workbook(BytesIO(content), read_only=True)
    with zipfile.ZipFile(BytesIO(content)) as archive:
        merged = [_merged(archive, sheet._worksheet_path) for sheet in book.worksheets]  # type: ignore[attr-defined]  # noqa: SLF001 - a sheet that is read row by row has no other way to its areas
    return [
        Sheet(str(sheet.title), _rows(sheet), areas)
        for sheet, areas in zip(book.worksheets, merged, strict=True)
    ]


def _merged(archive: zipfile.ZipFile, part: str) -> tuple[str, ...]:
    chunks = _chunks(archive, part)
    return tuple(dict.fromkeys(area.decode() for one in chunks for area in _MERGED.findall(one)))


def _rows(sheet: Any) -> Iterator[list[Cell]]:  # noqa: ANN401 - openpyxl's, whose stubs are of another sheet
    sheet.reset_dimensions()  # what a file claims of its size is not believed
    for row in sheet.iter_rows(max_row=_ROWS_MAX, max_col=_COLUMNS_MAX):
        width = len(row)
        while width and row[width - 1].value is None:
            width -= 1
        yield [_cell(one) for one in row[:width]]


def _cell(one: Any) -> Cell:  # noqa: ANN401 - see above
    value = one.value
    if one.data_type == "f":
        return Cell("=", "formula")
    if isinstance(value, datetime | date):
        return Cell(f"{value:%Y-%m-%d}", "day")
    if one.data_type in ("b", "e"):
        return Cell(str(value), "other")
    if isinstance(value, int | float):
        whole = isinstance(value, float) and value.is_integer()
        return Cell(str(int(value) if whole else value), "number")
    text = "" if value is None else str(value)
    return Cell(text) if text.strip() else _NONE


def _csv_rows(path: Path, content: bytes) -> Iterator[list[Cell]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("gb18030")  # as spreadsheets save it in Chinese
        except UnicodeDecodeError as error:
            raise LocalStackError(
                f"{path}：既不是 UTF-8 也不是 GB18030 编码。请另存为“CSV UTF-8”。",
                f"{path}: neither UTF-8 nor GB18030. Save it as CSV UTF-8.",
            ) from error
    try:
        for row in csv.reader(StringIO(text, newline=""), strict=True):
            yield [Cell(one) if one.strip() else _NONE for one in row[:_COLUMNS_MAX]]
    except csv.Error as error:
        raise LocalStackError(
            f"{path}：不是合规的 CSV（{error}）。请在表格软件里重新另存。",
            f"{path}: no well-formed CSV ({error}). Save it anew from a spreadsheet.",
        ) from error


def _old_or_locked(path: Path, *, encrypted: bool) -> LocalStackError:
    if encrypted:
        return LocalStackError(
            f"{path}：文件有打开密码。请去掉密码，另存为 xlsx 再试。",
            f"{path}: it is encrypted. Save it as xlsx without a password.",
        )
    return LocalStackError(
        f"{path}：是旧的 .xls 格式。请在表格软件里另存为 xlsx 再试。",
        f"{path}: an old .xls. Save it as xlsx.",
    )


def _too_large(path: Path) -> LocalStackError:
    file, unpacked = FILE_BYTES_MAX // 2**20, UNPACKED_BYTES_MAX // 2**20
    return LocalStackError(
        f"{path}：太大，没有打开：文件最多 {file} MiB，解开后最多 {unpacked} MiB。请分成几个文件。",
        f"{path}: too large, not opened: at most {file} MiB, and {unpacked} MiB once unpacked. "
        "Split it.",
    )
