"""What is kept of what came in: told by its bytes, and drawn anew where it is an image."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.chassis.http import Problem
from services.intake.contents import Record, digest_of
from services.intake.domain import content_type
from services.intake.domain.content_type import Kind
from services.intake.domain.evidence import Evidence
from services.intake.settings import IntakeSettings

TAKEN = ("image/jpeg", "image/png", "image/webp", "image/gif", "application/pdf")
_REDRAW = (sys.executable, "-m", "services.intake.redraw")
_GROWN_MAX = 4  # times the largest file: packed with loss, drawn anew without, an image grows
_REDRAW_ENV = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")  # no secret of ours goes along


@dataclass(frozen=True, slots=True)
class Vetted:
    """What is to be kept, and what is known of it."""

    content: bytes
    record: Record
    evidence: Evidence


class Vetting:
    """Looks at what came in; few images are drawn anew at a time."""

    def __init__(self, settings: IntakeSettings) -> None:
        self._settings = settings
        self._redraws = asyncio.Semaphore(settings.attachment_redraws_max)
        bytes_max = settings.attachment_bytes_max * _GROWN_MAX
        self._limits = settings.attachment_pixels_max, bytes_max

    async def vetted(self, content: bytes, kind: Kind) -> Vetted:
        """Return what is to be kept.

        Raises:
            Problem: 422, an image breaks a rule or cannot be read; 503, it could not be drawn now.
        """
        told: Mapping[str, Any] = {"media_type": "application/pdf"}
        if kind == "image":
            told, content = await self._redrawn(content)
        record = Record(
            media_type=told["media_type"],
            bytes=len(content),
            sha256=digest_of(content),
            width=told.get("width"),
            height=told.get("height"),
            kept_at=datetime.now(UTC),
        )
        return Vetted(content, record, Evidence(**told.get("evidence", {})))

    async def _redrawn(self, content: bytes) -> tuple[Mapping[str, Any], bytes]:
        """Let a process of its own draw an image anew."""
        try:
            async with self._redraws, asyncio.timeout(self._settings.attachment_redraw_deadline_s):
                code, out = await _run(*self._limits, content=content)
        except OSError as error:  # it took too long, or could not be started
            zh, en = "此刻太忙，请稍后重发。", "Too busy to draw it: send it again later."
            raise Problem(503, "not_now", zh, en, {"Retry-After": "5"}) from error
        if code != 0:
            raise _refusal("image_unreadable")
        line, _, drawn = out.partition(b"\n")
        told = json.loads(line)
        if "refused" in told:
            raise _refusal(told["refused"], f"{self._settings.attachment_pixels_max:,}")
        return told, drawn


async def _run(*limits: int, content: bytes) -> tuple[int | None, bytes]:
    """Run the process, and let nothing be left of it; return its code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *_REDRAW,
        *map(str, limits),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={name: os.environ[name] for name in _REDRAW_ENV if name in os.environ},
    )
    try:
        out, _ = await process.communicate(content)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out


def kind_of(content: bytes) -> Kind:
    """Tell what came in by its bytes, and refuse what is not taken.

    Raises:
        Problem: 422 for nothing, or a PDF that was cut off; 415 for another type.
    """
    if not content:
        zh, en = "正文是空的，请把文件本身作为正文发送。", "Empty body: send the file as the body."
        raise Problem(422, "attachment_empty", zh, en, field="body")
    kind = content_type.kind_of(content)
    if kind is None:
        found = content_type.name_of(content)
        zh = f"只收 JPEG、PNG、WebP、GIF 图片和 PDF（按内容判断，收到的是 {found}）。"
        en = f"Only JPEG, PNG, WebP, GIF and PDF are taken, by their content; this is: {found}."
        if found == "heic":
            zh += "苹果手机请在“设置→相机→格式”选“兼容性最佳”，或转成 JPEG 再传。"
            en += " On an iPhone choose Settings, Camera, Formats, Most Compatible, or send a JPEG."
        if found == "multipart":
            zh += "请把文件本身作为正文发送，不要用表单。"
            en += " Send the file itself as the body, not a form."
        raise Problem(
            415, "attachment_type_not_taken", zh, en, field="body", found=found, expected=TAKEN
        )
    if kind == "pdf" and not content_type.is_whole_pdf(content):
        zh, en = (
            "PDF 不完整，请重新导出后再传。",
            "The PDF is cut off: export it and send it again.",
        )
        raise Problem(422, "pdf_unreadable", zh, en, field="body")
    return kind


def _refusal(code: str, limit: str = "") -> Problem:
    zh, en = _REFUSALS[code]
    return Problem(422, code, zh.format(limit), en.format(limit), field="body")


_REFUSALS = {
    "image_unreadable": (
        "图片打不开：可能不完整或已损坏，请重新拍照或导出后再传。",
        "The image cannot be read: it may be cut off or damaged. Take or export it again.",
    ),
    "image_too_many_pixels": (
        "图片超过 {} 像素，请缩小后再传。",
        "The image has more than {} pixels: send a smaller one.",
    ),
    "image_too_large_drawn": (
        "图片展开后太大，请缩小，或存成 JPEG 再传。",
        "Drawn anew the image is too large: send a smaller one, or a JPEG.",
    ),
    "image_animated": (
        "不收动图，请传一张静止的图片。",
        "Moving images are not taken: send a still one.",
    ),
}
