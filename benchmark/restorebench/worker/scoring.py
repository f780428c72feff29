"""Scoring a restored batch under each column of a cell. A metric that fails loses its column, never the image."""

from __future__ import annotations

import math
import traceback
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from restorebench.contract.cards import MetricInfo, ScoringProtocol
from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Metric, Sample
from restorebench.guest.reasons import failure_of
from restorebench.records import Failure
from restorebench.toolbox import images
from restorebench.toolbox.scoring import PREPARING, crop_map, prepare


@dataclass(frozen=True)
class LoadedMetric:
    """A metric that is ready for one protocol. failure: why it could not be loaded; then metric is None.

    ours: it comes with this package.
    """

    card: MetricInfo
    protocol: ScoringProtocol
    metric: Metric | None
    failure: Failure | None = None
    ours: bool = False


@dataclass(frozen=True)
class ImageScores:
    """The scores of one image by column, None if a column does not apply; and the failures of other columns."""

    values: dict[str, float | None] = field(default_factory=dict)
    failures: dict[str, Failure] = field(default_factory=dict)


_Pair = tuple[Tensor, Tensor]
Turn = AbstractContextManager[object]


def score(
    restored: Tensor,
    samples: Sequence[Sample],
    columns: Mapping[str, LoadedMetric],
    device: torch.device,
    turn: Turn | None = None,
) -> list[ImageScores]:
    """Score (B, 3, H, W) on `device` under each column: networks on `device`, other metrics in float64 on the CPU.

    turn: held while a network computes, so that it does not share the device with a method that is timed.
    A score is None if the sample has no clean image, has no latent map for the metric, or its map marks nothing.
    """
    found = [ImageScores(dict.fromkeys(columns)) for _ in samples]
    batch = _PreparedBatch(restored, samples, device)
    turn = turn or nullcontext()
    for column, loaded in columns.items():
        rows = tuple(row for row, sample in enumerate(samples) if _applies(loaded, sample))
        with turn if loaded.card.network else nullcontext():
            values, failures = _column(column, loaded, batch, rows)
        for row in rows:
            if row in failures:
                del found[row].values[column]
                found[row].failures[column] = failures[row]
            else:
                found[row].values[column] = values[row]
    return found


class _PreparedBatch:
    """A batch and its clean images, prepared once per protocol."""

    def __init__(self, restored: Tensor, samples: Sequence[Sample], device: torch.device) -> None:
        self.samples = samples
        self._restored = restored
        self._device = device
        self._prepared: dict[tuple[object, ...], _Pair] = {}

    def under(self, loaded: LoadedMetric, rows: tuple[int, ...]) -> _Pair:
        """Return some rows of the batch and their clean images for one metric."""
        network, protocol = loaded.card.network, loaded.protocol
        key = (network, rows, *(getattr(protocol, name) for name in PREPARING))
        if key not in self._prepared:
            clean = images.to_tensor([image for row in rows if (image := self.samples[row].clean) is not None])
            chosen = self._restored if len(rows) == len(self.samples) else self._restored[list(rows)]
            self._prepared[key] = (
                prepare(chosen.to(self._device) if network else chosen, protocol, network=network),
                prepare(clean.to(self._device) if network else clean, protocol, network=network),
            )
        restored, clean = self._prepared[key]
        # The metric of another package may write into its images; ours are tested not to.
        return (restored, clean) if loaded.ours else (restored.clone(), clean.clone())


def _column(
    column: str, loaded: LoadedMetric, batch: _PreparedBatch, rows: tuple[int, ...]
) -> tuple[dict[int, float | None], dict[int, Failure]]:
    """Score some rows; if that fails, one row at a time. Return the values and the failures by row."""
    if loaded.failure is not None:
        return {}, dict.fromkeys(rows, loaded.failure)
    if not rows:
        return {}, {}
    try:
        maps = [_map(batch.samples[row], loaded.card.needs_map) for row in rows]
        with torch.no_grad():
            values = _called(loaded, batch.under(loaded, rows), maps)
        return dict(zip(rows, values, strict=True)), {}
    except Exception as error:
        traceback.print_exc()
        if len(rows) == 1:
            return {}, {rows[0]: failure_of(error, f"metric {column}: ")}
    found: dict[int, float | None] = {}
    failures: dict[int, Failure] = {}
    for row in rows:
        one, failed = _column(column, loaded, batch, (row,))
        found |= one
        failures |= failed
    return found, failures


def _called(loaded: LoadedMetric, pair: _Pair, maps: Sequence[np.ndarray | None]) -> list[float | None]:
    """Call a metric; a score is None if the map marks no pixel, which is not a failure."""
    assert loaded.metric is not None  # a metric that could not be loaded is not called
    known = [torch.as_tensor(item, dtype=torch.float64) for item in maps if item is not None]
    latent = [crop_map(torch.stack(known)[:, None], loaded.protocol)] if known else []
    answer = held(loaded.metric(*pair, *latent), loaded.card, len(pair[0]), may_be_nan=bool(known))
    return [None if math.isnan(value) else value for value in answer.tolist()]


def held(answer: Any, card: MetricInfo, count: int, *, may_be_nan: bool = False) -> Tensor:
    """Check what a metric returned, of any type, against the contract; return (count,) float64 on the CPU.

    Raises:
        ContractViolation: it is not a (count,) tensor of float64, or of float32 for a network; or it has NaN.
    """
    if not isinstance(answer, Tensor) or answer.shape != (count,):
        got = tuple(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ContractViolation(f"returned {got}, expected a tensor of shape ({count},)")
    if answer.dtype != torch.float64 and not (card.network and answer.dtype == torch.float32):
        raise ContractViolation(f"returned {answer.dtype}, expected float64")
    scores = answer.detach().double().cpu()
    if not may_be_nan and bool(scores.isnan().any()):
        raise ContractViolation("returned NaN")
    return scores


def _applies(loaded: LoadedMetric, sample: Sample) -> bool:
    wanted = loaded.card.needs_map
    return sample.clean is not None and (wanted is None or _map(sample, wanted) is not None)


def _map(sample: Sample, name: str | None) -> np.ndarray | None:
    """Return a latent map by its name, or None; a composite's maps are named `part/name`."""
    if name is None:
        return None
    return next((m for key, m in sample.maps.items() if key == name or key.endswith(f"/{name}")), None)
