"""The restorers as the host calls them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import torch
from torch import Tensor

from restorebench import Batch, Runtime
from restorebench.toolbox.networks import DTYPES
from restorebench.toolbox.seeding import normal
from restorebench_diffbir import colour, loading, sizes, text
from restorebench_diffbir.networks import LATENT, REDUCTION
from restorebench_diffbir.options import Restoration, Stage1
from restorebench_diffbir.pipeline import Pipeline, Settings, tile_vae
from restorebench_diffbir.samplers import Noise
from restorebench_diffbir.sampling import Sampling
from restorebench_diffbir.schedule import Schedule
from restorebench_diffbir.sigma import Stochasticity
from restorebench_diffbir.stage1 import Cleaner

_COLOURS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "wavelet": colour.wavelet,
    "adain": colour.adain,
    "none": lambda content, style: content,
}


def cleaner(options: Stage1, runtime: Runtime) -> Cleaner:
    """Load stage 1."""
    network = loading.cleaner_network(options, runtime).to(runtime.device).requires_grad_(False)
    tile = options.cleaner_tile
    return Cleaner(options.cleaner_kind, network, options.short_edge, tile, (tile or 0) // 2)


def brought_back(result: Tensor, given: Tensor, degraded: Tensor) -> Tensor:
    """Resize a result to the size of `given`, cut it to that of `degraded`, and clamp it to [0, 1]."""
    height, width = degraded.shape[-2:]
    return sizes.resized(result, *given.shape[-2:])[..., :height, :width].clamp(0, 1).contiguous()


class DiffBIRStage1:
    """The restorer `diffbir-stage1`: stage 1 alone."""

    def __init__(self, options: Stage1, runtime: Runtime) -> None:
        self.cleaner = cleaner(options, runtime)

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch."""
        with torch.no_grad():
            given = sizes.not_too_long(batch.degraded)
            return brought_back(self.cleaner(given), given, batch.degraded)


class DiffBIR:
    """The restorer `diffbir`: both stages."""

    def __init__(self, options: Restoration, runtime: Runtime) -> None:
        self.options = options
        self.cleaner = cleaner(options, runtime)
        parts = loading.parts(options, runtime)
        parts.place(runtime.device, DTYPES[options.precision])
        if options.vae_tile is not None:
            tile_vae(parts.vae, options.vae_tile)
        ids = text.tokens(list(options.prompts)).to(runtime.device)
        positive, negative = text.encoded(parts.text, ids).split(1)
        self.pipeline = Pipeline(parts.without_text(), settings(options), positive, negative)

    def restore(self, batch: Batch) -> Tensor:
        """Restore a batch; the noise depends only on each image's key and on the position in the image."""

        def noise(height: int, width: int) -> Noise:
            shape, device = (LATENT, height, width), batch.degraded.device
            return (normal(batch.keys, 0, draw, shape, device=device) for draw in count())

        with torch.no_grad():
            given = sizes.not_too_long(batch.degraded)
            clean = self.cleaner(given)
            sample = _COLOURS[self.options.colour](self.pipeline(clean, noise), clean)
            return brought_back(sample, given, batch.degraded)


def settings(options: Restoration) -> Settings:
    """Turn options into the settings of stage 2."""
    tile = None if options.diffusion_tile is None else options.diffusion_tile // REDUCTION
    how = Stochasticity(churn=options.churn, eta=options.eta, scale=options.noise_scale)
    return Settings(
        Schedule(options.facts.parameterisation),
        Sampling(options.chosen_sampler, options.chosen_steps, how, options.order),
        scale=options.chosen_cfg,
        ramped=options.cfg_ramp,
        strength=options.strength,
        start=options.start,
        noise_augmentation=options.noise_augmentation,
        tile=tile,
        stride=(tile or 0) // 2,
        guidance=options.guidance,
    )
