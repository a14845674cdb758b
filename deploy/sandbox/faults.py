"""Faults that tests and demonstrations ask for, and which sends each one strikes."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Seconds = Annotated[float, Field(gt=0, le=600)]
When = Literal["before", "after"]  # the message reaches the phone
OPERATOR_FAILURE = "UNDELIV"


class Strike(BaseModel):
    """Whom it strikes: the next N sends, or a share of all, the same ones for the same seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    next: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    share: Annotated[float, Field(gt=0, le=1)] | None = None
    seed: int = 0
    phone: Annotated[str, Field(pattern=r"^1[3-9][0-9]{9}$")] | None = None

    @model_validator(mode="after")
    def next_or_share(self) -> Self:
        if (self.next is None) == (self.share is None):
            raise ValueError("give either next or share")
        return self


class Error500(Strike):
    kind: Literal["error_500"]
    when: When = "before"


class Hang(Strike):
    """Then the send goes on, whether or not anybody still waits; or the connection is reset."""

    kind: Literal["hang"]
    when: When = "before"
    seconds: Seconds
    then: Literal["answer", "reset"] = "answer"


class Reset(Strike):
    kind: Literal["reset"]
    when: When = "before"


class Throttle(Strike):
    kind: Literal["throttle"]
    retry_after_ms: Annotated[int, Field(ge=1, le=600_000)] = 1_000


class Garbage(Strike):
    kind: Literal["garbage"]
    when: When = "before"


class Refuse(Strike):
    """Answer any business code, such as isv.AMOUNT_NOT_ENOUGH."""

    kind: Literal["refuse"]
    code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]{1,100}$")]
    message: Annotated[str, Field(max_length=200)] = ""
    status: Annotated[int, Field(ge=200, le=599)] = 200


class ReceiptDelayed(Strike):
    kind: Literal["receipt_delayed"]
    seconds: Seconds


class ReceiptDuplicated(Strike):
    kind: Literal["receipt_duplicated"]
    times: Annotated[int, Field(ge=2, le=100)] = 2


class ReceiptFailed(Strike):
    """Struck before, the phone never shows the message; struck after, the operator errs."""

    kind: Literal["receipt_failed"]
    when: When = "before"
    err_code: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")] = OPERATOR_FAILURE


class ReceiptOutOfOrder(Strike):
    """Held back until another one has been confirmed, at the longest for so many seconds."""

    kind: Literal["receipt_out_of_order"]
    seconds: Seconds = 10.0


class ReceiptBeforeAnswer(Strike):
    kind: Literal["receipt_before_answer"]


class ReceiptLost(Strike):
    kind: Literal["receipt_lost"]


AnswerFault = Error500 | Hang | Reset | Throttle | Garbage | Refuse
ReceiptFault = (
    ReceiptDelayed
    | ReceiptDuplicated
    | ReceiptFailed
    | ReceiptOutOfOrder
    | ReceiptBeforeAnswer
    | ReceiptLost
)
Fault = Annotated[AnswerFault | ReceiptFault, Field(discriminator="kind")]


class Faults(BaseModel):
    """The body of POST /sandbox/faults; it adds to what is active."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    faults: Annotated[list[Fault], Field(min_length=1, max_length=100)]


@dataclass(slots=True)
class Active:
    """A fault with its tally: sends it was asked about, and sends it struck."""

    fault: AnswerFault | ReceiptFault
    seen: int = 0
    struck: int = 0

    def strikes(self, numbers: frozenset[str]) -> bool:
        """Count the send, and say whether it is one of those to strike."""
        fault = self.fault
        if fault.phone is not None and fault.phone not in numbers:
            return False
        self.seen += 1
        if fault.share is None:
            hit = self.struck < (fault.next or 0)
        else:
            hit = _fraction(fault.seed, self.seen) < fault.share
        self.struck += hit
        return hit

    def is_spent(self) -> bool:
        return self.fault.next is not None and self.struck >= self.fault.next


class FaultBoard:
    """The active faults in the order they came, spent ones gone."""

    def __init__(self, faults_max: int) -> None:
        self._faults_max = faults_max
        self.active: list[Active] = []

    def add(self, faults: Faults) -> None:
        """Take them all or none.

        Raises:
            ValueError: if there would be too many.
        """
        if len(self.active) + len(faults.faults) > self._faults_max:
            raise ValueError(f"at most {self._faults_max} faults at a time")
        self.active += [Active(fault) for fault in faults.faults]

    def clear(self) -> None:
        self.active.clear()

    def answer_fault(self, numbers: frozenset[str], when: When) -> AnswerFault | None:
        """An answer goes wrong in one way only: the first that strikes; the others wait."""
        for active in self.active:
            fault = active.fault
            if not isinstance(fault, AnswerFault) or getattr(fault, "when", "before") != when:
                continue
            if active.strikes(numbers):
                self._drop_spent()
                return fault
        return None

    def receipt_faults(self, phone: str) -> list[ReceiptFault]:
        """Each that strikes: a receipt can be late and double and bad."""
        struck = [
            active.fault
            for active in self.active
            if isinstance(active.fault, ReceiptFault) and active.strikes(frozenset({phone}))
        ]
        self._drop_spent()
        return struck

    def _drop_spent(self) -> None:
        self.active = [active for active in self.active if not active.is_spent()]


def _fraction(seed: int, number: int) -> float:
    """A number in [0, 1) that depends on nothing but its arguments, so that a run repeats."""
    digest = sha256(f"{seed}/{number}".encode()).digest()
    return int.from_bytes(digest[:6]) / 2**48
