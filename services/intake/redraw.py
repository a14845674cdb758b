"""Draws one image anew: run as a process of its own, since a hostile file may bring it down.

`python -m services.intake.redraw PIXELS_MAX BYTES_MAX`, the file on standard input. Standard
output: a line of JSON, `{"refused": code}` or `{"media_type", "width", "height", "evidence"}`, then
the new file.
Whatever else happens to it means that the image cannot be read. Only pixels go over: no EXIF, no
comment, no profile, nothing behind the image's end.
"""

import io
import json
import resource
import sys
from dataclasses import asdict
from typing import Any

from PIL import ExifTags, Image, ImageOps

from services.intake.domain.evidence import read_evidence

FORMATS = ("JPEG", "PNG", "GIF", "WEBP")
MEMORY_BYTES_MAX = 1_500_000_000
CPU_S_MAX = 30
_JPEG_QUALITY = 88
_PNG_LEVEL = 4  # the default, 6, takes twice as long for a few per cent


class Refused(Exception):  # noqa: N818 - what it is
    """The image breaks a rule, by name."""


def redrawn(content: bytes, pixels_max: int, bytes_max: int) -> tuple[dict[str, Any], bytes]:
    """Return what an image tells, and the image drawn anew.

    Raises:
        Refused: it is too large, as it came or drawn anew, or moves.
        Exception: it cannot be read.
    """
    try:
        image = Image.open(io.BytesIO(content), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise Refused("image_too_many_pixels") from error
    if image.width * image.height > pixels_max:
        raise Refused("image_too_many_pixels")
    # Phones put a second, smaller view behind a JPEG (MPO): that one does not move.
    if image.format != "MPO" and getattr(image, "is_animated", False):
        raise Refused("image_animated")
    exif = image.getexif()
    evidence = read_evidence(
        exif.get_ifd(ExifTags.IFD.Exif), dict(exif.get_ifd(ExifTags.IFD.GPSInfo))
    )
    photo = image.format in ("JPEG", "MPO") or (
        image.format == "WEBP" and not image.has_transparency_data
    )
    image.load()
    mode = "RGBA" if image.has_transparency_data and not photo else "RGB"
    mode = "L" if image.mode in ("1", "L") and mode == "RGB" else mode
    drawn = ImageOps.exif_transpose(image).convert(mode)
    drawn.info = {}
    out = io.BytesIO()
    if photo:
        drawn.save(out, "JPEG", quality=_JPEG_QUALITY)
    else:
        drawn.save(out, "PNG", compress_level=_PNG_LEVEL)
    if out.tell() > bytes_max:
        raise Refused("image_too_large_drawn")
    told = {
        "media_type": "image/jpeg" if photo else "image/png",
        "width": drawn.width,
        "height": drawn.height,
        "evidence": asdict(evidence),
    }
    return told, out.getvalue()


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        told, drawn = redrawn(sys.stdin.buffer.read(), *map(int, sys.argv[1:]))
    except Refused as refused:
        told, drawn = {"refused": str(refused)}, b""
    sys.stdout.buffer.write(json.dumps(told).encode() + b"\n" + drawn)


if __name__ == "__main__":
    main()
