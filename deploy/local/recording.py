"""A made-up town, recorded on a running stack through ledger's own door."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from contracts.calendar import load
from contracts.topics import department_topic
from deploy.local.calendars import line_of
from deploy.local.errors import LocalStackError
from deploy.local.keys import versions
from deploy.local.made import remember, remembered
from deploy.local.phones import Labels, labels_of_entries, labels_of_registry
from deploy.local.registered import is_recorded
from deploy.local.secrets import secrets_of
from deploy.local.seeding import TownWish, entries_of, front_end_line, post_set, set_clock
from deploy.local.state import StackState, note_tenant
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
    keys = KeyRing(secrets_of(state.data_dir).key_file)
    lines = [{"kind": e.kind, "id": e.record_id, "body": e.body} for e in entries]
    lines.append(front_end_line(keys.api_key_digest(state.api_key)))
    if calendar:
        lines.append(line_of(load()))
    # A town may be sent back to any day that is ever replayed: it was there by then.
    await post_set(ledger, token, f"seed-{town.chosen_seed}", lines, valid_from=THERE_SINCE)
    remember(state.data_dir, town)


async def seed(
    state: StackState, towns: Sequence[TownWish], clock: datetime | None = None
) -> Mapping[str, Labels]:
    """Record the towns that are not there yet, with their departments' topics; return their phones.

    Raises:
        LocalStackError: a town has no keys, a profile is impossible, or ledger or the broker
            refused something.
    """
    phones: dict[str, Labels] = {}
    key_file = secrets_of(state.data_dir).key_file
    _check_keys(key_file, towns)
    for town in towns:
        tenant = town.tenant_id
        if await is_recorded(state.dsns["ledger"], tenant):
            if remembered(state.data_dir, tenant) is None:  # its answer came too late
                remember(state.data_dir, town)
            keys = KeyRing(key_file)
            phones[tenant] = await labels_of_registry(state.dsns["ledger"], tenant, keys)
        else:
            phones[tenant] = await _record_anew(state, town, clock)
        note_tenant(state.data_dir, tenant)
    return phones


async def _record_anew(state: StackState, town: TownWish, clock: datetime | None) -> Labels:
    entries = await asyncio.to_thread(entries_of, town)
    departments = [one.record_id for one in entries if one.kind == "department"]
    topics = [department_topic(town.tenant_id, one) for one in departments]
    await apply_topics(state.kafka, topics)
    await record_town(state, town, entries, clock)
    return labels_of_entries(entries)


def _check_keys(key_file: Path, towns: Sequence[TownWish]) -> None:
    there = versions(key_file)
    lacking = [one.tenant_id for one in towns if one.tenant_id not in there]
    if lacking:
        command = " ".join(["chuishao secrets", *(f"--tenant {one}" for one in lacking)])
        raise LocalStackError(
            f"还没有密钥的镇：{'、'.join(lacking)}，什么都没有登记。请先运行 {command}，再来一次。",
            f"No keys yet for {', '.join(lacking)}; nothing was recorded. First run `{command}`, "
            "then this again.",
        )
