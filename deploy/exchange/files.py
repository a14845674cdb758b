"""Files that people send: opened only if small enough, as sheets of cells, row by row.

Nothing is unpacked before its size is known, and nothing is ever evaluated.
"""

import csv
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from zlib import error as ZlibError  # noqa: N812 - a class, whatever its spelling

from openpyxl.utils.exceptions import InvalidFileException

from deploy.exchange.cells import Cell
from deploy.exchange.sheets import COLUMNS_MAX, Sheet, sheets_in
from deploy.local.errors import LocalStackError

FILE_BYTES_MAX = 64 * 2**20
UNPACKED_BYTES_MAX = 256 * 2**20
_PARTS_MAX = 1_000
_CHUNK = 2**20
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_DTD = re.compile(rb"<\0?!\0?(D\0?O\0?C\0?T|E\0?N\0?T)")  # UTF-16 too
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
            return sheets_in(_laid_open(path, content))
    return [Sheet("", _csv_rows(path, content))]


def _laid_open(path: Path, content: bytes) -> bytes:
    """Return an archive of the same parts, unpacked here, so that no reader unpacks anything.

    The sizes are those that the archive states, which this one keeps to; no part has entities.
    """
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as archive, zipfile.ZipFile(out, "w") as opened:
        parts = archive.infolist()
        if sum(one.file_size for one in parts) > UNPACKED_BYTES_MAX or len(parts) > _PARTS_MAX:
            raise _too_large(path)
        if len({one.filename for one in parts}) < len(parts):
            raise zipfile.BadZipFile("a part stands twice")
        for one in parts:
            part = b"".join(_pieces(archive, one))
            if _DTD.search(part):
                raise zipfile.BadZipFile("no part of a workbook declares entities")
            opened.writestr(one.filename, part)
    return out.getvalue()


def _pieces(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a part piece by piece: one that is larger than it states ends where it says."""
    with archive.open(part) as opened:
        while piece := opened.read(_CHUNK):
            yield piece


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
            yield [Cell(one) if one.strip() else _NONE for one in row[:COLUMNS_MAX]]
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
