"""Stage one: training of the Mapper, and of the cross-attention keys and values for its words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorebench_textualdegrem import backbones, cross_attention
from restorebench_textualdegrem.parts import Backbones
from restorebench_textualdegrem.train.config import MapperTraining
from restorebench_textualdegrem.train.drawing import DrawingStage, Noisy, runtime
from restorebench_textualdegrem.words import Mapper


class MapperStage(DrawingStage):
    """Training in which the words of an image, degraded or clean, have to make Stable Diffusion draw it."""

    def __init__(self, options: MapperTraining, cache: Path) -> None:
        parts = backbones.load(options.backbones, runtime(cache)).frozen()
        seen, width = parts.vision.config.hidden_size, parts.text.config.hidden_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            mapper = Mapper(options.words, seen, seen, width)
        super().__init__(options, parts, _Trained(mapper, parts))

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of drawing an image from its own words."""
        images = batch["degraded"].to(device)
        return self.distance(module, images, images, batch["number"]), {}

    def predicted(self, module: nn.Module, given: Noisy, seen: Tensor) -> Tensor:
        """Predict the noise by the module, which holds everything that is trained."""
        with torch.no_grad():
            tokens = self.parts.tokens(seen)
        out: Tensor = module(given.latents, given.times, tokens)
        return out

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors of the Mapper and of the projections together, as the generation takes them."""
        assert isinstance(module, _Trained)
        return dict(module.mapper.state_dict()) | dict(module.projections.state_dict())


class _Trained(nn.Module):
    """The Mapper and the projections of the U-Net; parts that are not trained are used, but are no submodules."""

    def __init__(self, mapper: Mapper, parts: Backbones) -> None:
        super().__init__()
        self.mapper = mapper
        self.projections = nn.ModuleDict(cross_attention.layers(parts.unet)).requires_grad_(True)
        self.parts = parts  # not an nn.Module, so its weights are neither saved nor counted

    def forward(self, latents: Tensor, times: Tensor, tokens: Tensor) -> Tensor:
        """Predict the noise in latents from CLIP's tokens."""
        return self.parts.noise_in(latents, times, self.parts.prompted(self.mapper(tokens)))
