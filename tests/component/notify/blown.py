"""A whistle and the facts that may follow, and whom the seed has put into which department."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from contracts.events import Event, Fact, effect_id
from contracts.facts import (
    CaseEscalatedV1,
    WhistleBlownV1,
    WhistleCorrectedV1,
    WhistleMissedV1,
    WhistleRefusedV1,
    WhistleReleasedV1,
    WhistleReportedInV1,
    WhistleWarnedV1,
    WhistleWithdrawnV1,
)
from tests import factories
from tests.component.notify.world import AHEAD, DUE, World
from tests.factories import START, TENANT

BY = {"staff": "s-vc-01", "role": "village_cadre"}
STAFF = {line["id"]: line["body"] for line in factories.town_lines() if line["kind"] == "staff"}


def first(role: str, department: str | None = None) -> str:
    """Return the first with a role, of a department or of none, as the seed has made them."""
    held = [
        (post["rank"], staff_id)
        for staff_id, body in STAFF.items()
        for post in body["posts"]
        if post["role"] == role and body.get("department") == department
    ]
    return str(min(held)[1])


def phone(staff_id: str) -> str:
    return str(STAFF[staff_id]["phone"]).removeprefix("+86")


class Blown:
    """A case whose whistle calls departments, and the facts that may follow."""

    def __init__(self, world: World, *departments: str, **more: Any) -> None:
        self.opened = world.opened(**more)
        self.case_id, self.whistle_id = self.opened.subject_id, uuid4()
        called = [{"department": one, "lead": False, "due_at": DUE} for one in departments]
        self.blown = self.fact(WhistleBlownV1, departments=called, by=BY)

    def fact(self, type_: type[Fact], told_at: datetime = START, /, **data: Any) -> Event:
        fact = type_.model_validate({"whistle_id": self.whistle_id, **data})
        return Event(
            event_id=effect_id(self.case_id, f"{fact.TYPE}|{fact.model_dump_json()}|{told_at}"),
            tenant_id=TENANT,
            subject_id=self.case_id,
            occurred_at=told_at,
            source="/routing",
            data=fact,
            seq=1,
        )

    def warned(self, department: str) -> Event:
        return self.fact(WhistleWarnedV1, department=department, due_at=AHEAD)

    def missed(self, department: str, at: datetime = DUE) -> Event:
        return self.fact(WhistleMissedV1, at, department=department, due_at=DUE)

    def rung(self, rung: int, do: str, at: datetime, level: str | None = None) -> Event:
        more: dict[str, Any] = {"department": "police", "rung": rung, "do": do, "to_level": level}
        return self.fact(CaseEscalatedV1, at, **more)

    def reported_in(self, department: str, *, late: bool = False) -> Event:
        more: dict[str, Any] = {"means": "app_ack", "at": START, "late": late, "by": BY}
        return self.fact(WhistleReportedInV1, department=department, **more)

    def ending(self, how: str, department: str) -> Event:
        """Return the fact by which a department is awaited no more."""
        came: dict[str, Any] = {"department": department, "means": "app_ack", "at": START, "by": BY}
        gone: dict[str, Any] = {"department": department, "by": BY}
        refusal: dict[str, Any] = {
            "proposed": "land",
            "arbiter": {"unit": "town", "role": "town_leader"},
        }
        match how:
            case "corrected":
                return self.fact(WhistleCorrectedV1, **came)
            case "refused":
                return self.fact(WhistleRefusedV1, **gone, **refusal)
            case "released":
                return self.fact(WhistleReleasedV1, **gone)
            case "withdrawn":
                return self.fact(WhistleWithdrawnV1, **gone)
            case _:
                return self.reported_in(department, late=how == "late")
