"""JPEG compression with a pinned encoder setting."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL
from PIL import Image as Pillow
from PIL import features

from restorebench import Degraded
from restorebench.toolbox.images import to_8bit
from restorebench_degradations import options
from restorebench_degradations.fields import Array
from restorebench_degradations.levels import at, explicit_or

if TYPE_CHECKING:
    from restorebench import Image

QUALITIES = (40, 30, 20, 10, 5)
SUBSAMPLING = "4:2:0"


def compressed(pixels: Array, quality: int) -> Array:
    """Encode and decode an (H, W, 3) uint8 image."""
    encoded = io.BytesIO()
    Pillow.fromarray(pixels).save(
        encoded, "JPEG", quality=quality, subsampling=SUBSAMPLING, optimize=False, progressive=False
    )
    return np.array(Pillow.open(encoded))


class JpegCompressed:
    """JPEG compression: rounding to 8 bits, encoding, decoding."""

    def __init__(self, options: options.JpegCompressed, runtime: object) -> None:
        self.options = options

    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Compress once, or twice on shifted block grids (Jiang et al., FBCNN, ICCV 2021)."""
        down, right = (int(shift) for shift in rng.integers(1, 8, size=2))
        quality = explicit_or(self.options.quality, at(severity, QUALITIES))
        parameters: dict[str, Any] = {  # Any: numbers and strings
            "quality": quality,
            "subsampling": SUBSAMPLING,
            "pillow": PIL.__version__,
            "libjpeg_turbo": features.version("libjpeg_turbo") or "other",
        }
        pixels = to_8bit(clean)
        if self.options.variant == "double-jpeg":
            first = explicit_or(self.options.first_quality, quality)
            parameters |= {"first_quality": first, "shift_px": [down, right]}
            shifted = np.pad(compressed(pixels, first), ((down, 0), (right, 0), (0, 0)), mode="edge")
            pixels = compressed(shifted, quality)[down:, right:]
        else:
            pixels = compressed(pixels, quality)
        return Degraded(np.ascontiguousarray(pixels, dtype=np.float32) / np.float32(255), parameters)
