"""Every message of which something is known, bounded; each change can be waited for."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice

from deploy.sandbox.truth import Cleared, Fact, Message, Receipt, Reported, Taken, TruthFile


class Messages:
    """Kept in the order of acceptance and by phone; when full, the oldest go."""

    def __init__(self, messages_max: int, truth: TruthFile | None = None) -> None:
        self._messages_max = messages_max
        self._truth = truth
        self._by_id: OrderedDict[str, Message] = OrderedDict()
        self._by_phone: OrderedDict[str, deque[str]] = OrderedDict()  # last written to at the end
        self._changed_at: OrderedDict[str, int] = OrderedDict()  # last changed at the end
        self._next_change = asyncio.Event()
        self.changes = 0
        self.clearings = 0
        for fact in truth.facts() if truth else ():
            self._apply(fact)

    def __len__(self) -> int:
        return len(self._by_id)

    def record(self, fact: Fact) -> None:
        """Write it down first; only then it is so."""
        if self._truth:
            self._truth.append(fact)
        self._apply(fact)
        self._next_change.set()
        self._next_change = asyncio.Event()

    def report(self, message_id: str, receipt: Receipt) -> Message | None:
        """The message with its receipt; None if it is forgotten, or the operator has spoken."""
        known = self._by_id.get(message_id)
        if known is None or known.receipt is not None:
            return None
        self.record(Reported(message_id=message_id, receipt=receipt))
        return self._by_id[message_id]

    def get(self, message_id: str) -> Message | None:
        return self._by_id.get(message_id)

    def take(self, message_id: str, at: datetime) -> None:
        if message_id in self._by_id:
            self.record(Taken(message_id=message_id, at=at))

    def every(self) -> Iterable[Message]:
        """Oldest first."""
        return self._by_id.values()

    def find(self, phone: str | None, out_id: str | None) -> Iterator[Message]:
        """Oldest first."""
        of_phone = self._of(phone) if phone else self.every()
        return (message for message in of_phone if out_id in (None, message.out_id))

    def phones(self) -> list[str]:
        """The last written to first."""
        return list(reversed(self._by_phone))

    def newest(self, phone: str, limit: int) -> list[Message]:
        ids = self._by_phone.get(phone, ())
        return [self._by_id[message_id] for message_id in islice(reversed(ids), limit)]

    def count(self, phone: str) -> int:
        return len(self._by_phone.get(phone, ()))

    def changed_since(self, change: int) -> list[str]:
        """Phones with news, the last changed at the end."""
        changed: list[str] = []
        for phone in reversed(self._changed_at):
            if self._changed_at[phone] <= change:
                break
            changed.append(phone)
        return changed[::-1]

    async def wait(self) -> None:
        """Until something changes."""
        await self._next_change.wait()

    def _of(self, phone: str) -> Iterator[Message]:
        return (self._by_id[message_id] for message_id in self._by_phone.get(phone, ()))

    def _apply(self, fact: Fact) -> None:
        match fact:
            case Message():
                self._by_id[fact.message_id] = fact
                self._by_phone.setdefault(fact.phone, deque()).append(fact.message_id)
                self._by_phone.move_to_end(fact.phone)
                self._touch(fact.phone)
                self._forget_oldest()
            case Reported():
                self._update(fact.message_id, {"receipt": fact.receipt})
            case Taken():
                self._update(fact.message_id, {"receipt_taken_at": fact.at})
            case Cleared():
                self._by_id.clear()
                self._by_phone.clear()
                self._changed_at.clear()
                self.clearings += 1
                self.changes += 1

    def _update(self, message_id: str, change: dict[str, Receipt | datetime]) -> None:
        message = self._by_id.get(message_id)
        if message is None:  # it was the oldest and went
            return
        self._by_id[message_id] = message.model_copy(update=change)
        if "receipt" in change:  # nobody sees on a phone whether the callback has confirmed
            self._touch(message.phone)

    def _touch(self, phone: str) -> None:
        self.changes += 1
        self._changed_at[phone] = self.changes
        self._changed_at.move_to_end(phone)

    def _forget_oldest(self) -> None:
        while len(self._by_id) > self._messages_max:
            _, oldest = self._by_id.popitem(last=False)
            ids = self._by_phone[oldest.phone]
            ids.popleft()
            if not ids:
                del self._by_phone[oldest.phone], self._changed_at[oldest.phone]
