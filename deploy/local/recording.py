"""A made-up town, recorded on a running stack through ledger's own door."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from contracts.calendar import load
from contracts.topics import department_topic
from deploy.local.calendars import line_of
from deploy.local.made import remember
from deploy.local.phones import Labels, labels_of_entries, labels_of_registry
from deploy.local.registered import is_recorded
from deploy.local.secrets import secrets_of
from deploy.local.seeding import TownWish, entries_of, front_end_line, post_set, set_clock
from deploy.local.state import StackState
from deploy.local.topics import apply_topics
from deploy.seed.town import THERE_SINCE, Entry
from services.chassis.seal import KeyRing

OPERATOR = "operator"


async def record_town(
    state: StackState,
    town: TownWish,
    entries: Sequence[Entry],
    clock: datetime | None = None,
    *,
    calendar: bool = True,
) -> None:
    """Send a town's records as one change set, with the demo front end's key.

    Raises:
        LocalStackError: ledger refused it.
    """
    ledger, token = state.url("ledger"), state.token(town.tenant_id, OPERATOR)
    if clock is not None:
        await set_clock(ledger, token, clock)
    remember(state.data_dir, town)
    keys = KeyRing(secrets_of(state.data_dir).key_file)
    lines = [{"kind": e.kind, "id": e.record_id, "body": e.body} for e in entries]
    lines.append(front_end_line(keys.api_key_digest(state.api_key)))
    if calendar:
        lines.append(line_of(load()))
    # A town may be sent back to any day that is ever replayed: it was there by then.
    await post_set(ledger, token, f"seed-{town.chosen_seed}", lines, valid_from=THERE_SINCE)


async def seed(
    state: StackState, towns: Sequence[TownWish], clock: datetime | None = None
) -> Mapping[str, Labels]:
    """Record the towns that are not there yet, with their departments' topics; return their phones.

    Raises:
        LocalStackError: a profile is impossible, or ledger or the broker refused something.
    """
    phones: dict[str, Labels] = {}
    keys = KeyRing(secrets_of(state.data_dir).key_file)
    for town in towns:
        tenant = town.tenant_id
        if await is_recorded(state.dsns["ledger"], tenant):
            phones[tenant] = await labels_of_registry(state.dsns["ledger"], tenant, keys)
            continue
        entries = await asyncio.to_thread(entries_of, town)
        departments = [one.record_id for one in entries if one.kind == "department"]
        await apply_topics(state.kafka, [department_topic(tenant, one) for one in departments])
        await record_town(state, town, entries, clock)
        phones[tenant] = labels_of_entries(entries)
    return phones
