"""Validation of a network in training: scores, and images to look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from restorebench.toolbox import images
from restorebench.toolbox.synthesis import centre_crop, psnr
from restorebench.training import data
from restorebench.training.sources import Pair, Source

SIDE_PX = 256
Restore = Callable[[Tensor, Pair], Tensor]
"""Restores a degraded centre (1, 3, H, W) in [0, 1], given with the pair that it is cut from; on any device."""


def restore_centres(source: Source, count: int, restore: Restore, folder: Path) -> dict[str, float]:
    """Restore the centres of the first `count` pairs; write degraded, restored and clean side by side.

    Return the mean PSNR, its mean gain over the degraded images, and that gain by task, all in dB.
    """
    scores: list[float] = []
    gains: dict[str, list[float]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for pair in source.validation(count):
        degraded, clean = (centre_crop(image, SIDE_PX) for image in (pair.degraded, pair.clean))
        with torch.no_grad():
            restored = restore(data.tensor(degraded)[None], pair)
        image = images.quantise(images.from_tensor(restored.cpu())[0])
        scores.append(psnr(image, clean))
        gains.setdefault(source.tasks[pair.task], []).append(scores[-1] - psnr(degraded, clean))
        strip = np.concatenate([degraded, image, clean], axis=1)
        images.write_png(folder / f"{pair.name.replace('/', '-')}.png", strip)
    means = {f"gain/{task}": sum(each) / len(each) for task, each in gains.items()}
    return {
        "psnr": sum(scores) / len(scores),
        "gain": sum(sum(each) for each in gains.values()) / len(scores),
        **means,
    }
