"""Stage zero: a small visual tower learns, without labels, which views show the same photograph.

After Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations" (ICML 2020): crops,
flips and changes of colour. There is no blur, because blur is a degradation here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from restorebench.toolbox import images
from restorebench.toolbox.clip_images import for_clip
from restorebench.toolbox.networks import drawn_from
from restorebench.toolbox.seeding import generator
from restorebench.training import data, sources
from restorebench_daclip import losses
from restorebench_daclip.tower import Tower, TowerConfig
from restorebench_daclip.train.config import TowerTraining
from restorebench_daclip.train.controller import crop_window

if TYPE_CHECKING:
    from restorebench import Image


class TowerStage:
    """Training of the tower: two views of each clean photograph against the views of all others in the batch."""

    def __init__(self, options: TowerTraining, cache: Path) -> None:
        self.options = options
        config = TowerConfig(
            options.image_size, options.patch_size, options.width, options.layers, options.embedding
        )
        with drawn_from(options.seed):
            self.module: nn.Module = Tower(config, ()).visual
        self.source, self.validation = sources.opened(options)

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield batches of pairs of views, from batch number `first` on."""
        views = _TwoViews(data.Pairs(self.source, self.options), self.options)
        return data.batches(views, self.options.batch_size, first, rank, world, self.options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Contrast the first views with the second views, in both directions."""
        both = torch.cat((batch["one"], batch["other"])).to(device)
        one, other = F.normalize(module(both).float(), dim=-1).chunk(2)
        loss = losses.contrastive_loss(one, other, torch.tensor(-math.log(self.options.temperature)))
        own = torch.arange(len(one), device=device)
        accuracy = ((one @ other.T).argmax(-1) == own).float().mean()
        return loss, {"accuracy": float(accuracy)}

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Find each photograph's second view among the second views of all photographs, in one batch."""
        assert self.validation is not None  # only called with data
        samples = _TwoViews(data.Pairs(self.validation, self.options), self.options)
        batch = [samples[number] for number in range(self.options.validation_images)]
        with torch.no_grad():
            stacked = {name: torch.stack([each[name] for each in batch]) for name in ("one", "other")}
            loss, numbers = self.loss(module, stacked, device)
        return {"contrast": float(loss), **numbers}

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors under open_clip's names."""
        return {"state_dict": dict(module.state_dict())}


class _TwoViews(Dataset[dict[str, Any]]):
    """Two random views of a clean photograph."""

    def __init__(self, pairs: data.Pairs, options: TowerTraining) -> None:
        self.pairs, self.options = pairs, options

    def __getitem__(self, number: int) -> dict[str, Any]:
        clean, rng = self.pairs[number].clean, generator(self.pairs.seed, "sample", number)
        return {"one": self._view(clean, rng), "other": self._view(clean, rng), "number": number}

    def _view(self, clean: Image, rng: np.random.Generator) -> Tensor:
        part = clean[crop_window(*clean.shape[:2], self.options.minimum_crop, rng)]
        if rng.random() < 0.5:
            part = part[:, ::-1]
        jitter = self.options.jitter
        gains = (1 + rng.uniform(-jitter, jitter)) * (1 + rng.uniform(-jitter / 2, jitter / 2, 3))
        coloured = (part * gains).clip(0, 1).astype(np.float32)
        return for_clip(images.to_tensor([coloured]), self.options.image_size, "whole")[0]
