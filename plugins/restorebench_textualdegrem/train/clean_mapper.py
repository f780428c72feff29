"""Stage two: training of the CleanMapper alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorebench_textualdegrem import backbones, checkpoint, cross_attention, tiny_diffusion
from restorebench_textualdegrem.guidance_generation import require_mapper
from restorebench_textualdegrem.train.config import CleanMapperTraining
from restorebench_textualdegrem.train.drawing import DrawingStage, Noisy, runtime
from restorebench_textualdegrem.words import CleanMapper


class CleanMapperStage(DrawingStage):
    """Training in which cleaned words of a degraded image have to make Stable Diffusion draw the clean one."""

    def __init__(self, options: CleanMapperTraining, cache: Path) -> None:
        if options.mapper is None:
            mapper, projections = tiny_diffusion.mapper(), None
        else:
            mapper, projections = checkpoint.mapper(options.mapper)
        parts = backbones.load(options.backbones, runtime(cache))
        if options.mapper is not None and projections is not None:
            cross_attention.overwrite(parts.unet, projections, f"weights {options.mapper}")
            require_mapper(parts, mapper, options.mapper)
        self.mapper = mapper.requires_grad_(False)
        hidden, width = (len(mapper.get_parameter(f"mapping_0.{layer}.weight")) for layer in (0, 9))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            cleaner = CleanMapper(mapper.words, width, hidden)
        super().__init__(options, parts.frozen(), cleaner)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of drawing the clean image from the words of the degraded one."""
        clean, degraded = (batch[name].to(device) for name in ("clean", "degraded"))
        return self.distance(module, clean, degraded, batch["number"]), {}

    def predicted(self, module: nn.Module, given: Noisy, seen: Tensor) -> Tensor:
        """Predict the noise from cleaned words; gradients reach the words through Stable Diffusion."""
        with torch.no_grad():
            words = self.mapper.to(seen.device)(self.parts.tokens(seen))
        return self.parts.noise_in(given.latents, given.times, self.parts.prompted(module(words)))

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors without anything around them."""
        return dict(module.state_dict())
