"""Files as front ends post them, good ones and hostile ones, made up in memory."""

import io
import json
import random
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

GPS = {1: "N", 2: (37.0, 45.0, 30.5), 3: "E", 4: (118.0, 22.0, 3.0)}
TAKEN_AT = "2025:03:03 10:00:00"
SECRET = "王小明住这里"
SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 64
PDF = b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\ntrailer <</Root 1 0 R>>\n%%EOF\n"


def image(kind: str = "JPEG", size: tuple[int, int] = (40, 30), **more: Any) -> bytes:
    """Return a picture with something to see, and words where nobody looks for them."""
    drawn = Image.linear_gradient("L").resize(size).convert("RGB")
    out = io.BytesIO()
    drawn.save(out, kind, **more)
    return out.getvalue()


def photo(gps: dict[int, Any] | None = None, taken_at: str = TAKEN_AT, **more: Any) -> bytes:
    """Return a photo as a phone makes it: turned, with time, place and words in its tags."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.ImageDescription] = SECRET.encode().decode("latin-1")
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken_at
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(GPS if gps is None else gps)
    return image("JPEG", exif=exif, comment=SECRET.encode(), **more)


def screenshot() -> bytes:
    """Return a PNG with words beside its pixels."""
    said = PngImagePlugin.PngInfo()
    said.add_itxt("Comment", SECRET)
    return image("PNG", pnginfo=said)


def growing_webp(size: tuple[int, int] = (700, 700)) -> bytes:
    """Return a picture packed with loss that takes thirty times as much without."""
    noise = Image.frombytes("RGBA", (160, 160), random.Random(1).randbytes(160 * 160 * 4))
    out = io.BytesIO()
    noise.resize(size, Image.Resampling.BICUBIC).save(out, "WEBP", quality=0, alpha_quality=0)
    return out.getvalue()


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    out = io.BytesIO()
    frames[0].save(out, kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def huge_png(width: int = 10_000, height: int = 10_000) -> bytes:
    """Return a PNG of 100 megapixels in some twelve kilobytes."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width // 8 + 1) * height), 9)
    parts = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def stuffed_png() -> bytes:
    """Return a small PNG whose text unfolds to 64 megabytes."""
    plain = image("PNG")
    text = _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"\0" * 64_000_000, 9))
    return plain[:33] + text + plain[33:]  # behind IHDR


def _chunk(name: bytes, data: bytes) -> bytes:
    checked = name + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def zip_bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("photo.jpg", b"\0" * 50_000_000)
    return out.getvalue()


def s3_file(place: Path, endpoint: str) -> Path:
    """Write the file by which an S3 is found and entered."""
    keys = {"access_key_id": "someone", "secret_access_key": "something", "region": "us-east-1"}
    place.write_text(json.dumps({"endpoint": endpoint, **keys}))
    return place
