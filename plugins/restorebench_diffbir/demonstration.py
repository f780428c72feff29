"""A demonstration of what region-adaptive guidance does: `python -m restorebench_diffbir.demonstration`.

Tiny random networks are sampled from the same noise at every scale of guidance. The stage-1 image is flat in one
half and has noise in every pixel of the other half.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import count

import torch
from torch import Tensor

from restorebench.toolbox.seeding import normal
from restorebench_diffbir import checkpoint, networks
from restorebench_diffbir.guidance import weight_map
from restorebench_diffbir.networks import LATENT, TINY, Parts
from restorebench_diffbir.options import Guidance
from restorebench_diffbir.pipeline import Pipeline, Settings
from restorebench_diffbir.samplers import Noise
from restorebench_diffbir.sampling import Sampling
from restorebench_diffbir.schedule import Schedule

SCALES = (0.0, 1.0, 3.0, 10.0, 30.0)
SIDE = 128
_STEPS = 20


@dataclass(frozen=True)
class Distances:
    """Mean absolute differences between a result and the stage-1 image at one scale, for images in [0, 1]."""

    scale: float
    flat: float
    textured: float


def stage1_image(side: int = SIDE) -> Tensor:
    """Return an image (1, 3, side, side): one colour on the left, noise in every pixel on the right."""
    drawn = normal([1], 1, 0, (3, side, side))
    return torch.cat(
        [torch.full((1, 3, side, side // 2), 0.6), (0.5 + 0.25 * drawn[..., side // 2 :]).clamp(0, 1)], 3
    )


def distances(scales: Sequence[float] = SCALES) -> Iterator[Distances]:
    """Sample at each scale, and compare with the stage-1 image where its weights are above 0.9 and below 0.1."""
    builders = (networks.unet, networks.control, networks.vae)
    unet, control, vae = (checkpoint.untrained(partial(build, TINY)).requires_grad_(False) for build in builders)
    words = torch.zeros(1, networks.TOKENS, TINY.text_width)
    clean = stage1_image()
    weights = weight_map(2 * clean - 1)
    flat, textured = weights > 0.9, weights < 0.1

    def noise(height: int, width: int) -> Noise:
        return (normal([1], 0, draw, (LATENT, height, width)) for draw in count())

    for scale in scales:
        settings = Settings(Schedule("eps"), Sampling("spaced", _STEPS), scale=1.0, guidance=Guidance(scale=scale))
        with torch.no_grad():
            sample = Pipeline(Parts(unet, control, vae, None), settings, words, words)(clean, noise)
        apart = (sample - clean).abs().mean(dim=1, keepdim=True)
        yield Distances(scale, float(apart[flat].mean()), float(apart[textured].mean()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one row per scale; return 0, or 2 if the extra is not installed."""
    argparse.ArgumentParser(prog="python -m restorebench_diffbir.demonstration", description=__doc__).parse_args(
        arguments
    )
    if find_spec("diffusers") is None:
        print("error: needs diffusers: pip install 'restorebench[diffbir]'", file=sys.stderr)
        return 2
    print("| scale | distance where flat | where textured |\n|---|---|---|")
    for row in distances():
        print(f"| {row.scale:g} | {row.flat:.4f} | {row.textured:.4f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
