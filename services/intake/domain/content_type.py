"""What an attachment is, told by its first bytes: neither its name nor a header is believed."""

from typing import Literal

Kind = Literal["image", "pdf"]

HEAD_BYTES = 512  # as many are looked at

_TAKEN: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "image"),
    (b"\x89PNG\r\n\x1a\n", "image"),
    (b"GIF87a", "image"),
    (b"GIF89a", "image"),
    (b"%PDF-", "pdf"),
)
_NAMED: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "zip"),  # docx, xlsx and apk too
    (b"PK\x05\x06", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"Rar!", "rar"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"ID3", "audio"),
    (b"#!AMR", "audio"),
    (b"\xd0\xcf\x11\xe0", "doc"),
    (b"--", "multipart"),
)
_HEIF = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif")
_MARKUP = (b"<svg", b"<?xml", b"<!doctype", b"<html", b"<script")
_EOF_BYTES = 1_024  # a PDF's end stands within so many of its last bytes


def kind_of(content: bytes) -> Kind | None:
    """Return what we take it for; None is nothing that we take."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image"
    return next((kind for magic, kind in _TAKEN if content.startswith(magic)), None)


def name_of(content: bytes) -> str:
    """Name what is not taken, as far as it can be told."""
    if content[4:8] == b"ftyp":
        return "heic" if content[8:12] in _HEIF else "video"
    text = content[:HEAD_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_MARKUP):
        return "svg" if b"<svg" in text else "markup"
    return next((name for magic, name in _NAMED if content.startswith(magic)), "unknown")


def is_whole_pdf(content: bytes) -> bool:
    """Tell whether a PDF has come to its end."""
    return b"%%EOF" in content[-_EOF_BYTES:]
