"""Image files made to exhaust memory or time are refused before they are decoded, by one line that names them."""

from __future__ import annotations

import io
import resource
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from restorebench import UnreadableImage
from restorebench.toolbox import images

pytestmark = pytest.mark.faults


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*between: bytes, width: int = 16, height: int = 16, pixels: bytes | None = None) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    rows = bytes((1 + 3 * width) * height) if pixels is None else pixels
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(between) + end


def saved(kind: str, **how: object) -> bytearray:
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (9, 99, 199)).save(stream, kind, **how)
    return bytearray(stream.getvalue())


def jpeg_of(height: int, width: int) -> bytes:
    data = saved("JPEG")
    struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, height, width)
    return bytes(data)


def bmp_of(height: int, width: int) -> bytes:
    data = saved("BMP")
    struct.pack_into("<ii", data, 18, width, height)
    return bytes(data)


def tiff_of(height: int, width: int) -> bytes:
    data = saved("TIFF")
    (start,) = struct.unpack_from("<I", data, 4)
    for entry in range(start + 2, start + 2 + 12 * data[start], 12):
        if (tag := struct.unpack_from("<H", data, entry)[0]) in (256, 257):
            struct.pack_into("<HII", data, entry + 2, 4, 1, width if tag == 256 else height)
    return bytes(data)


def deep_tiff_without_rows() -> bytes:
    """A 16-bit TIFF that says its height sixteen times, at no place of the file."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.zeros((16, 16, 3), np.uint16), photometric="rgb", metadata=None)
    data = bytearray(stream.getvalue())
    (start,) = struct.unpack_from("<I", data, 4)
    for entry in range(start + 2, start + 2 + 12 * data[start], 12):
        if struct.unpack_from("<H", data, entry)[0] == 257:
            struct.pack_into("<II", data, entry + 4, 16, 0)
    return bytes(data)


def webp_of(height: int, width: int) -> bytes:
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    content = b"VP8L" + struct.pack("<I", 6) + b"\x2f" + bits + b"\0"
    return b"RIFF" + struct.pack("<I", len(content) + 4) + b"WEBP" + content


def deep_tiff(unpacked: int) -> bytes:
    """A 16-bit TIFF of 16 x 16 whose strip unpacks to so many bytes."""
    stream = io.BytesIO()
    tifffile.imwrite(
        stream, np.zeros((16, 16, 3), np.uint16), photometric="rgb", compression="zlib", metadata=None
    )
    data = bytearray(stream.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        tags = {name: file.pages.first.tags[name].valueoffset for name in ("StripOffsets", "StripByteCounts")}
    bomb = zlib.compress(bytes(unpacked), 9)
    struct.pack_into("<I", data, tags["StripByteCounts"], len(bomb))
    struct.pack_into("<I", data, tags["StripOffsets"], len(data))
    return bytes(data) + bomb


def endless_pages(count: int) -> bytes:
    """A TIFF of many empty pages, each naming the next."""
    data = saved("TIFF")
    (start,) = struct.unpack_from("<I", data, 4)
    link = start + 2 + 12 * data[start]
    struct.pack_into("<I", data, link, len(data))
    pages = (struct.pack("<HHHIII", 1, 256, 4, 1, 1, len(data) + 18 * (place + 1)) for place in range(count))
    return bytes(data) + b"".join(pages)


LARGE = 40_000
HOSTILE = {
    "png of 40,000 x 40,000": lambda: png(width=LARGE, height=LARGE, pixels=b""),
    "jpeg of 40,000 x 40,000": lambda: jpeg_of(LARGE, LARGE),
    "bmp of 40,000 x 40,000": lambda: bmp_of(LARGE, LARGE),
    "bmp of a negative width": lambda: bmp_of(16, -(2**31)),
    "tiff of 40,000 x 40,000": lambda: tiff_of(LARGE, LARGE),
    "tiff of 4 billion x 1": lambda: tiff_of(1, 2**32 - 1),
    "webp of 16,384 x 16,384": lambda: webp_of(16384, 16384),
    "png of 0 x 0": lambda: png(width=0, height=0),
    "16-bit tiff without rows": deep_tiff_without_rows,
    "16-bit tiff that unpacks to 200 MB": lambda: deep_tiff(200_000_000),
    "png with a million empty parts": lambda: png(chunk(b"tEXt", b"") * 1_000_000),
    "png with a text of 200 MB": lambda: png(chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000), 9))),
    "jpeg with a million empty parts": lambda: b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000 + saved("JPEG")[2:],
    "jpeg with ten million stray bytes": lambda: b"\xff\xd8" + bytes(10_000_000) + saved("JPEG")[2:],
    "tiff of 200,000 pages": lambda: endless_pages(200_000),
    "png whose pixels stop": lambda: png(pixels=bytes(100)),
    "tiff whose directory is elsewhere": lambda: b"II*\0" + struct.pack("<I", 2**31),
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n",
    "program": lambda: b"\x7fELF" + bytes(1000),
}


@pytest.fixture
def held():
    """Memory that the largest legal image may take, and no more."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    status = Path("/proc/self/status").read_text()
    now = int(status.partition("VmSize:")[2].split()[0]) * 1024
    resource.setrlimit(resource.RLIMIT_AS, (now + 300 * 2**20, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_image_is_refused_soon_and_without_its_memory(tmp_path, case, held):
    path = tmp_path / "image.png"
    path.write_bytes(HOSTILE[case]())
    for reader in (images.read, images.read_size):
        began = time.process_time()
        with pytest.raises(UnreadableImage) as caught:
            reader(path)
            images.read(path)  # a header that is whole may be all that planning asks for
        assert time.process_time() - began < 5
        assert str(path) in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_a_file_larger_than_any_image_is_refused_before_it_is_opened(tmp_path):
    path = tmp_path / "image.webp"
    with path.open("wb") as file:
        file.write(bytes(saved("WEBP")))
        file.truncate(images.MAX_BYTES + 1)  # a hole, which takes no disk
    with pytest.raises(UnreadableImage, match="larger than 1,000,000,000 bytes"):
        images.read_size(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("what", ["exif", "icc_profile"])
def test_odd_metadata_change_no_pixel(tmp_path, kind, what, observe):
    plain, odd = tmp_path / "plain", tmp_path / "odd"
    plain.write_bytes(saved(kind))
    entry = struct.pack("<HHII", 0x0112, 3, 2**31, 2**31)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 65535) + entry * 20
    odd.write_bytes(saved(kind, **{what: exif if what == "exif" else b"\xff" * 5000}))
    assert np.array_equal(images.read(odd), images.read(plain))
    observe("read", "the pixels of the file without it")
