"""ACS3-HMAC-SHA256 as the provider checks it.

Pure: no clock, no network and no memory of earlier requests; the time is an argument.
"""

import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from urllib.parse import parse_qsl, quote

from deploy.sandbox.refusal import Refusal

ALGORITHM = "ACS3-HMAC-SHA256"
SKEW_MAX = timedelta(minutes=15)
QUERY_FIELDS_MAX = 100
NONCE_LENGTH_MAX = 256
DATE_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
MANDATORY = (
    "host",
    "x-acs-action",
    "x-acs-content-sha256",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-version",
)
# The real gateway takes no blank after the commas; a signer that adds one must learn it here.
AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^,\s]+),SignedHeaders=([^,\s]+),Signature=([0-9a-f]{{64}})"
)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """An HTTP request as it came over the wire; `query` is the undecoded text after the `?`."""

    method: str
    path: str
    query: str
    headers: Mapping[str, Sequence[str]]  # lower-case name -> each value that came
    body: bytes

    def header(self, name: str) -> str:
        """One name sent several times counts as its trimmed values, sorted and joined."""
        return ",".join(sorted(value.strip() for value in self.headers.get(name, ())))


@dataclass(frozen=True, slots=True)
class Credential:
    """What the Authorization header claims."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    signature: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has proved to be calling, and the nonce that must not be seen a second time."""

    access_key_id: str
    nonce: str


def verify(request: SignedRequest, secrets: Mapping[str, str], now: datetime) -> Caller | Refusal:
    """Name the caller, or say what is wrong in the order in which the real gateway does."""
    claimed = read_credential(request)
    if isinstance(claimed, Refusal):
        return claimed
    if claimed.access_key_id not in secrets:
        return Refusal(
            "InvalidAccessKeyId.NotFound",
            "Specified access key is not found.",
            HTTPStatus.NOT_FOUND,
        )
    for check in CHECKS:
        refusal = check(request, claimed, now)
        if refusal is not None:
            return refusal
    refusal = signature_refusal(request, claimed, secrets[claimed.access_key_id])
    if refusal is not None:
        return refusal
    return Caller(claimed.access_key_id, request.header("x-acs-signature-nonce"))


def read_credential(request: SignedRequest) -> Credential | Refusal:
    """Split the Authorization header; only this one signing method is spoken."""
    header = request.header("authorization")
    if not header:
        return _bad("MissingAccessKeyId", "AccessKeyId is mandatory for this action.")
    match = AUTHORIZATION.fullmatch(header)
    if match is None:
        return _bad(
            "IncompleteSignature",
            f"Authorization must read '{ALGORITHM} "
            "Credential=..,SignedHeaders=..,Signature=<64 lower-case hex digits>'.",
        )
    return Credential(match[1], tuple(match[2].split(";")), match[3])


def mandatory_refusal(request: SignedRequest, claimed: Credential, now: datetime) -> Refusal | None:
    """A header that the signature must cover cannot be left out."""
    del claimed, now
    for name in MANDATORY:
        if not request.header(name):
            return _bad("MissingParameter", f"The header {name} is mandatory for this action.")
    if len(request.header("x-acs-signature-nonce")) > NONCE_LENGTH_MAX:
        return _bad("InvalidParameter", "x-acs-signature-nonce is too long.")
    return None


def coverage_refusal(request: SignedRequest, claimed: Credential, now: datetime) -> Refusal | None:
    """SignedHeaders decides what is signed: it must be in order and leave nothing of ours out."""
    del now
    names = claimed.signed_headers
    if list(names) != sorted(set(names)) or any(name != name.lower() for name in names):
        return _bad("IncompleteSignature", "SignedHeaders must be lower-case, sorted, each once.")
    absent = [name for name in names if name not in request.headers]
    if absent:
        return _bad("IncompleteSignature", f"SignedHeaders names absent header {absent[0]}.")
    ours = {"host", *(name for name in request.headers if name.startswith("x-acs-"))}
    unsigned = sorted(ours - set(names))
    if unsigned:
        return _bad("IncompleteSignature", f"The header {unsigned[0]} must be signed.")
    return None


def date_refusal(request: SignedRequest, claimed: Credential, now: datetime) -> Refusal | None:
    """A request older or younger than a quarter of an hour may be somebody's recording."""
    del claimed
    try:
        sent_at = datetime.strptime(request.header("x-acs-date"), DATE_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return _bad("InvalidTimeStamp.Format", "x-acs-date must read yyyy-MM-ddTHH:mm:ssZ.")
    if abs(now - sent_at) > SKEW_MAX:
        return _bad("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
    return None


Check = Callable[[SignedRequest, Credential, datetime], Refusal | None]
CHECKS: tuple[Check, ...] = (mandatory_refusal, coverage_refusal, date_refusal)


def signature_refusal(request: SignedRequest, claimed: Credential, secret: str) -> Refusal | None:
    """Compare in constant time; the message shows our side, as the real gateway's does."""
    try:
        canonical = canonical_request(request, claimed.signed_headers)
    except ValueError:
        return _bad("InvalidParameter", "The query string is not well-formed UTF-8, or too long.")
    to_sign = string_to_sign(canonical)
    if not hmac.compare_digest(sign(to_sign, secret), claimed.signature):
        return _bad(
            "SignatureDoesNotMatch",
            "Specified signature is not matched with our calculation. "
            f"server CanonicalRequest is [{canonical}], server StringToSign is [{to_sign}]",
        )
    if request.header("x-acs-content-sha256") != sha256(request.body).hexdigest():
        return _bad("SignatureDoesNotMatch", "x-acs-content-sha256 is not the hash of the body.")
    return None


def canonical_request(request: SignedRequest, signed_headers: Sequence[str]) -> str:
    """The text both sides hash: it covers exactly the headers that SignedHeaders names."""
    lines = [f"{name}:{request.header(name)}\n" for name in signed_headers]
    return "\n".join(
        (
            request.method,
            request.path,
            canonical_query(request.query),
            "".join(lines),
            ";".join(signed_headers),
            sha256(request.body).hexdigest(),
        )
    )


def canonical_query(query: str) -> str:
    """Decode, sort by name, encode anew: how the client wrote a blank must not matter."""
    pairs = sorted(read_query(query))
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in pairs)


def read_query(query: str) -> list[tuple[str, str]]:
    """Each field with its value, empty ones too.

    Raises:
        ValueError: if it is no UTF-8 or has too many fields.
    """
    return parse_qsl(
        query, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX
    )


def string_to_sign(canonical: str) -> str:
    return f"{ALGORITHM}\n{sha256(canonical.encode()).hexdigest()}"


def sign(to_sign: str, secret: str) -> str:
    return hmac.new(secret.encode(), to_sign.encode(), sha256).hexdigest()


def _bad(code: str, message: str) -> Refusal:
    return Refusal(code, message, HTTPStatus.BAD_REQUEST)
