"""The envelope of every fact: CloudEvents 1.0 in binary mode on Kafka.

The attributes travel as record headers (`ce_*`), the body is the fact's JSON alone, and the
record's key is `tenant|subject`: one subject, one order. Source: CloudEvents 1.0.2, Kafka
protocol binding, section 3.2; `sequence` and `partitionkey` are its documented extensions,
`tenant` and `bodymac` are ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID, uuid5

from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

# The root of every derived id. Never change it: the ids of all cases hang from it.
NAMESPACE = UUID("6f1d5c0e-3a0b-5f5e-9c1a-c71f5a0ca5e5")

CONTENT_TYPE = "application/json"
_TIME: TypeAdapter[datetime] = TypeAdapter(AwareDatetime)
_REQUIRED = ("ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_tenant")


class Unreadable(ValueError):  # noqa: N818 - it is what the record is
    """A record that breaks the contract. The text says which part and never repeats a body."""


class Fact(BaseModel):
    """The body of a fact: frozen; readers ignore fields that a newer writer added."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )
    TYPE: ClassVar[str]


@dataclass(frozen=True, slots=True)
class Event:
    """A fact together with its CloudEvents attributes.

    `occurred_at` is the tenant's time. `seq` counts the facts of one subject from 1; 0 where the
    producer keeps no count (intake). `body_mac` tells two bodies under one id apart.
    """

    event_id: UUID
    tenant_id: str
    subject_id: UUID
    occurred_at: datetime
    source: str
    data: Fact
    seq: int = 0
    body_mac: str = ""
    traceparent: str = ""

    @property
    def key(self) -> bytes:
        return subject_key(self.tenant_id, self.subject_id)

    @property
    def body(self) -> bytes:
        return self.data.model_dump_json(exclude_none=True).encode()

    @property
    def headers(self) -> dict[str, str]:
        """The record headers; the content type is part of them."""
        headers = {
            "ce_specversion": "1.0",
            "ce_id": str(self.event_id),
            "ce_type": self.data.TYPE,
            "ce_source": self.source,
            "ce_subject": str(self.subject_id),
            "ce_time": self.occurred_at.isoformat(timespec="milliseconds"),
            "ce_tenant": self.tenant_id,
            "content-type": CONTENT_TYPE,
        }
        if self.seq:
            headers["ce_sequence"] = str(self.seq)
        if self.body_mac:
            headers["ce_bodymac"] = self.body_mac
        if self.traceparent:
            headers["traceparent"] = self.traceparent
        return headers


def subject_key(tenant_id: str, subject_id: UUID) -> bytes:
    """Return the Kafka key of a subject: `tenant|subject`."""
    return f"{tenant_id}|{subject_id}".encode()


def case_id(tenant_id: str, source: str, idempotency_key: str) -> UUID:
    """Derive a case's id: the same key from the same front end is the same case, for ever."""
    return uuid5(NAMESPACE, f"{tenant_id}|{source}|{idempotency_key}")


def effect_id(cause: UUID, effect: str) -> UUID:
    """Derive an effect's id from its cause: handled again, the same cause makes the same id."""
    return uuid5(cause, effect)


def read_text(headers: Mapping[str, bytes]) -> dict[str, str]:
    """Return the headers as text.

    Raises:
        Unreadable: a header is not UTF-8, or a required attribute is missing.
    """
    try:
        text = {name: value.decode() for name, value in headers.items()}
    except UnicodeDecodeError as error:
        raise Unreadable("a header is not UTF-8") from error
    missing = [name for name in _REQUIRED if not text.get(name)]
    if missing:
        raise Unreadable(f"missing header: {', '.join(missing)}")
    return text


def read_body(model: type[Fact], body: bytes | None) -> Fact:
    """Parse one body.

    Raises:
        Unreadable: it is empty, not JSON, or not of this model; the first fault is named.
    """
    try:
        return model.model_validate_json(body or b"")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Unreadable(f"{model.TYPE}: {where}: {first['msg']}") from error


def read_event(
    known: Mapping[str, type[Fact]], headers: Mapping[str, bytes], body: bytes | None
) -> Event | None:
    """Turn a record into an event; `None` is a fact of a kind that this reader does not know.

    Raises:
        Unreadable: headers or body break the contract.
    """
    text = read_text(headers)
    model = known.get(text["ce_type"])
    if model is None:
        return None
    try:
        return Event(
            event_id=UUID(text["ce_id"]),
            tenant_id=text["ce_tenant"],
            subject_id=UUID(text["ce_subject"]),
            occurred_at=_TIME.validate_python(text["ce_time"]),
            source=text["ce_source"],
            data=read_body(model, body),
            seq=int(text.get("ce_sequence", "0")),
            body_mac=text.get("ce_bodymac", ""),
            traceparent=text.get("traceparent", ""),
        )
    except Unreadable:
        raise
    except ValueError as error:  # an id, a time or a number that is none
        raise Unreadable(f"{text['ce_type']}: a header has the wrong form") from error
