"""The stage for the shared training loop: restoring crops of degraded photographs, and naming the degradation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from restorebench import CLEAN, TEN_NAMES, RestorebenchError, synthesisers
from restorebench.toolbox import images, photographs, weights
from restorebench.toolbox.networks import drawn_from
from restorebench.toolbox.seeding import generator
from restorebench.toolbox.synthesis import degrade, psnr
from restorebench_compact.network import Compact, View
from restorebench_compact.train import bank
from restorebench_compact.train.config import CompactTraining, Crops
from restorebench_compact.whole import restore

_GRID = 8
"""Crops begin at multiples of this, in px, so that JPEG blocks lie as in whole images."""
_FLOOR = 1e-5  # added to mean squared errors: a PSNR of 50 dB needs no improvement
_SCALE = 5.0


class CompactStage:
    """Training on crops from a bank, each of a task drawn at random; the crops of a step have one size."""

    def __init__(self, options: CompactTraining, cache: Path) -> None:
        self.options = options
        with drawn_from(options.seed):
            network = Compact(options.sizes())
        if options.initial is not None:
            weights.load(
                network, weights.read(options.initial), options.initial, "expected: weights of this network"
            )
        self.module: nn.Module = network.to(memory_format=torch.channels_last)
        self.rounds = [crops for crops in options.crops for _ in range(crops.share)]
        self.odds = _odds(options.task_weights or {}, options.data.clean_share)
        self._shown: list[tuple[str, Any, Any]] = []
        self._bank: tuple[int, bank.Bank] | None = None

    def batches(self, first: int, rank: int, world: int) -> Iterator[dict[str, Any]]:
        """Yield the crops of each step, from batch number `first` on; a batch depends only on its number."""
        number = first * world + rank
        while True:
            yield self._batch(number)
            number += world

    def _batch(self, number: int) -> dict[str, Any]:
        rng = generator(self.options.seed, "batch", number)
        crops = self.rounds[number % len(self.rounds)]
        held = self._held(number)
        kinds = rng.choice(len(self.odds), size=crops.batch, p=self.odds)
        samples = [_cut(held[self._drawn(held, int(kind), rng)], crops, rng) for kind in kinds]
        stacked = {name: torch.from_numpy(np.stack([each[name] for each in samples])) for name in samples[0]}
        return stacked | {"number": number}

    @staticmethod
    def _drawn(held: bank.Bank, kind: int, rng: np.random.Generator) -> int:
        """Draw the number of a record of a kind; the kinds come in turn."""
        return int(rng.integers(len(held) // len(bank.KINDS))) * len(bank.KINDS) + kind

    def _held(self, number: int) -> bank.Bank:
        """Return the bank for a batch; it is made when it is first needed."""
        options = self.options
        turn = 0 if options.bank.renew is None else number // options.bank.renew
        if self._bank is None or self._bank[0] != turn:
            assert options.data.clean is not None  # as the configuration ensures
            folder = options.bank.folder or options.output / "bank"
            opened = bank.opened(
                folder, options.data.clean, options.bank, options.data.severities, options.seed, turn
            )
            self._bank = turn, opened
        return self._bank[1]

    def loss(
        self, module: nn.Module, batch: Mapping[str, Any], device: torch.device
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss of the restored crops and of the detector head, and numbers for the log."""
        on = {name: value.to(device) for name, value in batch.items() if isinstance(value, Tensor)}
        image, filled, clean = (on[name].float() / 255 for name in ("degraded", "filled", "clean"))
        grid = on["grid"] if self.options.overview else torch.zeros_like(on["grid"])
        view = View(image, filled, on["holes"].float(), on["statistics"], grid, on["box"])
        restored, logits = module(view)
        error = (restored - clean).square().mean(dim=(1, 2, 3))
        power = self.options.exponent.at(batch["number"])
        floored = error + _FLOOR
        distance = floored.log() if power == 0 else (floored**power - 1) / power
        named = F.cross_entropy(logits, on["kind"])
        before = (image - clean).square().mean(dim=(1, 2, 3))
        degraded = on["kind"] < len(bank.KINDS) - 1
        gains = -10 * ((error.detach() + _FLOOR) / (before + _FLOOR)).log10()[degraded]
        numbers = {
            "gain": float(gains.mean()) if len(gains) else 0.0,
            "named": float((logits.argmax(dim=1) == on["kind"]).float().mean()),
        }
        return _SCALE * distance.mean() + self.options.detection_weight * named, numbers

    def after_step(self) -> None:
        """Do nothing: no weights have bounds."""

    def validate(self, module: nn.Module, folder: Path, device: torch.device) -> dict[str, float]:
        """Restore whole photographs: the even-numbered ones of the folder in order of name, counted from 1.

        The result has the mean gain over the tasks in dB, the gain of each task, the PSNR of clean photographs,
        and the share of pictures whose degradation the detector head names correctly.
        """
        assert isinstance(module, Compact)  # what this stage trains, or its average
        scores: dict[str, list[float]] = {kind: [] for kind in bank.KINDS}
        right: list[bool] = []
        for kind, degraded, clean in self._validation():
            image, logits = restore(module, degraded, device, self.options.overview)
            before = psnr(degraded, clean) if kind != CLEAN else 0.0
            scores[kind].append(psnr(images.quantise(image), clean) - before)
            right.append(bank.KINDS[int(logits.argmax())] == kind)
        means = {kind: sum(each) / len(each) for kind, each in scores.items()}
        kept = means.pop(CLEAN)
        mean = sum(means.values()) / len(means)
        return {"gain": mean, "clean": kept, "named": sum(right) / len(right)} | means

    def _validation(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield kind, degraded and clean photograph; they are degraded once and kept in 8 bits."""
        data = self.options.validation
        assert data is not None and data.clean is not None  # only called with data
        if not self._shown:
            makers = synthesisers(TEN_NAMES)
            for path in photographs.listed(data.clean)[1::2][: self.options.validation_images]:
                clean = images.read(path)
                for kind in bank.KINDS:
                    shown = clean if kind == CLEAN else degrade(makers[kind], clean, kind, data.severities[0])
                    self._shown.append((kind, images.to_8bit(shown), images.to_8bit(clean)))
        for kind, shown, clean in self._shown:
            yield kind, shown.astype(np.float32) / 255, clean.astype(np.float32) / 255

    def published(self, module: nn.Module) -> dict[str, Any]:
        """Return the tensors, together with the sizes of the network."""
        held = {name: value.contiguous() for name, value in module.state_dict().items()}
        return {"state_dict": held, "notes": self.options.sizes().notes()}


def _odds(task_weights: Mapping[str, float], clean_share: float) -> list[float]:
    """Return the probability of each kind."""
    if unknown := sorted(task_weights.keys() - set(TEN_NAMES)):
        raise RestorebenchError(f"task_weights: {unknown[0]!r} is not one of the ten tasks")
    each = [task_weights.get(task, 1.0) for task in TEN_NAMES]
    return [value / sum(each) * (1 - clean_share) for value in each] + [clean_share]


def _cut(record: bank.Record, crops: Crops, rng: np.random.Generator) -> dict[str, Any]:
    """Cut one crop out of a record, as arrays; half of the crops are flipped left to right."""
    side = crops.side
    height, width = record.clean.shape[:2]
    top, left = (int(rng.integers(max(length - side, 0) // _GRID + 1)) * _GRID for length in (height, width))
    across = rng.random() < 0.5
    box = np.array([top / height, left / width, (top + side) / height, (left + side) / width], np.float32)
    grid = record.grid
    if across:
        box[[1, 3]] = 1 - box[[3, 1]]
        grid = grid[:, :, ::-1]

    def part(plane: Any) -> Any:
        cut = plane[top : top + side, left : left + side]
        if cut.shape[:2] != (side, side):
            pad = [(0, side - cut.shape[0]), (0, side - cut.shape[1]), *[(0, 0)] * (cut.ndim - 2)]
            cut = np.pad(cut, pad, mode="symmetric")
        return cut[:, ::-1] if across else cut

    planes = {name: part(getattr(record, name)).transpose(2, 0, 1) for name in ("degraded", "filled", "clean")}
    return planes | {
        "holes": part(record.holes)[None],
        "statistics": record.statistics,
        "grid": np.ascontiguousarray(grid),
        "box": box,
        "kind": record.kind,
    }
