"""Resizing of images in the ways of the libraries that scoring scripts use; their results differ by up to 1 dB."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from restorebench.toolbox.images import to_8bit

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[np.float64]]

Resize = Callable[["Array", int, int], "Array"]
_Methods = PIL.Image.Resampling


@dataclass(frozen=True)
class Resampling:
    """One way to resize. resize(image, height, width): (H, W, 3) float64 in [0, 1] to the same of another size.

    rarity: how unusual it is in scoring scripts, as in `Variant`.
    """

    name: str
    resize: Resize
    rarity: float


def _pillow(method: PIL.Image.Resampling, image: Array, height: int, width: int) -> Array:
    """Resize at 8 bits by Pillow, which filters before it shrinks."""
    levels = to_8bit(image.astype(np.float32))
    return np.asarray(PIL.Image.fromarray(levels).resize((width, height), method)) / 255.0


def _pillow_floats(method: PIL.Image.Resampling, image: Array, height: int, width: int) -> Array:
    """Resize by Pillow's filters without rounding, as torchvision does on tensors and Matlab nearly does."""
    planes = [PIL.Image.fromarray(image[..., channel].astype(np.float32)) for channel in range(3)]
    resized = [np.asarray(plane.resize((width, height), method), dtype=np.float64) for plane in planes]
    return np.stack(resized, axis=2).clip(0, 1)


def _torch(mode: str, image: Array, height: int, width: int) -> Array:
    """Resize by PyTorch's interpolation, which does not filter before it shrinks; OpenCV does the same."""
    import torch

    batch = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    found = torch.nn.functional.interpolate(batch, (height, width), mode=mode, align_corners=False)
    resized: Array = found[0].permute(1, 2, 0).numpy().clip(0, 1)
    return resized


def _nearest(image: Array, height: int, width: int) -> Array:
    """Take the pixel above and to the left of each position, as OpenCV and PyTorch do."""
    rows, columns = np.arange(height) * image.shape[0] // height, np.arange(width) * image.shape[1] // width
    taken: Array = image[rows[:, None], columns]
    return taken


def _area(image: Array, height: int, width: int) -> Array:
    """Average the pixels that each new pixel covers, by their covered share, as OpenCV's INTER_AREA does."""
    down, across = (_covered(*sides) for sides in ((height, image.shape[0]), (width, image.shape[1])))
    narrow = np.tensordot(across, image, (1, 1))  # (width, H, 3)
    averaged: Array = np.tensordot(down, narrow, (1, 1)).clip(0, 1)
    return averaged


def _covered(new: int, old: int) -> Array:
    """Return the (new, old) shares of old pixels in new ones; each row sums to one."""
    edges = np.arange(new + 1) * old / new
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return overlap.clip(0) * new / old


def _scikit_image(image: Array, height: int, width: int) -> Array:
    """Resize by scikit-image, which smooths by a Gaussian before it shrinks."""
    from skimage.transform import resize

    resized: Array = resize(image, (height, width)).clip(0, 1)  # type: ignore[no-untyped-call]  # it has no types
    return resized


def _rounded(resize: Resize, image: Array, height: int, width: int) -> Array:
    return np.rint(resize(image, height, width) * 255) / 255


_BILINEAR, _BICUBIC = partial(_torch, "bilinear"), partial(_torch, "bicubic")
RESAMPLINGS = (
    Resampling("Pillow bicubic", partial(_pillow, _Methods.BICUBIC), 0.75),
    Resampling("Pillow bilinear", partial(_pillow, _Methods.BILINEAR), 0.75),
    Resampling("OpenCV bilinear", partial(_rounded, _BILINEAR), 0.75),
    Resampling("OpenCV bicubic", partial(_rounded, _BICUBIC), 1.0),
    Resampling("PyTorch bilinear", _BILINEAR, 1.0),
    Resampling("PyTorch bicubic", _BICUBIC, 1.0),
    Resampling("scikit-image", _scikit_image, 0.75),
    Resampling("OpenCV area", partial(_rounded, _area), 1.0),
    Resampling("antialiased bicubic, not rounded", partial(_pillow_floats, _Methods.BICUBIC), 1.25),
    Resampling("antialiased bilinear, not rounded", partial(_pillow_floats, _Methods.BILINEAR), 1.25),
    Resampling("area, not rounded", _area, 1.25),
    Resampling("Pillow Lanczos", partial(_pillow, _Methods.LANCZOS), 1.25),
    Resampling("Pillow nearest", partial(_pillow, _Methods.NEAREST), 1.25),
    Resampling("OpenCV nearest", _nearest, 1.25),
    Resampling("Pillow box", partial(_pillow, _Methods.BOX), 1.5),
)
"""The ways of common libraries, under the name of one that has it; the usual ones first.

OpenCV is named where results are rounded to 8 bits; it computes them in fixed point, so that single values may
differ by one level.
"""
