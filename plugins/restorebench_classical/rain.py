"""Rain streaks: a morphological opening along rows, as wide as the rain is dense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import grey_opening

if TYPE_CHECKING:
    from restorebench import Image

SPANS_PX = (3, 9, 21)
OFFSET = 0.003  # keeps the logarithm of a flat image finite
INTERCEPT = 0.25
ACROSS = (-1.35, 3.64, -1.69)
ALONG = (-0.93, 0.81, -0.46)
# Regression of log(best width) on what openings of three spans remove along rows and along columns, 50
# training photographs at severities 1 to 5: 0.1 to 0.5 dB below the best width of each image.
WIDEST_PX = 35


def opening_width(degraded: Image) -> int:
    """Estimate the opening's width in pixels, odd, that removes the streaks and as little else as possible.

    Streaks are narrow along rows and long along columns, so openings along rows remove more of them.
    """
    darkest = degraded.min(axis=2)
    across = [float((darkest - grey_opening(darkest, size=(1, span))).mean()) for span in SPANS_PX]
    along = [float((darkest - grey_opening(darkest, size=(span, 1))).mean()) for span in SPANS_PX]
    log_width = INTERCEPT + np.dot(ACROSS, np.log(np.add(across, OFFSET)))
    log_width += np.dot(ALONG, np.log(np.add(along, OFFSET)))
    width = np.exp(np.clip(log_width, 0, np.log(WIDEST_PX)))
    return 2 * round((float(width) - 1) / 2) + 1


def derain(degraded: Image) -> Image:
    """Remove bright, roughly vertical streaks from (H, W, 3) float32.

    Per channel, opening removes parts that are brighter than their surroundings and narrower than the window
    (Serra, "Image Analysis and Mathematical Morphology", 1982). It does not remove streaks beyond 45 degrees.
    """
    return grey_opening(degraded, size=(1, opening_width(degraded), 1), mode="reflect")
