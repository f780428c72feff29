"""What the values of a cell's restored images say: whether they are in [0, 1], and how much was clipped.

The images of a cell are judged together. A dark photograph that is coded as -1 to 1 passes any rule for one image.
"""

from __future__ import annotations

import numpy as np

from restorebench.tables.bootstrap import Array

LEAST_MEAN, GREATEST_MEAN, MOST_OUTSIDE = -0.1, 1.1, 0.1
WORTH_SAYING = 0.01
_LEAST, _GREATEST, _MEAN, _OUTSIDE = range(4)  # the columns, as in `Outcomes.values`


def wrong(values: Array, pixels: Array) -> str:
    """Say why images cannot be scored, and the likely cause; "" if they can.

    values: (images, 4). pixels: (images,), by which they are weighed.
    """
    if not len(values):
        return ""
    mean, outside = np.average(values[:, [_MEAN, _OUTSIDE]], axis=0, weights=np.maximum(pixels, 1))
    if LEAST_MEAN <= mean <= GREATEST_MEAN and outside <= MOST_OUTSIDE:
        return ""
    least, greatest = values[:, _LEAST].min(), values[:, _GREATEST].max()
    if greatest > 2:
        looks = "they look like 0 to 255"
    elif least < -0.2:
        looks = "they look like -1 to 1"
    else:
        looks = f"{outside:.0%} of them are outside"
    return f"restore returned values from {least:.3g} to {greatest:.3g}: {looks}; return images in [0, 1]"


def clipped(values: Array, pixels: Array) -> str:
    """Say which share of the values was clipped, if it is worth saying; else return ""."""
    known = ~np.isnan(values[:, _OUTSIDE])
    if not known.any():
        return ""
    share = float(np.average(values[known, _OUTSIDE], weights=np.maximum(pixels[known], 1)))
    return f"{share:.1%} of the values clipped" if share > WORTH_SAYING else ""
