"""What has really happened, line by line: nothing in the file is ever changed.

A line is written before anybody is told of it, in one write; a kill of the process loses no line
that was answered for. It does not outlive a power cut: that would take a flush per message.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Receipt(Line):
    """What the operator has said of a message."""

    success: bool
    err_code: str
    err_msg: str
    reported_at: AwareDatetime
    dtmf: str = ""  # the key pressed in a call


class Message(Line):
    """One text or call to one phone. `reached_at` is empty if the operator never got it there.

    Of a call, `text` is what is spoken, `biz_id` its id and `sign_name` who calls.
    """

    kind: Literal["message"] = "message"
    message_id: str
    biz_id: str
    out_id: str
    phone: str
    sign_name: str
    template_code: str
    text: str
    segments: int
    accepted_at: AwareDatetime
    reached_at: AwareDatetime | None
    call: bool = False
    receipt: Receipt | None = None
    receipt_taken_at: AwareDatetime | None = None


class Reported(Line):
    """The operator's word on an earlier message."""

    kind: Literal["reported"] = "reported"
    message_id: str
    receipt: Receipt


class Taken(Line):
    """The callback has confirmed the receipt, so it need not be told again."""

    kind: Literal["taken"] = "taken"
    message_id: str
    at: AwareDatetime


class Cleared(Line):
    """Somebody has asked to forget all that came before."""

    kind: Literal["cleared"] = "cleared"
    at: AwareDatetime


Fact = Message | Reported | Taken | Cleared
FACT: TypeAdapter[Fact] = TypeAdapter(Annotated[Fact, Field(discriminator="kind")])


class TruthFile:
    """An append-only NDJSON file of facts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._cut_torn_line()

    def append(self, fact: Fact) -> None:
        """Write the line whole or raise: what cannot be kept must not be promised."""
        line = fact.model_dump_json().encode() + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            self._cut_torn_line()
            raise OSError(f"only {written} of {len(line)} bytes fit into {self._path}")

    def facts(self) -> Iterator[Fact]:
        """Everything so far, oldest first.

        Raises:
            ValueError: names the line that is none of ours.
        """
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    yield FACT.validate_json(line)
                except ValidationError as error:
                    raise ValueError(f"{self._path}, line {number}: no known fact") from error

    def close(self) -> None:
        os.close(self._file)

    def _cut_torn_line(self) -> None:
        """A line without its end was never answered for: the process died while writing it."""
        size = os.fstat(self._file).st_size
        keep = size
        while keep and os.pread(self._file, 1, keep - 1) != b"\n":
            keep -= 1
        if keep != size:
            os.ftruncate(self._file, keep)
