"""Does an image file end too early, or never begin? Told from a few bytes, so that planning can ask every file."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325  # TIFF tags


_MOST_PARTS = 20_000


def is_cluttered(path: Path) -> bool:
    """Tell whether a PNG or a JPEG has so many parts before its pixels that a decoder takes minutes to pass them.

    Raises:
        OSError: the file may not be read.
    """
    with path.open("rb") as file:
        head = file.read(8)
        if head == b"\x89PNG\r\n\x1a\n":
            return _beyond(file, 8, _after_chunk)
        return head.startswith(b"\xff\xd8") and _beyond(file, 2, _after_segment)


def _beyond(file: BinaryIO, place: int, after: Callable[[bytes, int], int]) -> bool:
    """Go from part to part until `after`, of the eight bytes there and the place, says 0 or the file ends."""
    for _ in range(_MOST_PARTS):
        file.seek(place)
        head = file.read(8)
        place = after(head, place)
        if not place or len(head) < 8:
            return False
    return True


def _after_chunk(head: bytes, place: int) -> int:
    """Return where the next chunk of a PNG begins; 0 at the pixels or the end."""
    if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
        return 0
    return place + int.from_bytes(head[:4], "big") + 12


def _after_segment(head: bytes, place: int) -> int:
    """Return where the next segment of a JPEG begins; 0 at the pixels or the end. Stray bytes pass singly."""
    if head[:1] != b"\xff" or head[1:2] in (b"\xff", b"\0"):
        return place + 1
    if head[1] in (0xD9, 0xDA):
        return 0
    alone = head[1] == 0x01 or 0xD0 <= head[1] <= 0xD8  # markers without a length
    return place + 2 if alone else place + 2 + max(2, int.from_bytes(head[2:4], "big"))


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
