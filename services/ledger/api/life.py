"""The door for what happens to a town: moves, splits and mergers, each as one dated change set."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from services.chassis.http import Problem
from services.chassis.postgres import Connection
from services.doors.fields import Moment
from services.doors.route import json_route
from services.doors.who import Authorization
from services.ledger.acts import set_recorded
from services.ledger.api.door import Door
from services.ledger.api.reason import Reason
from services.ledger.api.registry import REFUSALS, conflict
from services.ledger.changes import SetReused, record_set
from services.ledger.clock import today, town_now
from services.ledger.lines import Faulty, Id
from services.ledger.remarks import followed
from services.ledger.reorganise import Act, entries_of
from services.ledger.store import audit, history, registry
from services.ledger.store.registry import ChangeSet

ReorganisationId = Annotated[Id, Path()]


class ReorganisationView(BaseModel):
    """What became of an act: how many records it changed. `known`: it was done before.

    `warnings` are for a person to look at; what they speak of is recorded.
    """

    change_set: str
    entries: int
    known: bool
    warnings: list[str] = []


def make_life_router(door: Door) -> APIRouter:
    """Make the endpoint of reorganisations."""
    router = APIRouter(
        prefix="/v1/registry", tags=["registry"], route_class=json_route(door.operator)
    )

    @router.post("/reorganisations/{change_set_id}")
    async def post_reorganisation(
        change_set_id: ReorganisationId,
        body: Act,
        authorization: Authorization = None,
        valid_from: Moment | None = None,
        reason: Reason | None = None,
    ) -> ReorganisationView:
        """Move people, split or merge households, split a grid, merge units: one dated set."""
        who = door.operator(authorization)
        said = f"{valid_from.timestamp() if valid_from else ''}{body.model_dump_json()}"
        digest = door.keys.body_mac(who.tenant_id, said.encode())
        try:
            async with door.within(who.tenant_id) as conn, conn.transaction():
                await registry.take_turn(conn, who.tenant_id)
                now = await town_now(conn, who.tenant_id)
                given = (who.tenant_id, change_set_id, who.staff, valid_from or now)
                one = ChangeSet(*given, digest, reason)
                if await _known(conn, one):
                    return ReorganisationView(change_set=change_set_id, entries=0, known=True)
                entries = await entries_of(conn, one, body, door.keys, today())
                if await record_set(conn, one, entries, now):
                    await audit.write(conn, set_recorded(one, entries, reason))
                later = await history.overtaken(conn, one, entries)
        except Faulty as error:
            zh, en = (
                "新记录有误，一条也没有记入。",
                "The new record has faults; nothing was recorded.",
            )
            raise Problem(422, "change_set_faulty", zh, en, errors=error.faults) from error
        except REFUSALS as error:
            raise conflict(error) from error
        door.relay.wake()
        return ReorganisationView(
            change_set=change_set_id,
            entries=len(entries),
            known=False,
            warnings=followed(later),
        )

    return router


async def _known(conn: Connection, one: ChangeSet) -> bool:
    """Tell whether a set was recorded, before it is read from a registry that it has changed.

    Raises:
        SetReused: its id is known with other content.
    """
    kept = await registry.digest(conn, one)
    if kept not in (None, one.digest):
        raise SetReused(one.change_set_id)
    return kept is not None
