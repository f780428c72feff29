"""The stage that the shared loop trains: first the encoder, then the encoder and the restorer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from restorebench import RestorebenchError
from restorebench.toolbox.networks import drawn_from
from restorebench.toolbox.seeding import generator
from restorebench.training import data, sources
from restorebench.training.losses import spectrum_distance
from restorebench.training.sources import Pair
from restorebench.training.validating import restore_centres
from restorebench_airnet import checkpoint, losses
from restorebench_airnet.network import AirNet
from restorebench_airnet.train.config import AirNetTraining


class AirNetStage:
    """Training by contrast of two patches of an image; after the first phase the first patch is restored too."""

    def __init__(self, options: AirNetTraining, cache: Path) -> None:
        sizes = options.sizes()
        if sizes.queue % options.batch_size:
            raise RestorebenchError(
                f"queue: {sizes.queue} is no multiple of batch_size {options.batch_size}; leave it out for"
                f" {256 * options.batch_size}"
            )
        self.options = options
        with drawn_from(options.seed):
            self.module: nn.Module = _Phases(AirNet(sizes)).to(memory_format=torch.channels_last)
        self.source, self.validation = sources.opened(options)
        self._samples = options.batch_size * options.accumulate

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield batches of pairs of patches, from batch number `first` on."""
        options = self.options
        self._samples = options.batch_size * options.accumulate * world
        patches = PatchPairs(data.Pairs(self.source, options), options.patch, options.turn)
        return data.batches(patches, options.batch_size, first, rank, world, options.workers)

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Compare the patches, and after the first phase also the restored with the clean patches."""
        query, key = (_on_device(batch[name], device) for name in ("degraded", "key"))
        done, frozen = int(batch["number"][0]) // self._samples, self.options.freeze_statistics
        joint = done >= self.options.contrast_iterations
        if frozen is not None and done >= frozen:
            _freeze_statistics(self.module)
        restored, logits, labels = module(query, key, joint)
        logits = logits.float()
        numbers = {
            "contrast": float(losses.contrast_loss(logits.detach(), labels)),
            "accuracy": float((logits.argmax(dim=1) == labels).float().mean()),
        }
        if not joint:
            return losses.contrast_loss(logits, labels), numbers
        restored, clean = restored.float(), _on_device(batch["clean"], device)
        loss = losses.joint_loss(restored, clean, logits, labels)
        if self.options.spectrum:
            loss = loss + self.options.spectrum * spectrum_distance(restored, clean)
        return loss, numbers | {"l1": float((restored.detach() - clean).abs().mean())}

    def after_step(self) -> None:
        """Do nothing: no parameter has bounds."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Restore the 256 px centres of validation images."""
        assert isinstance(module, _Phases)  # what this stage trains, or its average
        assert self.validation is not None  # only called with data
        network = module.network

        def restore(degraded: Tensor, pair: Pair) -> Tensor:
            return network.restore(_on_device(degraded, device))

        training = module.training
        module.eval()
        try:
            return restore_centres(self.validation, self.options.validation_images, restore, folder)
        finally:
            module.train(training)

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors, and as notes the settings that cannot be read from them.

        Of averaged weights, return only the tensors that affect restored images, because training never continues
        from an average.
        """
        assert isinstance(module, _Phases)  # what this stage trains, or its average
        state = module.network.state_dict()
        kept = state if module is self.module else checkpoint.needed(state)
        held = {name: value.contiguous() for name, value in kept.items()}
        notes = module.network.sizes.notes()
        return {"state_dict": held, "notes": notes} if notes else held


class _Phases(nn.Module):
    """Either phase as one module call, as distributed training needs it."""

    def __init__(self, network: AirNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, query: Tensor, key: Tensor, joint: bool) -> tuple[Tensor | None, Tensor, Tensor]:
        if joint:
            restored, logits, labels = self.network(query, key)
            return restored, logits, labels
        logits, labels, _ = self.network.compare(query, key)
        return None, logits, labels


class PatchPairs(data.Patches):
    """Two patches of an image, flipped and turned independently; only the first has a clean counterpart."""

    def cut(self, pair: Pair, number: int) -> dict[str, Any]:
        """Cut the patches of a sample out of its pair."""
        rng = generator(self.pairs.seed, "sample", number)
        (query, clean), (key, _) = (
            data.cut_patch(pair.degraded, pair.clean, self.patch, self.turn, rng) for _ in range(2)
        )
        shown = {"degraded": query, "key": key, "clean": clean}
        return {name: data.tensor(image) for name, image in shown.items()} | {"task": pair.task, "number": number}


def _freeze_statistics(module: nn.Module) -> None:
    """Make batch normalisation use its running statistics without updating them."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


def _on_device(images: Tensor, device: torch.device) -> Tensor:
    return images.to(device).contiguous(memory_format=torch.channels_last)
