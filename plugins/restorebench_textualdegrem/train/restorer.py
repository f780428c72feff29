"""Stage three: training of a guided network on patches, each with the most similar part of its guidance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorebench import RestorebenchError
from restorebench.toolbox import images
from restorebench.toolbox.seeding import generator
from restorebench.training import data, sources
from restorebench.training.sources import Pair, Source
from restorebench.training.validating import restore_centres
from restorebench_textualdegrem import checkpoint
from restorebench_textualdegrem.guidance_folder import GuidanceFolder
from restorebench_textualdegrem.nafnet import GuidedNAFNet, NAFNetSizes
from restorebench_textualdegrem.promptir import GuidedPromptIR, PromptedSizes
from restorebench_textualdegrem.restormer import GuidedRestormer, Sizes
from restorebench_textualdegrem.train import reference
from restorebench_textualdegrem.train.config import GuidedTraining
from restorebench_textualdegrem.train.drawing import runtime

_BUILD: dict[str, dict[str, Callable[[bool], nn.Module]]] = {
    "published": {
        "restormer": lambda offsets: GuidedRestormer(replace(Sizes(), centred=offsets)),
        "nafnet": lambda offsets: GuidedNAFNet(NAFNetSizes()),
        "promptir": lambda offsets: GuidedPromptIR(PromptedSizes()),
    },
    "tiny": {
        "restormer": lambda offsets: GuidedRestormer(replace(checkpoint.TINY, centred=offsets)),
        "nafnet": lambda offsets: GuidedNAFNet(checkpoint.TINY_NAFNET),
        "promptir": lambda offsets: GuidedPromptIR(checkpoint.TINY_PROMPTED),
    },
}


class RestorerStage:
    """Training of a guided network by the mean absolute difference between restored and clean patches."""

    def __init__(self, options: GuidedTraining, cache: Path) -> None:
        self.options = options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            self.module: nn.Module = _BUILD[options.size][options.backbone](options.offsets)
        self.source, self.validation = sources.opened(options)
        self.guidance = None if options.guidance is None else GuidanceFolder(options.guidance)
        self.shown = (
            self.guidance if options.validation_guidance is None else GuidanceFolder(options.validation_guidance)
        )
        if self.guidance is not None:
            _require_sizes(self.guidance, self.source, options.patch)
            self.features = reference.features_of(options.alike, runtime(cache))
        if self.shown is not None and self.validation is not None:
            for pair in self.validation.validation(options.validation_images):
                self.shown.path(pair.name)

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield patches from batch number `first` on."""
        options = self.options
        pairs = data.Pairs(self.source, options)
        if self.guidance is None:
            patches = data.Patches(pairs, options.patch, options.turn)
        else:
            patches = GuidedPatches(pairs, options.patch, options.turn, self.guidance)
        return data.batches(patches, options.batch_size, first, rank, world, options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the mean absolute difference between restored and clean patches."""
        degraded, clean = batch["degraded"].to(device), batch["clean"].to(device)
        guidance = degraded
        if self.guidance is not None:
            guidance = reference.most_alike(self.features, batch["seen"].to(device), batch["windows"].to(device))
        return (module(degraded, guidance).float() - clean).abs().mean(), {}

    def after_step(self) -> None:
        """Do nothing: no weights have bounds."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Restore centres of 256 px; the network gets the whole guidance image."""
        assert self.validation is not None  # only called with data

        def restore(degraded: Tensor, pair: Pair) -> Tensor:
            given = degraded.to(device)
            if self.shown is None:
                return module(given, given).clamp(0, 1)
            return module(given, images.to_tensor([self.shown.image(pair.name)]).to(device)).clamp(0, 1)

        return restore_centres(self.validation, self.options.validation_images, restore, folder)

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors under `params`, where published code looks for them."""
        return {"params": dict(module.state_dict())}


class GuidedPatches(data.Patches):
    """Patches with the windows of their guidance, and with copies from before the flips and transpositions.

    The guidance is neither flipped nor transposed, so its windows are compared with these copies.
    """

    def __init__(self, pairs: data.Pairs, patch: int, turn: bool, guidance: GuidanceFolder) -> None:
        super().__init__(pairs, patch, turn)
        self.guidance = guidance

    def cut(self, pair: Pair, number: int) -> dict[str, Any]:
        """Cut the patch of a sample out of its pair, and the windows out of its guidance."""
        sample = super().cut(pair, number)
        rng = generator(self.pairs.seed, "sample", number)  # the same draws give the same crop
        seen, _ = data.cut_patch(pair.degraded, pair.clean, self.patch, False, rng)
        candidates = reference.windows(self.guidance.image(pair.name), self.patch)
        return sample | {"seen": data.tensor(seen), "windows": images.to_tensor(list(candidates))}


def _require_sizes(guidance: GuidanceFolder, source: Source, patch: int) -> None:
    """Check before anything runs that every pair has guidance, all of one size, and large enough for a patch.

    Raises:
        MissingResource: one is missing.
        RestorebenchError: sizes differ, or are too small.
    """
    sizes: dict[tuple[int, int], Path] = {}
    for path in dict.fromkeys(guidance.path(name) for name in source.names()):
        sizes.setdefault(images.read_size(path), path)
    shown = [f"{path.name} has {height} x {width} px" for (height, width), path in sizes.items()]
    if len(sizes) > 1:
        raise RestorebenchError(
            f"guidance {guidance.folder}: {shown[0]}, {shown[1]}; in training all must have one size, as Stable "
            "Diffusion makes them"
        )
    if min(next(iter(sizes))) < patch:
        raise RestorebenchError(
            f"guidance {guidance.folder}: {shown[0]}, smaller than a patch of {patch} px; set a smaller `patch`"
        )
