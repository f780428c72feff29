"""Print how much a change of protocol changes a score: `python -m restorebench_metrics.effects`.

The images are the six embedded photographs under four kinds of damage; only the protocol changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from restorebench import ScoringProtocol
from restorebench.toolbox import images
from restorebench.toolbox.photographs import embedded
from restorebench.toolbox.scoring import prepare
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import centre_crop
from restorebench_metrics.parity import jpeg
from restorebench_metrics.protocols import DACLIP, RGB, Y_FULL, Y
from restorebench_metrics.psnr import psnr
from restorebench_metrics.regions import mean_aligned_psnr
from restorebench_metrics.ssim import ssim, uniform

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Image

    Metric = Callable[[Tensor, Tensor], Tensor]

SIDE = 250  # px; not a multiple of 16
DAMAGES: dict[str, Callable[[Image], np.ndarray]] = {
    "JPEG 10": lambda clean: (jpeg(images.to_8bit(clean)) / 255).astype(np.float32),
    "noise of sigma 25": lambda clean: clean + generator("effects").normal(0, 25 / 255, clean.shape),
    "noise of sigma 2": lambda clean: clean + generator("effects").normal(0, 2 / 255, clean.shape),
    "darkening by 0.3": lambda clean: 0.3 * clean,
}


@dataclass(frozen=True)
class Change:
    """A change from one score to another of the same pixels. damage: the only one to try; by default all."""

    title: str
    before: tuple[Metric, ScoringProtocol]
    after: tuple[Metric, ScoringProtocol]
    damage: str | None = None


def changes() -> tuple[Change, ...]:
    """List the changes in the order of benchmark/docs/protocols.md."""
    rounded, exact = (psnr, RGB), (psnr, replace(RGB, quantised=False))
    return (
        Change("psnr@rgb to psnr@y", rounded, (psnr, Y)),
        Change("psnr@y-full to psnr@y", (psnr, Y_FULL), (psnr, Y)),
        Change("ssim@rgb to the uniform window", (ssim, RGB), (lambda x, y: ssim(x, y, uniform()), RGB)),
        Change("4 px border", rounded, (psnr, DACLIP)),
        Change("crop to multiples of 16", rounded, (psnr, replace(RGB, crop_multiple=16))),
        Change("8 bits instead of float", exact, rounded),
        Change("matching the mean grey", rounded, (mean_aligned_psnr, RGB), "darkening by 0.3"),
    )


def differences(change: Change) -> Iterator[tuple[float, float]]:
    """Yield the scores before and after a change, for each photograph and damage."""
    for path in embedded().values():
        clean = centre_crop(images.read(path), SIDE)
        for damage, apply in DAMAGES.items():
            if change.damage in (None, damage):
                pair = images.to_tensor([apply(clean)]), images.to_tensor([clean])
                before, after = (
                    float(metric(*(prepare(image, protocol) for image in pair)))
                    for metric, protocol in (change.before, change.after)
                )
                yield before, after


def main() -> None:
    """Print the smallest and the largest effect of each change."""
    print(f"{len(embedded())} photographs, {SIDE} px centre; {', '.join(DAMAGES)}\n")
    print("| change, same pixels | least | greatest |\n|---|---|---|")
    for change in changes():
        moved = [after - before for before, after in differences(change)]
        print(f"| {change.title} | {min(moved):+.4f} | {max(moved):+.4f} |", flush=True)


if __name__ == "__main__":
    main()
