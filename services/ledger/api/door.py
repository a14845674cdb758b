"""What every endpoint needs, and who may pass."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from services.chassis.outbox import Relay
from services.chassis.postgres import DOOR_WAIT_S, Connection, Pool
from services.chassis.seal import KeyRing
from services.chassis.token import Identity, TokenCheck
from services.doors.who import identified
from services.ledger.domain.access import OPERATOR, Object, Subject, Verb, allow
from services.ledger.guard import passed
from services.ledger.settings import LedgerSettings
from services.ledger.store import wall

__all__ = ["OPERATOR", "Door"]


@dataclass(frozen=True, slots=True)
class Door:
    """What the endpoints need."""

    settings: LedgerSettings
    pool: Pool
    keys: KeyRing
    tokens: TokenCheck
    relay: Relay

    def who(self, authorization: str | None) -> Identity:
        return identified(self.tokens, authorization)

    def within(self, tenant_id: str) -> AbstractAsyncContextManager[Connection]:
        """Take a connection that sees and writes what is this tenant's."""
        return wall.within(self.pool, tenant_id, DOOR_WAIT_S)

    def operator(self, authorization: str | None, verb: Verb = "change") -> Identity:
        """Let pass whoever may change or erase: no right of a profile does."""
        who = self.who(authorization)
        subject = Subject(who.tenant_id, who.roles, who.units)
        passed(allow(subject, verb, Object(who.tenant_id, "change_set", whole=True)))
        return who
