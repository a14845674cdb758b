"""Entries of sensitive groups, each sealed under a data key of its own, bound to its own place.

What somebody belongs to is among what is sealed: whoever reads the table sees no group, no person.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from services.chassis.postgres import Connection
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.ledger.domain.sensitive import person_mark, place_of
from services.ledger.store import sensitive
from services.ledger.store.sensitive import Kept

_FIELDS = frozenset(("group", "since", "note"))
Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Drawer:
    """What is kept of one person, with the town's keys.

    Raises:
        CannotOpen: the key file knows nothing of the town.
    """

    keys: KeyRing
    tenant_id: str
    person: str

    def place(self, group: str) -> str:
        return place_of(self.keys.tenant(self.tenant_id).index, group, self.person)

    def mark(self) -> str:
        return person_mark(self.keys.tenant(self.tenant_id).index, self.person)

    async def put(self, conn: Connection, texts: Texts, by: str) -> tuple[int, bool]:
        """Keep an entry; return its version, and whether it was kept so already."""
        place = self.place(texts["group"])
        kept = next((one for one in await self.all(conn) if one.place == place), None)
        if kept and kept.ended_at is None and self._said(kept) == texts:
            return kept.version, True
        sealed = asdict(self.keys.seal(self.tenant_id, place, texts))
        given = (self.tenant_id, place, self.mark(), sealed, by)
        return await sensitive.put(conn, *given), False

    async def all(self, conn: Connection) -> list[Kept]:
        return await sensitive.of_person(conn, self.tenant_id, self.mark())

    async def end(self, conn: Connection, group: str, at: datetime) -> int | None:
        return await sensitive.end(conn, self.tenant_id, self.place(group), at)

    async def forget(self, conn: Connection) -> None:
        await sensitive.forget(conn, self.tenant_id, self.mark())

    def opened(self, kept: Kept) -> Texts:
        """Return what an entry says.

        Raises:
            CannotOpen: wrong key, another's place, or altered.
        """
        sealed = SealedFields(**kept.sealed)
        return self.keys.open(self.tenant_id, kept.place, sealed, set(_FIELDS))

    def _said(self, kept: Kept) -> Texts | None:
        try:
            return self.opened(kept)
        except CannotOpen:  # what nobody can read any more is written anew
            return None
