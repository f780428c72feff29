"""Does an image file end too early? Told from a few bytes, so that planning can ask it of every file."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325  # TIFF tags


def may_be_truncated(path: Path, image: Any) -> bool:  # Any: Pillow's per-format attributes
    """Tell whether a file seems to lack its end, by its format; one that does may still be whole.

    image: the file, opened by Pillow and not decoded.
    """
    if image.format == "TIFF":
        return _tiff_end(image.tag_v2) > path.stat().st_size
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if image.format in {"JPEG", "MPO"}:
            file.seek(max(0, size - 2))
            return file.read() != b"\xff\xd9"  # the end-of-image marker
        file.seek(0)
        if image.format == "PNG":
            return _png_lacks_end(file, size)
        head = file.read(8)
        if image.format == "WEBP":
            return len(head) < 8 or struct.unpack("<4xI", head)[0] + 8 > size
        return len(head) < 6 or struct.unpack("<2xI", head[:6])[0] > size  # BMP


def _png_lacks_end(file: Any, size: int) -> bool:
    """Go from chunk to chunk: length, name, data, checksum."""
    place = 8
    while place + 12 <= size:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"IEND":
            return False
        place += length + 12
    return True


def _tiff_end(tags: Any) -> int:
    """Return where the last strip or tile ends."""
    starts = tags.get(_STRIPS) or tags.get(_TILES) or ()
    sizes = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES) or ()
    return max((start + size for start, size in zip(starts, sizes, strict=False)), default=0)
