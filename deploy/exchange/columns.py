"""The layout of a registry workbook: one definition of its columns, for the way in and out."""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.exchange import cells
from deploy.exchange.cells import Read

ID = "id"  # the field of a record's own id
_NOTE = re.compile(r"\(.*?\)|[*\s:]")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its field, how a cell is read, kept, and how a value is written."""

    field: str
    header: str
    read: Read
    also: tuple[str, ...] = ()
    filled: bool = False
    write: Callable[[Any], str] = str
    keep: Callable[[str], Any] | None = None  # where not as the text that was read


@dataclass(frozen=True, slots=True)
class Layout:
    """A sheet: the kind that it holds, its title, its columns in order."""

    kind: str
    title: str
    columns: tuple[Column, ...]

    def column(self, said: str) -> Column | None:
        """Find a column by what its header says; notes in brackets and stars are passed over."""
        wanted = tidy(said)
        return next((one for one in self.columns if wanted in (one.header, *one.also)), None)

    def header(self, field: str) -> str:
        return next((one.header for one in self.columns if one.field == field), field)


def tidy(said: str) -> str:
    return _NOTE.sub("", unicodedata.normalize("NFKC", said))


_SEX, _RELATION = cells.word_of(cells.SEXES), cells.word_of(cells.RELATIONS)
HOUSEHOLDS = Layout(
    "household",
    "户",
    (
        Column(ID, "户编号", cells.code, ("户号",), filled=True),
        Column("grid", "网格编号", cells.code, ("网格", "所属网格"), filled=True),
        Column("group", "户组编号", cells.code, ("户组", "联户组")),
        Column("household_class", "户类别", cells.code, ("户类型",)),
        Column("address", "地址", cells.words, ("住址", "家庭住址")),
    ),
)
PERSONS = Layout(
    "person",
    "人员",
    (
        Column(ID, "人员编号", cells.code, ("编号",)),
        Column("household", "户编号", cells.code, ("户号",), filled=True),
        Column("name", "姓名", cells.name, filled=True),
        Column("id_number", "身份证号", cells.citizen_number, ("身份证号码", "公民身份号码")),
        Column("birth_date", "出生日期", cells.day, ("生日", "出生年月日")),
        Column("sex", "性别", cells.sex, write=_SEX),
        Column("relation", "与户主关系", cells.relation, ("关系", "户主关系"), write=_RELATION),
        Column("phone", "电话", cells.phone, ("手机", "手机号", "联系电话", "电话号码")),
    ),
)
LINKS = Layout(
    "link",
    "关联",
    (
        Column(ID, "关联编号", cells.code, ("编号",)),
        Column("link", "关联类型", cells.words, ("关联", "类型", "关联名称"), filled=True),
        Column("staff", "工作人员编号", cells.code, ("工作人员", "联系人编号"), filled=True),
        Column("to", "对象编号", cells.code, ("联系对象编号", "联系对象"), filled=True),
        Column(
            "primary",
            "是否主要",
            cells.yes_or_no,
            ("主要",),
            write=cells.word_of_truth,
            keep=cells.is_yes,
        ),
    ),
)
# In the order in which they name one another.
LAYOUTS: Mapping[str, Layout] = {one.kind: one for one in (HOUSEHOLDS, PERSONS, LINKS)}
HEADERS = frozenset(
    said for one in LAYOUTS.values() for it in one.columns for said in (it.header, *it.also)
)


def layout_of(title: str, headers: list[str]) -> Layout | None:
    """Tell what a sheet holds: by its title, else by its headers."""
    named = next((one for one in LAYOUTS.values() if one.title == tidy(title)), None)
    if named:
        return named
    fitting = {
        one.kind: sum(one.column(said) is not None for said in headers) for one in LAYOUTS.values()
    }
    best = max(fitting, key=lambda kind: fitting[kind])
    return LAYOUTS[best] if fitting[best] > 1 else None


def known_headers(headers: list[str]) -> int:
    """Count the texts that are a header of some sheet."""
    return sum(tidy(said) in HEADERS for said in headers)
