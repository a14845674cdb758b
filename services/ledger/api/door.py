"""What every endpoint needs, and who may pass."""

from dataclasses import dataclass

from services.chassis.http import Problem
from services.chassis.outbox import Relay
from services.chassis.postgres import Pool
from services.chassis.seal import KeyRing
from services.chassis.token import Identity, TokenCheck
from services.doors.who import identified
from services.ledger.settings import LedgerSettings

OPERATOR = "operator"


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

    def operator(self, authorization: str | None) -> Identity:
        who = self.who(authorization)
        if OPERATOR not in who.roles:
            zh, en = "只有运维人员可以这样做。", "Only an operator may do this."
            raise Problem(403, "operator_only", zh, en)
        return who
