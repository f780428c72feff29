"""Restoration of a whole picture: it is measured, its holes are filled, and the network restores it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from restorebench.toolbox import holes, images
from restorebench_compact import overview
from restorebench_compact.network import MULTIPLE, View

if TYPE_CHECKING:
    from restorebench import Image
    from restorebench_compact.network import Compact


def view(image: Image, device: torch.device | str = "cpu") -> View:
    """Return a whole picture (H, W, 3) in [0, 1] as input of the network, mirrored up to multiples of 16 px."""
    height, width = image.shape[:2]
    missing = holes.white_mask(image)
    filled = holes.harmonic(image, missing) if missing.any() and not missing.all() else image
    pad = [(0, -height % MULTIPLE), (0, -width % MULTIPLE), (0, 0)]
    planes = [image, filled, missing[:, :, None].astype(np.float32)]
    shown = [_tensor(np.pad(plane, pad, mode="symmetric"), device) for plane in planes]
    numbers = [torch.from_numpy(made(image)).to(device)[None] for made in (overview.statistics, overview.grid)]
    padded = shown[0].shape[2:]
    box = torch.tensor([[0, 0, padded[0] / height, padded[1] / width]], device=device)
    return View(shown[0], shown[1], shown[2], numbers[0], numbers[1], box)


def restore(
    network: Compact, image: Image, device: torch.device | str = "cpu", grid: bool = True
) -> tuple[Image, Tensor]:
    """Restore a whole picture (H, W, 3) in [0, 1]; also return the logits (11,) of its degradation.

    grid: false for a network that was trained with a blank grid.
    """
    height, width = image.shape[:2]
    seen = view(image, device)
    if not grid:
        seen = seen._replace(grid=torch.zeros_like(seen.grid))
    with torch.no_grad():
        restored, logits = network(seen)
    return images.from_tensor(restored[:, :, :height, :width].clamp(0, 1))[0], logits[0]


def _tensor(plane: Image, device: torch.device | str) -> Tensor:
    """Turn (H, W, C) into (1, C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(plane.transpose(2, 0, 1))).float().to(device)[None]
