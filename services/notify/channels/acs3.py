"""ACS3-HMAC-SHA256, the signature of Aliyun's gateways. Pure: date and nonce are arguments.

Each call carries its fields in the query string and an empty body; what is signed is what is
sent, byte for byte.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from urllib.parse import quote

_ALGORITHM = "ACS3-HMAC-SHA256"
_EMPTY_BODY = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class AccessKey:
    """An account's key; the secret stays out of `repr`."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True)  # without slots, for what is cached
class Call:
    """One call of an API. `date` reads `yyyy-MM-ddTHH:mm:ssZ`; a nonce is used once."""

    host: str
    action: str
    version: str
    fields: Mapping[str, str] = field(repr=False)
    date: str
    nonce: str

    @cached_property
    def query(self) -> str:
        """The canonical query string: sorted by name, only `A-Za-z0-9-_.~` bare."""
        pairs = sorted(self.fields.items())
        return "&".join(f"{quote(name, safe='~')}={quote(text, safe='~')}" for name, text in pairs)


def signed_headers(call: Call, key: AccessKey) -> dict[str, str]:
    """Return the headers of a POST to `/`, its authorization included."""
    headers = {
        "host": call.host,
        "x-acs-action": call.action,
        "x-acs-content-sha256": _EMPTY_BODY,
        "x-acs-date": call.date,
        "x-acs-signature-nonce": call.nonce,
        "x-acs-version": call.version,
    }
    names = ";".join(headers)  # in order already
    lines = "".join(f"{name}:{text}\n" for name, text in headers.items())
    canonical = f"POST\n/\n{call.query}\n{lines}\n{names}\n{_EMPTY_BODY}"
    to_sign = f"{_ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(key.secret.encode(), to_sign.encode(), sha256).hexdigest()
    # The gateway takes no blank after the commas.
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={key.id},SignedHeaders={names},Signature={signature}"
    )
    return headers
