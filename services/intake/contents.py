"""Where attachments are kept: one sealed object each, on disk or S3, whole or not at all.

An object is a line of JSON, then `nonce | ciphertext | tag` (AES-256-GCM; associated data
`tenant|id|content`) under a data key of its own. That key and the evidence are sealed in the line
as a case's words are. Beside it an empty object for each front end that has posted it. What is
hidden lies under another name, and is as if it were not there.
"""

import asyncio
import os
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote, urlsplit

import obstore
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store
from pydantic import AwareDatetime, BaseModel, ConfigDict, TypeAdapter, ValidationError

from contracts.facts import Sealed
from services.chassis.seal import KeyRing, SealedFields
from services.intake.domain.evidence import Evidence
from services.intake.settings import IntakeSettings

if TYPE_CHECKING:
    from obstore.store import S3Config

_NONCE_BYTES = 12
_CONFIG = TypeAdapter(dict[str, str])
_KEY = "content_key"
_EVIDENCE = frozenset(Evidence.__dataclass_fields__)


class StoreDown(ConnectionError):  # noqa: N818 - a state
    """The store of attachments does not answer, or has no room: not now."""


class Damaged(ValueError):  # noqa: N818 - a state
    """What is kept does not open: it was altered, or sealed with other keys."""


class Record(BaseModel):
    """What is known of an attachment; `bytes` and `sha256` are of what is kept and handed out."""

    model_config = ConfigDict(frozen=True)

    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    kept_at: AwareDatetime


class _Line(Record):
    sealed: Sealed


class Contents:
    """The store. What it keeps is found by tenant and id alone.

    `attachment_url`: `file:///directory`, or `s3://bucket/prefix` with what `attachment_s3_file`
    tells, as obstore names it: `endpoint`, `region`, `access_key_id`, `secret_access_key`, …
    """

    def __init__(self, settings: IntakeSettings, keys: KeyRing) -> None:
        self._url, self._s3_file = settings.attachment_url, settings.attachment_s3_file
        self._deadline_s, self._keys = settings.attachment_store_deadline_s, keys

    async def put(
        self, tenant_id: str, id_: str, content: bytes, record: Record, evidence: Evidence
    ) -> None:
        """Keep one, sealed.

        Raises:
            StoreDown: it is not kept, nor is a part of it.
            CannotOpen, OSError: the tenant's keys are not to be had.
        """
        body = await asyncio.to_thread(self._sealed, tenant_id, id_, content, record, evidence)
        async with self._asked():
            await obstore.put_async(self._store, _path(tenant_id, id_), body, use_multipart=False)

    async def get(self, tenant_id: str, id_: str) -> tuple[Record, Evidence, bytes] | None:
        """Return one, opened; None: it is not kept.

        Raises:
            StoreDown: the store does not answer.
            Damaged: it was altered, or the keys are not those that sealed it.
        """
        async with self._asked():
            try:
                found = await obstore.get_async(self._store, _path(tenant_id, id_))
            except FileNotFoundError:
                return None
            body = bytes(await found.bytes_async())
        return await asyncio.to_thread(self._opened, tenant_id, id_, body)

    async def note_poster(self, tenant_id: str, id_: str, front_end: str) -> None:
        """Remember that this front end has posted it."""
        async with self._asked():
            await obstore.put_async(self._store, _by(tenant_id, id_, front_end), b"")

    async def was_posted_by(self, tenant_id: str, id_: str, front_end: str) -> bool:
        return await self._is_there(_by(tenant_id, id_, front_end))

    async def is_kept(self, tenant_id: str, id_: str) -> bool:
        return await self._is_there(_path(tenant_id, id_))

    async def _is_there(self, path: str) -> bool:
        async with self._asked():
            try:
                await obstore.head_async(self._store, path)
            except FileNotFoundError:
                return False
            return True

    async def hide(self, tenant_id: str, id_: str) -> None:
        await self._rename(_path(tenant_id, id_), _hidden(tenant_id, id_))

    async def show(self, tenant_id: str, id_: str) -> None:
        await self._rename(_hidden(tenant_id, id_), _path(tenant_id, id_))

    async def _rename(self, path: str, to: str) -> None:
        async with self._asked():
            with suppress(FileNotFoundError):
                await obstore.rename_async(self._store, path, to)

    async def remove(self, tenant_id: str, id_: str) -> None:
        """Remove what is hidden, and who has posted it."""
        async with self._asked():
            marks = await obstore.list(self._store, _by(tenant_id, id_)).collect_async()
            for path in (*(mark["path"] for mark in marks), _hidden(tenant_id, id_)):
                with suppress(FileNotFoundError):
                    await obstore.delete_async(self._store, path)

    @asynccontextmanager
    async def _asked(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._deadline_s):
                yield
        except (OSError, BaseError, ValidationError) as error:
            # The first line tells what failed; what follows would fill the log.
            raise StoreDown(str(error).partition("\n")[0] or type(error).__name__) from error

    @cached_property
    def _store(self) -> LocalStore | S3Store:
        """Open the store when it is first needed: reports are taken without it."""
        parts = urlsplit(self._url)
        if parts.scheme == "file":
            place = Path(unquote(parts.path))
            place.mkdir(parents=True, exist_ok=True)
            return LocalStore(place, automatic_cleanup=True)
        config = _CONFIG.validate_json(self._s3_file.read_bytes()) if self._s3_file else {}
        each_s, plain = timedelta(seconds=self._deadline_s / 2), "http://"
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=cast("S3Config", config),
            client_options={
                "timeout": each_s,
                "connect_timeout": each_s,
                "allow_http": config.get("endpoint", "").startswith(plain),
            },
            retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=self._deadline_s)},
        )

    def _sealed(
        self, tenant_id: str, id_: str, content: bytes, record: Record, evidence: Evidence
    ) -> bytes:
        key, nonce = os.urandom(32), os.urandom(_NONCE_BYTES)
        seen = {name: str(v) for name, v in asdict(evidence).items() if v is not None}
        texts = {_KEY: b64encode(key).decode(), **seen}
        sealed = Sealed(**asdict(self._keys.seal(tenant_id, id_, texts)))
        line = _Line(**record.model_dump(), sealed=sealed)
        head = line.model_dump_json(exclude_none=True).encode() + b"\n" + nonce
        return head + AESGCM(key).encrypt(nonce, content, _place(tenant_id, id_))

    def _opened(self, tenant_id: str, id_: str, body: bytes) -> tuple[Record, Evidence, bytes]:
        head, _, rest = body.partition(b"\n")
        try:
            line = _Line.model_validate_json(head)
            sealed = SealedFields(**line.sealed.model_dump())
            texts = self._keys.open(tenant_id, id_, sealed, {_KEY, *_EVIDENCE})
            nonce, cipher = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
            key = b64decode(texts.pop(_KEY))
            content = AESGCM(key).decrypt(nonce, cipher, _place(tenant_id, id_))
        except (ValueError, KeyError, InvalidTag) as error:  # CannotOpen is the first, too
            raise Damaged(f"attachment {id_} does not open") from error
        lat, lon = (float(texts[name]) if name in texts else None for name in ("lat", "lon"))
        record = Record(**line.model_dump(exclude={"sealed"}))
        return record, Evidence(texts.get("taken_at"), lat, lon), content


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a content, in hexadecimal."""
    return sha256(content).hexdigest()


def _place(tenant_id: str, id_: str) -> bytes:
    return f"{tenant_id}|{id_}|content".encode()


def _path(tenant_id: str, id_: str) -> str:
    return f"{tenant_id}/{id_[:2]}/{id_}"


def _hidden(tenant_id: str, id_: str) -> str:
    return f"{_path(tenant_id, id_)}.gone"


def _by(tenant_id: str, id_: str, front_end: str = "") -> str:
    return f"{_path(tenant_id, id_)}.by/{front_end}"
