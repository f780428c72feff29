"""Checks for truncated or cluttered image files; they read only a few bytes, so planning can check all files."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES = 273, 279, 324, 325  # TIFF tags

_MAX_PARTS = 20_000


def is_cluttered(path: Path) -> bool:
    """Tell whether a PNG or a JPEG has so many parts before its pixels that a decoder needs minutes to skip them.

    Raises:
        OSError: the file may not be read.
    """
    with path.open("rb") as file:
        head = file.read(8)
        if head == b"\x89PNG\r\n\x1a\n":
            return _has_too_many_parts(file, 8, _after_chunk)
        return head.startswith(b"\xff\xd8") and _has_too_many_parts(file, 2, _after_segment)


def _has_too_many_parts(file: BinaryIO, offset: int, after: Callable[[bytes, int], int]) -> bool:
    """Go from part to part, and return False if the pixels or the file's end come within the allowed number.

    after: maps the first eight bytes of a part and its offset to the offset of the next part; 0 at the pixels.
    """
    for _ in range(_MAX_PARTS):
        file.seek(offset)
        head = file.read(8)
        offset = after(head, offset)
        if not offset or len(head) < 8:
            return False
    return True


def _after_chunk(head: bytes, offset: int) -> int:
    """Return the offset of the next chunk of a PNG; 0 at the pixels or the end."""
    if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
        return 0
    return offset + int.from_bytes(head[:4], "big") + 12


def _after_segment(head: bytes, offset: int) -> int:
    """Return the offset of the next segment of a JPEG; 0 at the pixels or the end. A stray byte is a segment."""
    if head[:1] != b"\xff" or head[1:2] in (b"\xff", b"\0"):
        return offset + 1
    if head[1] in (0xD9, 0xDA):
        return 0
    alone = head[1] == 0x01 or 0xD0 <= head[1] <= 0xD8  # markers without a length
    return offset + 2 if alone else offset + 2 + max(2, int.from_bytes(head[2:4], "big"))


def may_be_truncated(path: Path, kind: str, pixels_end: int = 0) -> bool:
    """Tell whether a file seems truncated; a file that seems so may still be whole.

    kind: the format, in Pillow's spelling. pixels_end: the `tiff_end` of a TIFF.

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
    """Go from chunk to chunk (length, name, data, checksum), and tell whether there is no end chunk."""
    offset = 8
    while offset + 12 <= size:
        file.seek(offset)
        length, name = struct.unpack(">I4s", file.read(8))
        if name == b"IEND":
            return False
        offset += length + 12
    return True


def tiff_end(tags: Mapping[int, Any]) -> int:  # Any: a tag holds numbers, texts or bytes
    """Return the offset where the last strip or tile of a TIFF ends, according to its tags."""
    starts = tags.get(_STRIPS) or tags.get(_TILES) or ()
    sizes = tags.get(_STRIP_BYTES) or tags.get(_TILE_BYTES) or ()
    return max((start + size for start, size in zip(starts, sizes, strict=False)), default=0)
