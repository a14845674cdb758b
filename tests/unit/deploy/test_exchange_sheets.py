"""The two ways to read a workbook tell the same; the fast one is not asked where it would not."""

import re
import zipfile
from collections.abc import Callable
from datetime import date, datetime, time
from io import BytesIO

import openpyxl
import pytest

from deploy.exchange.sheets import Sheet, is_plain, plain_sheets, sheets_in, thorough_sheets

SHEET = "xl/worksheets/sheet1.xml"
TYPED: tuple[object, ...] = (
    "张三",
    " 两端有空 ",
    "  ",
    None,
    "𠮷·买买提",
    "'=1+1",
    7,
    7.0,
    1.5,
    1.10105194912310e17,
    0.1 + 0.2,
    date(1949, 12, 31),
    datetime(1990, 1, 31, 8, 30),  # noqa: DTZ001 - a cell knows no zone
    time(8, 30),
    True,
    "第一行\n第二行",
    "<&>\"'",
)


def workbook(*rows: tuple[object, ...], merged: str | None = None) -> bytes:
    book, out = openpyxl.Workbook(), BytesIO()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(list(row))
    if merged:
        sheet.merge_cells(merged)
    book.create_sheet("空")
    book.save(out)
    return out.getvalue()


def altered(content: bytes, change: Callable[[str], str]) -> bytes:
    """Return a workbook with its first sheet's XML changed."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, change(part.decode()).encode() if name == SHEET else part)
    return out.getvalue()


def told(sheets: list[Sheet]) -> list[tuple[str, tuple[str, ...], list[object]]]:
    return [
        (one.title, one.merged, [row for row in one.rows if any(cell.text for cell in row)])
        for one in sheets
    ]


def test_both_ways_tell_the_same() -> None:
    content = workbook((), TYPED, (), (None, "m"), TYPED[::-1], merged="B4:C5")
    assert is_plain(content)
    assert told(plain_sheets(content)) == told(thorough_sheets(content)) != []
    assert [one.merged for one in plain_sheets(content)] == [("B4:C5",), ()]


def test_rows_keep_their_places_where_those_above_are_empty() -> None:
    (first, _) = plain_sheets(workbook((), (), (None, None, "x")))
    assert [[cell.text for cell in row] for row in first.rows] == [[], [], ["", "", "x"]]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda xml: xml.replace("<v>7</v>", "<f>3+4</f><v>7</v>"), id="formula"),
        pytest.param(lambda xml: xml.replace("<v>7</v>", "<f/><v>7</v>"), id="shared-formula"),
        pytest.param(lambda xml: re.sub(r'<c r="G1"[^>]*>', '<c r="G1" t="e">', xml), id="error"),
        pytest.param(lambda xml: re.sub(r'<c r="G1"', "<c", xml), id="no-place"),
        pytest.param(lambda xml: re.sub(r'<c r="G1"', '<c s="0" r="G1"', xml), id="place-later"),
        pytest.param(lambda xml: xml.replace('r="G1"', 'r="XFD1"'), id="far-right"),
        pytest.param(lambda xml: xml.replace('r="G1"', 'r="G1048576"'), id="far-down"),
        pytest.param(lambda xml: xml.replace('r="G1"', 'r="g1"'), id="small-letter"),
        pytest.param(lambda xml: xml.replace('<c r="G1"', '<x:c r="XFD1"'), id="prefixed"),
        pytest.param(lambda xml: xml.replace("<v>7</v>", "<x:f>3+4</x:f><v>7</v>"), id="prefix-f"),
    ],
)
def test_what_is_odd_is_read_the_thorough_way(change: Callable[[str], str]) -> None:
    plain = workbook(TYPED)
    odd = altered(plain, change)
    assert is_plain(plain)
    assert not is_plain(odd)


def test_a_formula_is_told_although_its_value_is_there() -> None:
    formula = altered(workbook(TYPED), lambda xml: xml.replace("<v>7</v>", "<f>3+4</f><v>7</v>"))
    kinds = {cell.kind for one in sheets_in(formula)[:1] for row in one.rows for cell in row}
    assert "formula" in kinds


def test_a_cell_at_the_far_end_costs_no_memory() -> None:
    far = altered(workbook(TYPED), lambda xml: xml.replace('r="G1"', 'r="XFD1048576"'))
    (first, _) = sheets_in(far)
    assert [cell.text for cell in next(first.rows)][:1] == ["张三"]
