"""What an exchange of files tells: each fault by its cell, Chinese first, no value repeated."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

FAULTS_MAX = 1_000
_ROW, _COLUMN = re.compile(r"\d+"), re.compile(r"[A-Z]+")


class Unfit(ValueError):  # noqa: N818 - a state of the cell
    """A cell does not say what its column expects."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh} {en}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the sheet, the cell (C17, or a row's number), its header, and how to mend it."""

    sheet: str
    cell: str
    header: str
    message: str

    def __str__(self) -> str:
        place = "!".join(part for part in (self.sheet, self.cell) if part)
        return (
            f"{place} {self.header}：{self.message}" if self.header else f"{place}：{self.message}"
        )


def _place(cell: str) -> tuple[int, int, str]:
    """Return the row and the column of a cell, of an area's first, or of a whole row."""
    row, column = _ROW.search(cell), _COLUMN.match(cell)
    letters = column[0] if column else ""
    return int(row[0]) if row else 0, len(letters), letters


@dataclass(slots=True)
class Faults:
    """Faults in the order found: all are counted, the first thousand are kept."""

    kept: list[Fault] = field(default_factory=list)
    total: int = 0

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.kept)

    def add(self, fault: Fault) -> None:
        self.total += 1
        if len(self.kept) < FAULTS_MAX:
            self.kept.append(fault)

    def sort(self, sheets: Sequence[str] = ()) -> None:
        """Bring them into the order in which a person goes through the file, sheet by sheet."""
        places = {title: n for n, title in enumerate(sheets)}
        self.kept.sort(
            key=lambda one: (places.get(one.sheet, len(places)), one.sheet, *_place(one.cell))
        )

    def extend(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.add(fault)
