"""Personal texts of a record as a page shows them: masked, and compared without being shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.chassis.seal import CannotOpen, KeyRing, SealedFields
from services.ledger.domain.masks import HIDDEN, masked

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens with the tenants' keys."""

    keys: KeyRing

    def texts(self, tenant_id: str, record_id: str, body: Body, *names: str) -> dict[str, str]:
        """Return some personal texts of a record in the clear, or all; never for an answer."""
        if not body.get("sealed"):
            return {}
        sealed = SealedFields(**body["sealed"])
        wanted = set(names or sealed.fields)
        try:
            return self.keys.open(tenant_id, record_id, sealed, wanted)
        except CannotOpen:  # its key is gone: there is nothing left to show
            return dict.fromkeys(wanted.intersection(sealed.fields), HIDDEN)

    def masked(self, tenant_id: str, record_id: str, body: Body, *names: str) -> dict[str, str]:
        """Return some personal texts of a record as they are shown, or all."""
        return masked(self.texts(tenant_id, record_id, body, *names))

    def shown(self, tenant_id: str, record_id: str, body: Body) -> dict[str, Any]:
        """Return a record as it is shown: what is sealed is masked."""
        plain = {name: value for name, value in body.items() if name != "sealed"}
        return {**plain, **self.masked(tenant_id, record_id, body)}
