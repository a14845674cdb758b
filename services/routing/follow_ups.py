"""More from the reporter: kept beside his case; what he takes back goes by the flow, if it may."""

from collections.abc import Mapping, Sequence

from contracts.facts import CaseFollowedUpV1, CaseWithdrawnV1, FollowUpReason, Sealed
from services.chassis.postgres import Connection
from services.routing.domain.town import Setting
from services.routing.domain.values import Fact
from services.routing.domain.withdrawal import withdraw
from services.routing.record import Announced, announce
from services.routing.store import cases, facts, slots
from services.routing.store.cases import Kept
from services.routing.store.facts import FollowUp
from services.routing.taking import record_step


async def keep_follow_up(
    conn: Connection,
    about: Announced,
    reason: FollowUpReason,
    front_end: str,
    sealed: Sealed,
    attachments: Sequence[str] = (),
) -> None:
    """Keep a follow-up beside its case, whose lock the caller holds, and tell of it."""
    words = sealed.model_dump()
    key = (about.tenant_id, about.case_id)
    kept = FollowUp(
        about.tenant_id, about.cause, about.case_id, reason, about.at, words, attachments
    )
    await facts.keep_follow_up(conn, kept)
    seq = await cases.next_seq(conn, *key)
    data = {"reason": reason, "front_end": front_end, "sealed": words, "attachments": attachments}
    await announce(conn, [about.telling([Fact("case.follow_up_kept.v1", data)], seq)])


async def follow_up(conn: Connection, about: Announced, said: CaseFollowedUpV1) -> None:
    """Keep what a reporter adds; nobody's look at the case is outdated by it."""
    words = (said.front_end, said.sealed, said.attachments)
    await keep_follow_up(conn, about, "reporter", *words)


async def take_back(
    conn: Connection, about: Announced, kept: Kept, said: CaseWithdrawnV1, setting: Setting
) -> None:
    """End a case by its flow's step for reporters; where it has none now, keep that he asked."""
    sealed = said.sealed
    given: Mapping[str, object] = {**sealed.fields, "sealed": sealed.model_dump()}
    done = withdraw(kept.case, given, about.at, setting)
    if done is None:
        await keep_follow_up(conn, about, "withdrawal_asked", said.front_end, sealed)
        return
    key = (about.tenant_id, about.case_id)
    called = (await slots.of_cases(conn, [key]))[key]
    await record_step(conn, about, kept.case, done, called, setting)
