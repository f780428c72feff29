"""Reading and writing of image files, by one rule per kind of file, without guessing.

An image is (H, W, 3) float32 RGB in [0, 1]: stored values divided by the largest one (255 or 65535), no colour
profile applied. The content of a file decides its format, not its suffix. On reading:

- the EXIF orientation is applied; a multi-picture JPEG gives its first picture, as in viewers;
- grey is repeated over three channels, a palette is looked up, alpha is composited over white;
- 16-bit PNG and TIFF keep their full precision;
- refused: CMYK and other colour spaces that need a profile, floating-point and 32-bit files (save those
  as 16-bit), several frames or pages, and more than `MAX_PIXELS` or `MAX_BYTES`, before anything is decoded.

Reading a size needs neither numpy nor torch.
"""

from __future__ import annotations

import hashlib
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
import PIL.ImageFile

from restorebench.contract.errors import MissingResource, UnreadableImage
from restorebench.toolbox import deep_images as deep
from restorebench.toolbox.files import replaced
from restorebench.toolbox.wholeness import is_cluttered, may_be_truncated, tiff_end

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from restorebench.contract.values import Image

    Stored = np.ndarray[Any, np.dtype[np.uint8] | np.dtype[np.uint16]]  # (H, W) or (H, W, channels)

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
"""Suffixes, in lower case, of the files that count as images in a folder."""

MAX_PIXELS = 100_000_000
"""Largest image that is decoded: 1.2 GB as float32. A larger file is treated as a decompression bomb."""

MAX_BYTES = 1_000_000_000
"""Largest file that is opened, as some decoders load all of it. The largest image, uncompressed, fits."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_DIRECT_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I;16L")
_STORED_MODES = (*_DIRECT_MODES, "1", "P", "PA")  # the others need a colour profile or a range
_TIFF_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two are BigTIFF
_ORIENTATION = 0x0112  # EXIF tag
_UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    EOFError,
    LookupError,
    RuntimeError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""Errors that Pillow and tifffile are known to raise on damaged files. Tests with fuzzed images look for more."""


def read_size(path: Path) -> tuple[int, int]:
    """Return (height, width) after EXIF orientation, from the header.

    A file that seems truncated is decoded, as only decoding can tell.

    Raises:
        MissingResource: there is no such file.
        UnreadableImage: not an image, a truncated one, or one that `read` would refuse by its header.
    """
    with _opened(path) as image:
        kind, pixels_end = str(image.format), tiff_end(image.tag_v2) if image.format == "TIFF" else 0
        width, height = image.size
        # Pillow gives the size of a TIFF after orientation, of every other format before.
        turned = image.format != "TIFF" and _orientation(image) >= 5
    if may_be_truncated(path, kind, pixels_end):
        read(path)
    return (width, height) if turned else (height, width)


def has_16_bits(path: Path) -> bool:
    """Tell from its header whether an image has 16 bits per channel; `write_png` keeps only 8."""
    with _opened(path) as image:
        return deep.is_tiff(image) or deep.is_png(image)


def has_alpha(path: Path) -> bool:
    """Tell from its header whether an image has transparency; `read` composites it over white."""
    with _opened(path) as image:
        return "A" in image.getbands() or "transparency" in image.info


def read(path: Path) -> Image:
    """Decode a file to (H, W, 3) float32 RGB in [0, 1] by the rules at the top of this module.

    Raises:
        MissingResource: there is no such file.
        UnreadableImage: empty, truncated, corrupt, too large or of a refused kind.
    """
    import numpy as np

    with _opened(path) as image:
        orientation = _orientation(image)
        if deep.is_tiff(image):
            stored = deep.read_tiff(path, MAX_PIXELS)
        elif deep.is_png(image):
            stored = deep.read_png(path, image)
        else:
            stored = np.asarray(_expanded(path, image))
            orientation = 1 if image.format == "TIFF" else orientation  # Pillow turns a TIFF itself
    return as_rgb(_oriented(stored, orientation))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:  # Any: Pillow's per-format attributes are not on its base class
    """Open a file after checking its header; turn decoder errors into an UnreadableImage."""
    if not path.exists():
        raise MissingResource(f"{path}: no such image file; check the path")
    if not (path.is_file() or path.is_dir()):  # opening a pipe would block
        raise UnreadableImage(f"{path}: is a pipe or a device, not a file; remove it")
    if path.stat().st_size > MAX_BYTES:
        raise UnreadableImage(f"{path}: larger than {MAX_BYTES:,} bytes; crop or tile the image first")
    try:
        if is_cluttered(path):
            raise UnreadableImage(
                f"{path}: holds too many parts before its pixels; save the image anew, as PNG without metadata"
            )
        with warnings.catch_warnings():
            # Pillow only warns from 89 million pixels on; our own limit, checked below, always refuses.
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
            with PIL.Image.open(path, formats=_FORMATS) as image:
                _check_header(path, image)
                yield image
    except PIL.Image.DecompressionBombError as error:
        raise UnreadableImage(_too_large(path)) from error
    except PIL.UnidentifiedImageError as error:
        kinds = ", ".join(_FORMATS)
        with path.open("rb") as file:
            is_tiff = file.read(4) in _TIFF_BEGINNINGS
        if is_tiff:
            raise UnreadableImage(
                f"{path}: is a TIFF of an unsupported kind, such as floating-point or 32-bit colour, or is "
                "damaged; save it as 16-bit TIFF or PNG"
            ) from error
        raise UnreadableImage(
            f"{path}: is not an image of a supported kind ({kinds}), or is damaged; "
            f"replace the file or remove it ({path.stat().st_size} bytes)"
        ) from error
    except PermissionError as error:
        raise UnreadableImage(f"{path}: may not be read ({error.strerror}); allow reading it") from error
    except _UNDECODABLE as error:
        raise UnreadableImage(
            f"{path}: cannot be decoded ({_message(error)}); download the file again, or save it as PNG"
        ) from error


def _message(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its type if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _check_header(path: Path, image: PIL.ImageFile.ImageFile) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise UnreadableImage(_too_large(path, f"{image.width} x {image.height} is "))
    # The number of frames is not read: Pillow counts the pages of a TIFF in time quadratic in their number.
    if getattr(image, "is_animated", False) and image.format != "MPO":
        raise UnreadableImage(f"{path}: holds several frames or pages; save the one you mean as a file of its own")
    if image.format != "PNG" and not deep.is_tiff(image) and image.mode not in _STORED_MODES:
        raise UnreadableImage(_needs_a_profile(path, image.mode))


def _too_large(path: Path, size: str = "") -> str:
    return f"{path}: {size}more than {MAX_PIXELS // 10**6} million pixels; crop or tile the image first"


def _orientation(image: PIL.ImageFile.ImageFile) -> int:
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode the whole file to look for an EXIF block behind the pixels
    value = image.getexif().get(_ORIENTATION, 1)
    return value if value in range(1, 9) else 1  # some cameras write invalid values such as 0


def _oriented(stored: Stored, orientation: int) -> Stored:
    """Flip and rotate an image as its EXIF orientation (1 to 8) says."""
    turned = stored.swapaxes(0, 1) if orientation >= 5 else stored
    turned = turned[::-1] if orientation in (3, 4, 7, 8) else turned
    return turned[:, ::-1] if orientation in (2, 3, 6, 7) else turned


def _expanded(path: Path, image: PIL.Image.Image) -> PIL.Image.Image:
    """Convert an 8-bit image to a mode of plain numbers: grey or RGB, with or without alpha."""
    if "transparency" in image.info and image.mode in ("1", "L", "P", "RGB"):
        return image.convert("RGBA")  # one palette entry or colour is declared transparent
    if image.mode in _DIRECT_MODES:
        return image
    if image.mode in ("1", "P", "PA"):
        return image.convert({"1": "L", "P": "RGB", "PA": "RGBA"}[image.mode])
    raise UnreadableImage(_needs_a_profile(path, image.mode))


def _needs_a_profile(path: Path, mode: str) -> str:
    return (
        f"{path}: is stored as {mode}, whose conversion to RGB depends on a colour profile or a "
        "range that the file does not fix; convert it to 8-bit or 16-bit RGB"
    )


def as_rgb(stored: Stored) -> Image:
    """Scale stored values to [0, 1], composite alpha over white and give grey three channels."""
    import numpy as np

    values = stored.astype(np.float32) / np.float32(np.iinfo(stored.dtype).max)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.shape[2] in (2, 4):
        alpha = values[:, :, -1:]
        values = values[:, :, :-1] * alpha + (1 - alpha)  # keeps the exact colours where alpha is 1
    return np.ascontiguousarray(values if values.shape[2] == 3 else values.repeat(3, axis=2))


def resized(image: Image, factor: float) -> Image:
    """Resize (H, W, 3) by Pillow's antialiased bicubic filter, to rounded sides of at least one pixel.

    It works on floats, so nothing is rounded to 8 bits, and clips the result to [0, 1]. If the size stays the
    same, the image itself is returned.
    """
    import numpy as np

    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image
    bicubic = PIL.Image.Resampling.BICUBIC
    channels = [PIL.Image.fromarray(image[:, :, channel]).resize((width, height), bicubic) for channel in range(3)]
    clipped: Image = np.stack([np.asarray(channel) for channel in channels], axis=2).clip(0, 1)
    return clipped


def to_8bit(image: Image) -> np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]:
    """Clip to [0, 1] and round to 0..255, halves to even numbers (IEEE, like `numpy.rint` and `torch.round`)."""
    import numpy as np

    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def quantise(image: Image) -> Image:
    """Return the (H, W, 3) float32 image that `read` gives back after `write_png`."""
    return as_rgb(to_8bit(image))


def write_png(path: Path, image: Image) -> None:
    """Save (H, W, 3) RGB in [0, 1] as an 8-bit PNG; the file appears whole or not at all."""
    with replaced(path) as temporary:
        # Level 1 is three times faster than the default; the files are a tenth larger.
        PIL.Image.fromarray(to_8bit(image)).save(temporary, format="PNG", compress_level=1)


def write_float(path: Path, image: Image) -> None:
    """Save (H, W, 3) RGB as a float32 `.npy` array, unrounded; the file appears whole or not at all."""
    import numpy as np

    with replaced(path) as temporary, temporary.open("wb") as file:
        np.save(file, image.astype(np.float32, copy=False), allow_pickle=False)


# ---------------------------------------------------------------- digests and tensors


def pixel_digest(image: Image) -> str:
    """Return the sha256 hex digest of an image's shape and of its pixels rounded to 8 bits."""
    pixels = to_8bit(image)
    return hashlib.sha256(f"{pixels.shape}".encode() + pixels.tobytes()).hexdigest()


def to_tensor(images: Sequence[Image]) -> Tensor:
    """Stack (H, W, 3) images of one size into a (B, 3, H, W) float32 tensor on the CPU."""
    import numpy as np
    import torch

    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous().float()


def from_tensor(tensor: Tensor) -> list[Image]:
    """Split a (B, 3, H, W) tensor on any device into (H, W, 3) float32 arrays that own their memory."""
    import numpy as np

    stacked = tensor.detach().permute(0, 2, 3, 1).float().cpu().numpy()
    return [np.array(image, order="C") for image in stacked]
