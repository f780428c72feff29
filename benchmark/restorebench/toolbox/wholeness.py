"""Does an image file end too early? Told from a few bytes, so that planning can ask it of every file."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325  # TIFF tags


def may_be_truncated(path: Path, kind: str, pixels_end: int = 0) -> bool:
    """Tell whether a file seems to lack its end; one that does may still be whole.

    kind: format, as Pillow names it. pixels_end: the `tiff_end` of a TIFF.

    Raises:
        OSError: the file may not be read.
    """
    if kind == "TIFF":
        return pixels_end > path.stat().st_size
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if kind in {"JPEG", "MPO"}:
            file.seek(max(0, size - 2))
            return file.read() != b"\xff\xd9"  # the end-of-image marker
        file.seek(0)
        if kind == "PNG":
            return _png_lacks_end(file, size)
        head = file.read(8)
        if kind == "WEBP":
            return len(head) < 8 or struct.unpack("<4xI", head)[0] + 8 > size
        return len(head) < 6 or struct.unpack("<2xI", head[:6])[0] > size  # BMP


def _png_lacks_end(file: BinaryIO, size: int) -> bool:
    """Go from chunk to chunk: length, name, data, checksum."""
    place = 8
    while place + 12 <= size:
        file.seek(place)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"IEND":
            return False
        place += length + 12
    return True


def tiff_end(tags: Mapping[int, Any]) -> int:  # Any: a tag holds numbers, texts or bytes
    """Return where the last strip or tile of a TIFF ends, by its tags."""
    starts = tags.get(_STRIPS) or tags.get(_TILES) or ()
    sizes = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES) or ()
    return max((start + size for start, size in zip(starts, sizes, strict=False)), default=0)
