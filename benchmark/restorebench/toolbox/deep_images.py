"""Decoding of PNG and TIFF files with 16 bits per sample, which Pillow would silently reduce to 8."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
import PIL.ImageFile

from restorebench.contract.errors import UnreadableImage

if TYPE_CHECKING:
    import numpy as np

    Deep = np.ndarray[Any, np.dtype[np.uint16]]

_BITS_PER_SAMPLE = 0x0102  # TIFF tag
_SMALLEST_TILE = 1024 * 1024  # pixels; tiles may be larger than a small image
_DEFLATE = (8, 32946)
_PACKINGS = (
    1,
    5,
    32773,
    *_DEFLATE,
)  # none, LZW, PackBits, deflate; others have no known limit on the unpacked size


def is_tiff(image: Any) -> bool:  # Any: only Pillow's TIFF has tags
    """Tell whether an image is a 16-bit TIFF, which tifffile has to read, whatever mode Pillow reports."""
    return image.format == "TIFF" and 16 in image.tag_v2.get(_BITS_PER_SAMPLE, (1,))


def is_png(image: Any) -> bool:  # Any: only Pillow's own kinds have tiles
    """Tell whether an image is a 16-bit PNG, of which Pillow would keep only the upper bytes."""
    return image.format == "PNG" and any(
        ";16" in str(tile.args) for tile in image.tile
    )  # a damaged file has no tiles


def read_png(path: Path, image: PIL.ImageFile.ImageFile) -> Deep:
    """Decode a 16-bit PNG exactly: (H, W) or (H, W, channels) uint16.

    Pillow silently keeps only the upper byte of each colour sample. If its decoder is told that the samples
    are little-endian, it keeps the lower byte instead, so two passes give both bytes.
    """
    import numpy as np

    if "transparency" in image.info:
        raise UnreadableImage(f"{path}: 16-bit PNG with a transparent colour; save it with an alpha channel")
    (tile,) = image.tile
    if tile.args == "I;16B":
        return np.asarray(image)
    if tile.args == "LA;16B":
        image.tile = [tile._replace(args="RGBA")]  # four bytes a pixel: grey high, low, alpha high, low
        grey_high, grey_low, alpha_high, alpha_low = np.moveaxis(np.asarray(image).astype(np.uint16), 2, 0)
        return np.stack([grey_high << 8 | grey_low, alpha_high << 8 | alpha_low], axis=2)
    with PIL.Image.open(path, formats=("PNG",)) as again:
        again.tile = [tile._replace(args=str(tile.args).replace(";16B", ";16L"))]
        upper, lower = np.asarray(image, dtype=np.uint16), np.asarray(again, dtype=np.uint16)
    return np.asarray(upper << 8 | lower)


def read_tiff(path: Path, most_pixels: int) -> Deep:
    """Decode a 16-bit TIFF, before orientation: (H, W) or (H, W, channels) uint16.

    tifffile reads the tags again and trusts them, so this function checks them against the limits.

    Raises:
        UnreadableImage: its layout is not supported, or it unpacks to more than its tags say.
    """
    import numpy as np
    import tifffile  # comes with scikit-image; Pillow reads 16-bit colour as 8 bits

    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        plain_grey = page.axes == "YX" and page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
        colour = page.axes == "YXS" and page.photometric == tifffile.PHOTOMETRIC.RGB
        alpha_is_plain = page.extrasamples in ((), (tifffile.EXTRASAMPLE.UNASSALPHA,))
        if page.dtype != np.uint16 or not (plain_grey or colour) or not alpha_is_plain:
            raise UnreadableImage(
                f"{path}: 16-bit TIFF of an unusual layout (axes {page.axes}, photometric {page.photometric}, "
                f"{page.dtype}); convert it to 16-bit grey or interleaved RGB"
            )
        pixels = page.imagewidth * page.imagelength  # 0 if tifffile could not interpret a tag
        if not 0 < pixels <= most_pixels or page.imagedepth != 1 or not 0 < page.samplesperpixel <= 4:
            raise UnreadableImage(f"{path}: its tags disagree about its size; save it again")
        if page.compression not in _PACKINGS:
            kind = getattr(page.compression, "name", page.compression)
            raise UnreadableImage(f"{path}: 16-bit TIFF compressed by {kind}; save it with deflate or without")
        if _unpacks_beyond(path, page):
            raise UnreadableImage(f"{path}: unpacks to more bytes than its size allows; save it again")
        return np.asarray(page.asarray())


def _unpacks_beyond(path: Path, page: Any) -> bool:  # Any: tifffile's page
    """Tell whether a strip or tile unpacks to more than its size, or its size exceeds the image or the file."""
    held = page.imagewidth * page.imagelength * page.samplesperpixel
    part = math.prod(page.chunks)
    if part > max(held, _SMALLEST_TILE) * 4 or sum(page.databytecounts) > path.stat().st_size:
        return True
    if page.compression not in _DEFLATE:
        return False
    most = part * page.dtype.itemsize
    with path.open("rb") as file:
        for start, size in zip(page.dataoffsets, page.databytecounts, strict=False):
            file.seek(start)
            if len(zlib.decompressobj().decompress(file.read(size), most + 1)) > most:
                return True
    return False
