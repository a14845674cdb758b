"""Files as people send them: what cannot be read is told by cell, or as a whole, never guessed."""

import zipfile
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from deploy.exchange import files, rows
from deploy.exchange.cells import Cell, day, phone, relation, sex
from deploy.exchange.rows import Reading, read_rows
from deploy.exchange.told import FAULTS_MAX, Fault, Faults, Unfit
from deploy.local.errors import LocalStackError

PEOPLE = ("人员编号", "户编号", "姓名", "与户主关系")
ZHANG = ("p1", "h1", "张三", "户主")


def workbook(given: Iterable[Sequence[Any]], *merged: str, title: str = "人员") -> bytes:
    book, out = openpyxl.Workbook(), BytesIO()
    sheet = book.active
    assert sheet is not None
    sheet.title = title
    for row in given:
        sheet.append(list(row))
    for area in merged:
        sheet.merge_cells(area)
    book.save(out)
    return out.getvalue()


def read(content: bytes, name: str = "a.xlsx") -> Reading:
    return read_rows(Path(name), content, lambda _: None)


def told(content: bytes, name: str = "a.xlsx") -> list[tuple[str, str]]:
    return [(one.cell, one.message.split("：")[0]) for one in read(content, name).faults]


def refused(content: bytes, name: str = "a.xlsx") -> str:
    with pytest.raises(LocalStackError) as error:
        read(content, name)
    return str(error.value)


def parts(**sizes: int) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, size in sizes.items():
            with archive.open(name, "w") as part:
                for _ in range(size // 2**20):
                    part.write(bytes(2**20))
    return out.getvalue()


def test_a_zip_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "UNPACKED_BYTES_MAX", 8 * 2**20)
    bomb = parts(sheet=9 * 2**20)
    assert len(bomb) < 2**16
    assert "太大，没有打开" in refused(bomb)
    assert "太大，没有打开" in refused(parts(**{f"p{n}": 0 for n in range(1_001)}))


def test_a_bomb_that_lies_about_its_size_is_damaged() -> None:
    honest = workbook([PEOPLE, *[ZHANG] * 5_000])
    with zipfile.ZipFile(BytesIO(honest)) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    lying = honest.replace(size.to_bytes(4, "little"), (size // 8).to_bytes(4, "little"))
    assert lying != honest
    assert "文件已损坏" in refused(lying)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "FILE_BYTES_MAX", 10)
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 11)
    with pytest.raises(LocalStackError, match="太大，没有打开"):
        files.read_bytes(path)
    with pytest.raises(LocalStackError, match="No such file"):
        files.read_bytes(tmp_path / "none.csv")


def test_an_old_or_locked_workbook_is_told_apart() -> None:
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    assert "旧的 .xls" in refused(ole, "a.xls")
    assert "打开密码" in refused(ole + "EncryptedPackage".encode("utf-16-le"))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", parts(a=0), workbook([PEOPLE])[:900]])
def test_a_damaged_workbook_is_told_without_a_trace(content: bytes) -> None:
    assert "文件已损坏" in refused(content)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_workbook_with_entities_is_refused(encoding: str) -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><x>&b;</x>'.encode(encoding)
    out, source = BytesIO(), workbook([PEOPLE, ZHANG])
    with zipfile.ZipFile(BytesIO(source)) as old, zipfile.ZipFile(out, "w") as new:
        for one in old.namelist():
            new.writestr(one, bomb if one == "docProps/app.xml" else old.read(one))
    assert "文件已损坏" in refused(out.getvalue())


def test_a_title_may_stand_above_the_headers_and_rows_between_may_be_empty() -> None:
    content = workbook(
        [("某镇人员登记表",), PEOPLE, (), ZHANG, (" ", None), ("p2", "h1", "李", "子")]
    )
    reading = read(content)
    assert reading.faults.total == 0
    assert [(one.record_id, one.number) for one in reading.rows] == [("p1", 4), ("p2", 6)]


@pytest.mark.parametrize(
    ("given", "cell"),
    [
        ([("基本情况", "", "家庭情况"), PEOPLE, ZHANG], "第 1 行"),
        ([PEOPLE, PEOPLE, ZHANG], "第 2 行"),
    ],
)
def test_two_rows_of_headers_are_told(given: list[tuple[str, ...]], cell: str) -> None:
    assert told(workbook(given)) == [(cell, "表头有两行")]


def test_merged_cells_are_told_but_for_a_title() -> None:
    content = workbook([("登记表",), PEOPLE, ZHANG, ("p2", "h1", "李四", "子")], "A1:D1", "B3:B4")
    assert ("B3:B4", "合并了单元格，只有左上一格有内容") in told(content)
    assert "A1:D1" not in str(told(content))


def test_columns_are_told_that_are_unknown_doubled_missing_or_nameless() -> None:
    given = [("人员编号", "姓名", "姓名", "血型", ""), ("p1", "张三", "张三", "A", "?")]
    assert told(workbook(given)) == [
        ("C1", "这一列写了两次"),
        ("D1", "没有这一列"),
        ("第 1 行", "缺少这一列"),
        ("E2", "这一列没有可用的表头"),
    ]


def test_a_sheet_that_is_no_list_is_passed_over_and_one_without_headers_told() -> None:
    assert told(workbook([("张三", "h1")])) == [("A1", "找不到表头")]
    assert "没有一行可读" in refused(workbook([("说明", "按此填写")], title="说明"))
    by_headers = read(workbook([PEOPLE, ZHANG], title="Sheet1"))
    assert [(one.kind, one.sheet) for one in by_headers.rows] == [("person", "Sheet1")]


def test_more_records_than_a_batch_may_have_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "RECORDS_MAX", 2)
    assert "什么都没有改" in refused(workbook([PEOPLE, *[ZHANG] * 3]))


def test_more_lines_than_a_batch_may_have_are_refused() -> None:
    assert "超过 200,000 条记录" in refused(b"{}\n" * (rows.RECORDS_MAX + 1), "a.ndjson")
    assert read(b"{}\n" + b"\n" * rows.RECORDS_MAX, "a.ndjson").faults.total


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_table_is_read_in_the_encodings_that_spreadsheets_save(encoding: str) -> None:
    text = '户编号,网格编号,地址\r\nh1,g1,"河边, 3 号"\r\n\r\nh2,g1\r\n'
    reading = read(text.encode(encoding), "a.csv")
    assert reading.faults.total == 0
    assert [(one.kind, one.record_id, dict(one.body)) for one in reading.rows] == [
        ("household", "h1", {"grid": "g1", "address": "河边, 3 号"}),
        ("household", "h2", {"grid": "g1"}),
    ]


def test_a_table_that_is_none_is_told() -> None:
    assert "UTF-8" in refused(b"\xff\xff\xff", "a.csv")
    assert "CSV" in refused('户编号,网格编号\n"h1'.encode(), "a.csv")


def test_lines_are_told_by_their_number() -> None:
    good = b'{"kind": "household", "id": "h1", "body": {"grid": "g1"}}'
    (row,) = read(good, "a.ndjson").rows
    assert str(row.fault("grid", "没有")) == "第 1 行 grid：没有"
    bad = good + b'\n{"kind": "unit", "id": "u", "body": {}}\n'
    assert told(bad, "a.ndjson")[0][0] == "第 2 行"
    assert told(good + b"\n{", "a.ndjson")[0][0] == "第 2 行"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("1990-1-3", "1990-01-03"),
        ("1990年1月3日", "1990-01-03"),
        ("１９９００１０３", "1990-01-03"),
    ],
)
def test_days_are_read_as_people_write_them(said: str, kept: str) -> None:
    assert day(Cell(said)) == kept


@pytest.mark.parametrize("said", ["1990-13-1", "1990-02-30", "32874", "19900132", "199011"])
def test_no_day_is_guessed(said: str) -> None:
    with pytest.raises(Unfit):
        day(Cell(said))


def test_words_for_codes_are_read_and_codes_taken_as_they_are() -> None:
    assert [sex(Cell(one)) for one in ("男", "女性", "2", "９")] == ["1", "2", "2", "9"]
    assert [relation(Cell(one)) for one in ("户主", "2", "97")] == ["02", "02", "97"]
    assert phone(Cell("+86 138-0000-0000")) == "+8613800000000"
    for read_it in (sex, relation):
        with pytest.raises(Unfit):
            read_it(Cell("不详者"))


def test_faults_are_counted_and_the_first_are_kept() -> None:
    faults = Faults()
    faults.extend(Fault("", f"A{n}", "", "") for n in range(FAULTS_MAX + 5))
    assert (faults.total, len([*faults])) == (FAULTS_MAX + 5, FAULTS_MAX)


def test_faults_are_told_in_the_order_of_the_rows() -> None:
    faults = Faults()
    faults.extend(
        Fault(sheet, cell, "", "") for sheet, cell in (("b", "C2"), ("a", "第 10 行"), ("a", "D9"))
    )
    faults.sort()
    assert [one.cell for one in faults] == ["D9", "第 10 行", "C2"]
