"""What the API shows of the hands through which a case passes."""

from datetime import datetime
from typing import TypedDict
from uuid import UUID

from pydantic import BaseModel

from services.routing.domain.values import Owner, Sheet, Transfer
from services.routing.record import first_asked_number, sheet_number
from services.routing.store.cases import Kept


class OwnerView(BaseModel):
    """Who answers: a role at a unit, and the person where one is rostered."""

    unit: str
    role: str
    staff: str | None


class FirstAskedView(BaseModel):
    """Who was asked first (首问负责): it is his until somebody has taken it over."""

    staff: str
    sheet: str


class CallView(BaseModel):
    """A call that waits for an answer; after `ack_due_at` others are called."""

    reason: str
    called: list[OwnerView]
    ack_due_at: datetime | None


class TransferView(BaseModel):
    """An offer that has not been taken: until then the case is its owner's."""

    transfer_id: UUID
    case_id: UUID
    number: str
    owner: OwnerView
    to: OwnerView
    offered_at: datetime


class HandoverView(BaseModel):
    """A hand-over sheet, to be signed for at `unit` by `due_at`."""

    handover_id: UUID
    case_id: UUID
    number: str
    unit: str
    filed_at: datetime
    due_at: datetime
    received_at: datetime | None
    received_by: str | None


class Hands(TypedDict):
    """In whose hands a case is beside its owner's, and into whose it is to come."""

    joint: list[OwnerView]
    first_asked: FirstAskedView | None
    call: CallView | None
    transfer: TransferView | None
    handover: HandoverView | None


def hands(kept: Kept, offered: Transfer | None, sheet: Sheet | None) -> Hands:
    """Say in whose hands a case is."""
    case, number = kept.case, kept.number
    first, call = None, None
    if case.first_asked is not None:
        first = FirstAskedView(staff=case.first_asked, sheet=first_asked_number(number))
    if case.call is not None:
        called = [owner_view(one) for one in case.call.called]
        call = CallView(reason=case.call.reason, called=called, ack_due_at=case.call.due_at)
    return Hands(
        joint=[owner_view(one) for one in case.joint],
        first_asked=first,
        call=call,
        transfer=transfer_view(offered, case.case_id, number) if offered else None,
        handover=sheet_view(sheet, case.case_id, number) if sheet else None,
    )


def transfer_view(one: Transfer, case_id: UUID, number: str) -> TransferView:
    return TransferView(
        transfer_id=one.transfer_id,
        case_id=case_id,
        number=number,
        owner=owner_view(one.owner),
        to=owner_view(one.to),
        offered_at=one.offered_at,
    )


def sheet_view(one: Sheet, case_id: UUID, number: str) -> HandoverView:
    return HandoverView(
        handover_id=one.handover_id,
        case_id=case_id,
        number=sheet_number(number),
        unit=one.unit,
        filed_at=one.filed_at,
        due_at=one.due_at,
        received_at=one.received_at,
        received_by=one.received_by,
    )


def owner_view(owner: Owner) -> OwnerView:
    return OwnerView(unit=owner.unit, role=owner.role, staff=owner.staff)
