"""Score a restored batch under each column of a cell."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from restorebench.contracts import Metric, MetricInfo, Sample, ScoringProtocol
from restorebench.errors import ContractViolation
from restorebench.toolbox import images
from restorebench.toolbox.scoring import crop_map, prepare


@dataclass(frozen=True)
class LoadedMetric:
    """A metric, ready to be called under one protocol."""

    card: MetricInfo
    protocol: ScoringProtocol
    metric: Metric


Scores = dict[str, list[float | None]]


def score(
    restored: torch.Tensor, samples: Sequence[Sample], columns: Mapping[str, LoadedMetric], device: torch.device
) -> Scores:
    """Score (B, 3, H, W) under each column; pixel metrics on the CPU in float64, networks on the device.

    None where there is no clean image, or a metric's latent map is absent or marks nothing.

    Raises:
        ContractViolation: a metric gave NaN.
    """
    if any(sample.clean is None for sample in samples):
        return {column: [None] * len(samples) for column in columns}
    clean = images.to_tensor([sample.clean for sample in samples if sample.clean is not None])
    prepared: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    scores: Scores = {}
    with torch.no_grad():
        for column, loaded in columns.items():
            card, protocol = loaded.card, loaded.protocol
            maps = None
            if card.needs_map is not None:
                found = [_map(sample, card.needs_map) for sample in samples]
                if any(item is None for item in found):
                    scores[column] = [None] * len(samples)
                    continue
                stacked = torch.stack([torch.as_tensor(item, dtype=torch.float64) for item in found])
                maps = crop_map(stacked[:, None], protocol)
            key = f"{card.network}{protocol}"
            if key not in prepared:
                there = clean.to(device) if card.network else clean
                prepared[key] = (
                    prepare(restored, protocol, network=card.network),
                    prepare(there, protocol, network=card.network),
                )
            arguments = prepared[key] if maps is None else (*prepared[key], maps)
            values = loaded.metric(*arguments).double().cpu().tolist()
            missing = [math.isnan(value) for value in values]
            if any(missing) and card.needs_map is None:
                raise ContractViolation(f"metric {column} gave NaN")
            # A map that marks nothing leaves a region metric without a pixel: no score, and no failure.
            scores[column] = [None if gone else v for v, gone in zip(values, missing, strict=True)]
    return scores


def _map(sample: Sample, name: str) -> np.ndarray | None:
    """Return a latent map; a composite's maps are called `part/name`."""
    return next((m for key, m in sample.maps.items() if key == name or key.endswith(f"/{name}")), None)
