"""The door that every request comes through: who it is, what he may see, and how it is shown."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from services.chassis.clock import database_now
from services.chassis.postgres import Connection, Pool
from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.chassis.token import Identity, TokenCheck
from services.doors.attachment_id import check_given_out
from services.doors.who import identified
from services.routing import refusals, views
from services.routing.domain.steps import allowed_steps, asks_first
from services.routing.domain.town import Setting
from services.routing.domain.values import Actor, Case
from services.routing.hands import hands
from services.routing.store import cases, facts, handing, slots, timers, upward
from services.routing.store.cases import Kept
from services.routing.towns import Towns

_FOLLOW_UPS_MAX = 100
_WORDS = {"summary", "description"}
_MORE_WORDS = {*_WORDS, "reason"}
# What was said with steps, and when departments, or the level above, were called and answered.
_SAYING = (
    "case.step_taken.v1",
    "whistle.blown.v1",
    "whistle.refused.v1",
    "whistle.ruled.v1",
    "whistle.called_upward.v1",
    "whistle.answered.v1",
    "case.consulted.v1",
)
_SAID_MAX = 100
_ATTACHMENTS_MAX = 200


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints need."""

    pool: Pool
    towns: Towns
    keys: KeyRing
    tokens: TokenCheck
    announced: Callable[[], None]

    def who(self, authorization: str | None) -> Identity:
        return identified(self.tokens, authorization)

    async def seen(
        self,
        conn: Connection,
        who: Identity,
        case_id: UUID,
        *,
        for_update: bool = False,
        step: str | None = None,
    ) -> tuple[Kept, Setting]:
        """Read a case that this person may see, or take on by a `step` since he was asked first.

        Raises:
            Problem: 404 where there is none in the tenant, 403 where it is another unit's.
        """
        kept = await cases.get(conn, who.tenant_id, case_id, for_update=for_update)
        if kept is None:
            raise refusals.not_found()
        setting = await self.towns.setting(conn, who.tenant_id, kept.profile_version)
        case = kept.case
        path = setting.town.path(setting.lowest(case.grid, case.village))
        others = (*case.joint, *(case.call.called if case.call else ()))
        near = {*path, case.owner.unit, *(one.unit for one in others)}
        if not who.units & near and not _takes_on(case, step, actor_of(who), setting):
            called = await slots.called(conn, who.tenant_id, case_id)
            above = await upward.of_cases(conn, [(who.tenant_id, case_id)])
            units = {call.unit for calls in above.values() for call in calls}
            invited = who.department in called or bool(who.units & units)
            if not invited and not await _is_offered(conn, who, case_id):
                raise refusals.forbidden()
        return kept, setting

    async def view(
        self, conn: Connection, who: Identity, kept: Kept, setting: Setting
    ) -> views.CaseView:
        key = (kept.tenant_id, kept.case.case_id)
        clocks = await timers.clocks(conn, *key)
        called = (await slots.of_cases(conn, [key]))[key]
        calls = (await upward.of_cases(conn, [key]))[key]
        steps = allowed_steps(kept.case, actor_of(who), setting)
        more = await facts.follow_ups(conn, *key, _FOLLOW_UPS_MAX)
        follow_ups = [
            views.FollowUpView(
                reason=one.reason,
                received_at=one.received_at,
                text=self._words(kept, one.sealed, _MORE_WORDS),
                attachments=list(one.attachments),
            )
            for one in more
        ]
        said = [self._said(kept, fact) for fact in await facts.said(conn, *key, _SAYING, _SAID_MAX)]
        words = views.Words(self._words(kept, kept.sealed), follow_ups, said)
        offered = await handing.open_transfer(conn, *key)
        in_hands = hands(kept, offered, await handing.sheet_of(conn, *key))
        shown = views.case_view(kept, clocks, steps, words, called, calls, in_hands)
        shown.attachments = await facts.attachments(conn, *key, _ATTACHMENTS_MAX)
        return shown

    def _said(self, kept: Kept, fact: Mapping[str, Any]) -> views.SaidView:
        sealed = fact["body"]["sealed"]
        words = self._words(kept, sealed, set(sealed["fields"]))
        department = fact["body"].get("department")
        return views.SaidView(**{**fact, "words": words, "department": department})

    def _words(
        self, kept: Kept, sealed: Mapping[str, Any], names: set[str] = _WORDS
    ) -> dict[str, str]:
        subject, given = str(kept.case.case_id), SealedFields(**sealed)
        try:
            return self.keys.open(kept.tenant_id, subject, given, names)
        except CannotOpen as error:
            raise refusals.not_opened(kept.tenant_id, given.kid) from error

    def check_proof(self, tenant_id: str, given: Mapping[str, Any]) -> None:
        """Refuse a proof that nobody has posted in this tenant."""
        check_given_out(self.keys, tenant_id, "proof", given.get("proof", ()))

    def sealed_words(self, kept: Kept, texts: Mapping[str, str]) -> Mapping[str, object]:
        like = SealedFields(**kept.sealed)
        try:
            sealed = self.keys.seal(kept.tenant_id, str(kept.case.case_id), texts, like)
        except CannotOpen as error:
            raise refusals.not_opened(kept.tenant_id, like.kid) from error
        return {"kid": sealed.kid, "key": sealed.key, "fields": sealed.fields}


def _takes_on(case: Case, step: str | None, actor: Actor, setting: Setting) -> bool:
    """Tell whether somebody takes on a case of another's since he was asked first."""
    wanted = setting.rules.flows[case.flow].step(step or "")
    if wanted is None or not asks_first(case, wanted, setting):
        return False
    return wanted.id in allowed_steps(case, actor, setting)


async def _is_offered(conn: Connection, who: Identity, case_id: UUID) -> bool:
    """Tell whether a case is offered to somebody."""
    offered = await handing.open_transfer(conn, who.tenant_id, case_id)
    return offered is not None and offered.to.held_by(actor_of(who)) is not None


def actor_of(who: Identity) -> Actor:
    """Return who acts, as the rules see him."""
    return Actor(who.staff, who.roles, who.units, who.department)


async def handed_in(conn: Connection, towns: Towns, tenant_id: str, arrived: float) -> datetime:
    """Return the tenant's time at which the request came: our own slowness makes nobody late."""
    waited = timedelta(seconds=time.monotonic() - arrived)
    real = await database_now(conn) - waited
    known = await towns.known(conn, [tenant_id])
    return known[tenant_id].offsets.tenant_time(real)
