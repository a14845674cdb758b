"""Transfers: a case moves to somebody else only once he has taken it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

from services.routing.domain.town import Setting
from services.routing.domain.values import (
    ANSWER,
    Actor,
    Case,
    Decision,
    Fact,
    Owner,
    Refused,
    Transfer,
    misread,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What an owner wants: a case to go to a person, or to a role at a unit."""

    transfer_id: UUID
    actor: Actor
    expected_seq: int
    staff: str | None = None
    unit: str | None = None
    role: str | None = None
    sealed: Mapping[str, object] | None = None


def offer(
    case: Case, there: Transfer | None, wanted: Offer, now: datetime, setting: Setting
) -> Decision | Refused:
    """Offer a case; it stays with its owner, and its clocks run on, until it is taken."""
    by = case.owner.held_by(wanted.actor)
    refused = _unfit(case, there, wanted, by, setting)
    if refused is not None or by is None:
        return refused or Refused("not_the_owner", (case.owner.staff or case.owner.role,))
    to = _receiver(case, wanted, setting)
    if isinstance(to, Refused):
        return to
    transfer = Transfer(wanted.transfer_id, case.owner, to, now)
    data = {
        "transfer_id": transfer.transfer_id,
        "owner": asdict(case.owner),
        "to": asdict(to),
        "by": asdict(by),
        "sealed": wanted.sealed,
    }
    return _decided(case, [Fact("case.transfer_offered.v1", data)], transfer)


def _unfit(
    case: Case, there: Transfer | None, wanted: Offer, by: Owner | None, setting: Setting
) -> Refused | None:
    """Tell what stands in the way of an offer to whomever."""
    if by is None:
        return Refused("not_the_owner", (case.owner.staff or case.owner.role,))
    if case.owner.role not in setting.rules.duty.givers:
        return Refused("role_not_allowed", tuple(sorted(setting.rules.duty.givers)))
    unseen = misread(case, wanted.expected_seq)
    if unseen is not None:
        return unseen
    if case.closed:
        return Refused("transfer_not_allowed", (case.state,))
    if there is not None:
        return Refused("transfer_open", (there.to.staff or there.to.role,))
    return None


def _receiver(case: Case, wanted: Offer, setting: Setting) -> Owner | Refused:
    """Return to whom it goes; a person takes it in the first place of his that may accept."""
    if wanted.staff is None:
        return _place(case, wanted.unit or "", wanted.role or "", setting)
    if wanted.staff == wanted.actor.staff:
        return Refused("to_oneself", (wanted.staff,))
    posts, takers = setting.town.posts, setting.rules.duty.takers
    places = sorted(place for place, held in posts.items() if wanted.staff in held)
    fit = next(((unit, role) for unit, role in places if role in takers), None)
    if fit is None:
        return Refused("cannot_accept" if places else "unknown_receiver", (wanted.staff,))
    return Owner(*fit, wanted.staff)


def _place(case: Case, unit: str, role: str, setting: Setting) -> Owner | Refused:
    known = setting.town.units.get(unit)
    if known is None or known.level != setting.rules.role_levels.get(role):
        return Refused("unknown_receiver", (unit, role))
    if role not in setting.rules.duty.takers:
        return Refused("cannot_accept", (role,))
    to = Owner(unit, role)
    return Refused("to_oneself", (role,)) if to == case.owner else to


def take(case: Case, transfer: Transfer, actor: Actor) -> Decision | Refused:
    """Take a case over: from now on it is the receiver's."""
    by = _receiving(case, transfer, actor)
    if isinstance(by, Refused):
        return by
    data = {
        "from_owner": asdict(case.owner),
        "owner": asdict(by),
        "by": asdict(by),
        "transfer_id": transfer.transfer_id,
    }
    after = replace(case, owner=by, joint=(), call=None)
    ended = frozenset((ANSWER,)) if case.call is not None else frozenset[str]()
    fact = Fact("case.handed_over.v1", data)
    return replace(_decided(after, [fact], replace(transfer, outcome="taken")), ended=ended)


def decline(
    case: Case, transfer: Transfer, actor: Actor, sealed: Mapping[str, object] | None
) -> Decision | Refused:
    """Decline an offer: the owner keeps the case. Sealed: reason."""
    by = _receiving(case, transfer, actor)
    if isinstance(by, Refused):
        return by
    data = {"transfer_id": transfer.transfer_id, "outcome": "declined", "by": asdict(by)}
    fact = Fact("case.transfer_ended.v1", {**data, "sealed": sealed})
    return _decided(case, [fact], replace(transfer, outcome="declined"))


def withdraw(case: Case, transfer: Transfer, actor: Actor) -> Decision | Refused:
    """Take an offer back."""
    if transfer.outcome is not None:
        return Refused("transfer_ended", (transfer.outcome,))
    by = transfer.owner.held_by(actor)
    if by is None:
        return Refused("not_the_owner", (transfer.owner.staff or transfer.owner.role,))
    data = {"transfer_id": transfer.transfer_id, "outcome": "withdrawn", "by": asdict(by)}
    fact = Fact("case.transfer_ended.v1", data)
    return _decided(case, [fact], replace(transfer, outcome="withdrawn"))


def _receiving(case: Case, transfer: Transfer, actor: Actor) -> Owner | Refused:
    """Return the receiver, if it is he who acts and the offer stands."""
    if transfer.outcome is not None:
        return Refused("transfer_ended", (transfer.outcome,))
    by = transfer.to.held_by(actor)
    if by is None:
        return Refused("not_the_receiver", (transfer.to.staff or transfer.to.role,))
    if by.staff == case.owner.staff:
        return Refused("to_oneself", (by.staff or by.role,))
    return by


def _decided(case: Case, facts: list[Fact], transfer: Transfer) -> Decision:
    seq = case.seq + len(facts)
    after = replace(case, seq=seq, human_seq=seq)
    return Decision(after, tuple(facts), transfer=transfer)
