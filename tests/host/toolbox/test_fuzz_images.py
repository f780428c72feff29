"""Mutated image files of every kind are read or refused in one line, soon, and leave nothing behind.

A few examples here; `RESTOREBENCH_FUZZ=10000 pytest tests/host/test_fuzz_images.py tests/host/test_fuzz_suites.py`
for ten thousand of each.
"""

from __future__ import annotations

import io
import os
import random
import struct
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from restorebench import RestorebenchError
from restorebench.toolbox import images

EXAMPLES = int(os.environ.get("RESTOREBENCH_FUZZ", 0)) or 150
AT_A_TIME = 500  # hypothesis remembers all that it has tried, which would look like a leak
ODD = (0, 1, 2, 3, 7, 8, 16, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

PACKED = (None, "tiff_lzw", "tiff_deflate", "jpeg")

Mutation = Callable[[bytearray, random.Random], bytes]


def _saved(mode: str, kind: str, **how: object) -> bytes:
    pixels = Image.fromarray(np.random.default_rng(1).integers(0, 256, (12, 17, 3), np.uint8))
    stream = io.BytesIO()
    pixels.convert(mode).save(stream, kind, **how)
    return stream.getvalue()


def _deep(channels: int, **how: object) -> bytes:
    stream = io.BytesIO()
    values = np.random.default_rng(1).integers(0, 65536, (12, 17, channels), np.uint16)
    tifffile.imwrite(stream, values.squeeze(), photometric="rgb" if channels > 1 else "minisblack", **how)
    return stream.getvalue()


def _deep_png(colour: int, channels: int) -> bytes:
    rows = b"".join(b"\0" + random.Random(row).randbytes(17 * 2 * channels) for row in range(12))
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 17, 12, 16, colour, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in [*chunks, (b"IEND", b"")])


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    return exif


def seeds() -> dict[str, bytes]:
    """Make a valid file of each kind and layout that is read, and some of those that are refused."""
    again = [Image.new("RGB", (17, 12), (n, 0, 9)) for n in range(2)]
    frames = {"save_all": True, "append_images": again}
    return {
        **{f"png {mode}": _saved(mode, "PNG") for mode in ("RGB", "RGBA", "L", "LA", "P", "1")},
        "png exif icc": _saved("RGB", "PNG", exif=_exif(), icc_profile=b"x" * 200),
        "png 16 grey": _deep_png(0, 1), "png 16 rgb": _deep_png(2, 3), "png 16 rgba": _deep_png(6, 4),
        "apng": _saved("RGB", "PNG", **frames),
        "jpeg": _saved("RGB", "JPEG", exif=_exif(), icc_profile=b"x" * 200),
        "jpeg progressive": _saved("RGB", "JPEG", progressive=True), "jpeg grey": _saved("L", "JPEG"),
        "jpeg cmyk": _saved("CMYK", "JPEG"),
        **{f"tiff {how}": _saved("RGB", "TIFF", compression=how) for how in PACKED},
        "tiff 1": _saved("1", "TIFF", compression="group4"), "tiff pages": _saved("RGB", "TIFF", **frames),
        "tiff 16": _deep(3), "tiff 16 zlib": _deep(3, compression="zlib"), "tiff 16 grey": _deep(1),
        "tiff 16 tiles": _deep(3, compression="zlib", tile=(16, 16)), "tiff 16 big": _deep(3, bigtiff=True),
        **{f"bmp {mode}": _saved(mode, "BMP") for mode in ("RGB", "P", "1", "RGBA")},
        "webp": _saved("RGB", "WEBP", exif=_exif()), "webp lossless": _saved("RGBA", "WEBP", lossless=True),
        "webp frames": _saved("RGB", "WEBP", **frames),
    }  # fmt: skip


SEEDS = seeds()


def some_bytes(data: bytearray, draw: random.Random) -> bytes:
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        data[draw.randrange(len(data))] = draw.choice((0, 255, draw.randrange(256)))
    return bytes(data)


def a_number(data: bytearray, draw: random.Random) -> bytes:
    """Put an odd number where a header most likely keeps one."""
    layout = draw.choice(("<H", ">H", "<I", ">I"))
    place = draw.randrange(min(len(data) - 4, draw.choice((64, 256, 10_000))))
    struct.pack_into(layout, data, place, draw.choice(ODD) & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF))
    return bytes(data)


def cut(data: bytearray, draw: random.Random) -> bytes:
    return bytes(data[: draw.randrange(len(data))])


def part_moved(data: bytearray, draw: random.Random) -> bytes:
    """Remove, repeat or move a stretch of the file."""
    start = draw.randrange(len(data))
    stretch = data[start : start + draw.choice((1, 4, 12, 100, len(data)))]
    rest = data[:start] + data[start + len(stretch) :]
    place = draw.randrange(len(rest) + 1)
    return bytes(rest[:place] + stretch * draw.choice((0, 1, 2, 50)) + rest[place:])


def spliced(data: bytearray, draw: random.Random) -> bytes:
    """Go on with another file, at any place of it."""
    other = SEEDS[draw.choice(sorted(SEEDS))]
    return bytes(data[: draw.randrange(len(data))] + other[draw.randrange(len(other)) :])


def png_chunks(data: bytearray, draw: random.Random) -> bytes:
    """Change, drop, repeat or add chunks of a PNG whose checksums stay right, so that decoders go on."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length, name = struct.unpack(">I4s", data[place : place + 8])
        chunks.append((name, bytearray(data[place + 8 : place + 8 + length])))
        place += length + 12
    if not data.startswith(b"\x89PNG") or not chunks:
        return some_bytes(data, draw)
    chosen = draw.randrange(len(chunks))
    name, content = chunks[chosen]
    what = draw.randrange(5)
    if what == 0 and name == b"IHDR" and len(content) >= 8:
        struct.pack_into(">I", content, draw.choice((0, 4)), draw.choice(ODD))
    elif what == 1 and name == b"IDAT":
        content[:] = zlib.compress(draw.randbytes(draw.choice((0, 10, 10_000))) * draw.choice((1, 100)))
    elif what == 2:
        names = (b"tRNS", b"PLTE", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"zTXt", b"iCCP", b"gAMA", b"IHDR", b"IEND")
        body = draw.choice((b"", bytes(26), draw.randbytes(30), b"a\0\0" + zlib.compress(bytes(10**6))))
        chunks.insert(draw.randrange(len(chunks) + 1), (draw.choice(names), bytearray(body)))
    elif what == 3:
        del chunks[chosen]
    elif content:
        content[draw.randrange(len(content))] = draw.randrange(256)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(each, bytes(body)) for each, body in chunks)


def jpeg_segments(data: bytearray, draw: random.Random) -> bytes:
    """Change sizes, sampling, tables or lengths of a JPEG's segments, or put odd ones between them."""
    places = [
        place for place in range(2, len(data) - 12) if data[place] == 0xFF and data[place + 1] not in (0, 0xFF)
    ]
    if not data.startswith(b"\xff\xd8") or not places:
        return some_bytes(data, draw)
    place = draw.choice(places[:20])
    what = draw.randrange(3)
    if what == 0:
        struct.pack_into(">H", data, place + draw.choice((2, 5, 7)), draw.choice(ODD) & 0xFFFF)
    elif what == 1:
        data[place + draw.choice((1, 4, 9, 11, 12))] = draw.randrange(256)
    else:
        marker = bytes((0xFF, draw.choice((0xE0, 0xE1, 0xE2, 0xFE, 0xC0, 0xC2, 0xDA, 0xDD, 0xD9, 0x01))))
        body = draw.choice((b"Exif\0\0II*\0\x08\0\0\0\xff\xff", b"MPF\0II*\0\x08\0\0\0", draw.randbytes(20)))
        data[place:place] = marker + struct.pack(">H", draw.choice((len(body) + 2, 0, 65535))) + body
    return bytes(data)


def tiff_entries(data: bytearray, draw: random.Random) -> bytes:
    """Change tag, type, count or value of a directory's entry, or where the next directory is."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return some_bytes(data, draw)
    order = "<" if data[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", data, 4)
    if start + 2 > len(data):
        return some_bytes(data, draw)
    (count,) = struct.unpack_from(order + "H", data, start)
    entry = start + 2 + 12 * draw.randrange(count + 1)
    layout, offset = draw.choice((("H", 0), ("H", 2), ("I", 4), ("I", 8), ("I", 8)))
    value = draw.choice((*ODD, start, draw.randrange(len(data)), 273, 279, 258, 259, 277, 317, 322, 324, 339))
    if entry + offset + 4 <= len(data):
        struct.pack_into(order + layout, data, entry + offset, value & (0xFFFF if layout == "H" else 0xFFFFFFFF))
    return bytes(data)


MUTATIONS: tuple[Mutation, ...] = (
    *(some_bytes, a_number, a_number, cut, part_moved, spliced),
    *(png_chunks, jpeg_segments, tiff_entries, tiff_entries),
)
OF_KIND = {b"\x89P": png_chunks, b"\xff\xd8": jpeg_segments, b"II": tiff_entries, b"MM": tiff_entries}


def mutated(seed: int) -> tuple[str, bytes]:
    """Return the name of a valid file and what became of it after one to four changes."""
    draw = random.Random(seed)
    name = draw.choice(sorted(SEEDS))
    data = SEEDS[name]
    for _ in range(draw.choice((1, 1, 2, 4))):
        if len(data) > 32:
            own = OF_KIND.get(bytes(data[:2]), a_number)
            data = draw.choice((own, draw.choice(MUTATIONS)))(bytearray(data), draw)
    return name, data


@pytest.mark.timeout(0)  # each example has a limit of its own
def test_a_mutated_image_is_read_or_refused(tmp_path_factory, growth) -> None:
    path = tmp_path_factory.mktemp("mutated") / "image.png"

    @settings(
        max_examples=min(EXAMPLES, AT_A_TIME),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**63))
    def each(seed: int) -> None:
        name, data = mutated(seed)
        path.write_bytes(data)
        for reader in (images.read_size, images.has_16_bits, images.read):
            with growth.example(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's, of damaged EXIF
                try:
                    found = reader(path)
                except RestorebenchError as error:
                    assert str(path) in str(error) and len(str(error).splitlines()) == 1, f"{name}: {error}"
                else:
                    growth.read += reader is images.read
                    if reader is images.read:
                        assert found.dtype == np.float32 and found.shape[2] == 3, name
                        assert found.size == 0 or (found.min() >= 0 and found.max() <= 1), name

    for _ in range(0, EXAMPLES, AT_A_TIME):
        each()
    assert growth.read > EXAMPLES // 20  # mutations that nothing survives would only test the first check


def test_the_valid_files_are_read_unless_their_kind_is_refused(tmp_path) -> None:
    refused = []
    for name, data in SEEDS.items():
        (tmp_path / "image").write_bytes(data)
        try:
            images.read(tmp_path / "image")
        except RestorebenchError:
            refused.append(name)
    assert refused == ["apng", "jpeg cmyk", "tiff pages", "webp frames"]
