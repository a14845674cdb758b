"""The audit log: an act in one form of bytes, each act linked to all before it, the chain followed.

No database and no clock here: rows and anchors are handed in, in their order.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from cryptography.hazmat.primitives.hashes import SM3, Hash

Kind = Literal["altered", "deleted", "inserted", "reordered", "truncated", "rewritten"]
_FORM = "chuishao.audit.1"
_LOOKED_AT = 64  # rows behind a broken one in which its likely cause is sought


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did to what, or was refused. Ids and names of ours: no person's own data.

    `reason` is the actor's own words. Digests tell a state before and after, and no word of it.
    """

    tenant_id: str
    actor: str
    verb: str
    object: str
    fields: tuple[str, ...] = ()
    reason: str | None = None
    on_behalf: str | None = None
    request_id: str | None = None
    decision: Literal["allowed", "refused"] = "allowed"
    before_digest: str | None = None
    after_digest: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An act as it is kept."""

    seq: int
    at: datetime
    act: Act


def canonical(row: Row) -> bytes:
    """Return the one form of a row that is sealed: a JSON list in UTF-8, null apart from ''."""
    act, at = row.act, row.at.astimezone(UTC).isoformat(timespec="microseconds")
    said = (
        *(_FORM, row.seq, act.tenant_id, at, act.actor, act.on_behalf, act.verb, act.object),
        *(list(act.fields), act.reason, act.request_id, act.decision),
        *(act.before_digest, act.after_digest),
    )
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def digest(content: bytes) -> bytes:
    """Return SM3 (GB/T 32905) of some bytes."""
    told = Hash(SM3())
    told.update(content)
    return told.finalize()


def beginning(tenant_id: str) -> bytes:
    """Return what a town's first row is linked to."""
    return digest(f"{_FORM}|{tenant_id}".encode())


def linked(before: bytes, row: Row) -> bytes:
    """Return the hash of a row that follows on a hash."""
    return digest(before + canonical(row))


@dataclass(frozen=True, slots=True)
class Link:
    """One place of a town's chain, and the row that lies there: none, where it is gone."""

    tenant_id: str
    n: int
    seq: int
    hash: bytes
    row: Row | None

    def follows(self, before: bytes) -> bool:
        return self.row is not None and linked(before, self.row) == self.hash


@dataclass(frozen=True, slots=True)
class Anchor:
    """A head that was noted outside the database."""

    tenant_id: str
    n: int
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """The first row of a town that is not as it was sealed; between `n` and `n_to`, if told."""

    tenant_id: str
    kind: Kind
    n: int | None
    seq: int | None
    n_to: int | None = None


@dataclass(slots=True)
class Chain:
    """Follows one town's links in their order, held against the anchors of that town."""

    tenant_id: str
    anchors: Mapping[int, Anchor]
    n: int = 0
    hash: bytes = b""
    broken: Break | None = None
    _agreed: int = 0  # the last place that an anchor vouches for
    _wrong: Link | None = None
    _behind: list[Link] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.hash = beginning(self.tenant_id)

    @property
    def ended(self) -> bool:
        return self.broken is not None

    def begin_at(self, link: Link) -> None:
        """Take a link as it stands: what lies before it is not looked at."""
        self.n, self.hash, self._agreed = link.n, link.hash, link.n - 1
        self._hold_against_anchor(link)

    def feed(self, link: Link) -> None:
        """Take the next link; once something is broken, later ones only help to tell how."""
        if self.ended:
            return
        if self._wrong is not None:
            self._behind.append(link)
            if len(self._behind) == _LOOKED_AT:
                self._tell_wrong(self._wrong)
        elif link.n != self.n + 1:
            self.broken = Break(self.tenant_id, "deleted", self.n + 1, None)
        elif link.row is None:
            self.broken = Break(self.tenant_id, "deleted", link.n, link.seq)
        elif not link.follows(self.hash):
            self._wrong = link
        else:
            self.n, self.hash = link.n, link.hash
            self._hold_against_anchor(link)

    def end(self) -> Break | None:
        """Tell what is broken, if anything is, once there are no more links."""
        if not self.ended and self._wrong is not None:
            self._tell_wrong(self._wrong)
        beyond = [n for n in self.anchors if n > self.n]
        if not self.ended and beyond:
            there = self.anchors.get(self.n + 1)
            seq = None if there is None else there.seq
            self.broken = Break(self.tenant_id, "truncated", self.n + 1, seq, max(beyond))
        return self.broken

    def _hold_against_anchor(self, link: Link) -> None:
        anchor = self.anchors.get(link.n)
        if anchor is None:
            return
        if anchor.hash != link.hash:
            first = self._agreed + 1
            self.broken = Break(self.tenant_id, "rewritten", first, link.seq, link.n)
        self._agreed = link.n

    def _tell_wrong(self, wrong: Link) -> None:
        kind = _kind(self.hash, wrong, self._behind)
        self.broken = Break(self.tenant_id, kind, wrong.n, wrong.seq)


def _kind(before: bytes, wrong: Link, behind: Sequence[Link]) -> Kind:
    """Tell how a link came to be wrong, as far as those behind it show."""
    if any(one.row and linked(before, one.row) == wrong.hash for one in behind):
        return "reordered"
    rest, last = [wrong, *behind], before
    while (fits := next((one for one in rest if one.follows(last)), None)) is not None:
        if fits is wrong:
            return "reordered"
        rest.remove(fits)
        last = fits.hash
    return "altered" if last == before else "inserted"
