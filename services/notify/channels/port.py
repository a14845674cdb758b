"""What every channel is to the rest of notify."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.notify.domain.progress import Accepted, Delivered, Missing, Outcome, Unknown


@dataclass(frozen=True, slots=True)
class OutMessage:
    """One message to one person. `reference` comes back in receipts and look-ups.

    `template` names the text, `values` fill it, `text` is what comes of that.

    `address` is the only personal datum, in the channel's own form; it stays out of `repr`.
    """

    reference: UUID
    address: str = field(repr=False)
    template: str
    values: Mapping[str, str]
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """What became of a message that was begun at `begun_at`?"""

    reference: UUID
    address: str = field(repr=False)
    begun_at: datetime


class Channel(Protocol):
    """A way out. Nothing is raised for what a provider or a network does: it is an outcome."""

    @property
    def needs(self) -> str:
        """The kind of contact that it takes, such as `phone`; `staff` where the person will do."""
        ...

    def address(self, contact: str) -> str | None:
        """Bring a contact into the channel's form; None for one that cannot be reached."""
        ...

    def masked(self, address: str) -> str:
        """Return an address as people may see it."""
        ...

    async def send(self, message: OutMessage) -> Outcome: ...

    async def look_up(self, question: Question) -> Accepted | Delivered | Missing | Unknown: ...
