"""The `statistics` detector: a linear model on hand-made statistics, with probabilities and a way to abstain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np

from restorebench import CLEAN, Detection, Runtime
from restorebench_classical.statistics import features

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Image

MODEL = "statistics.npz"
SECOND = 0.35  # a further label needs this probability: at most one more beside the top one
LIMIT = 6.0  # standard deviations; a statistic beyond the training set's range says no more than this


@dataclass(frozen=True)
class Model:
    """Multinomial logistic regression on standardised statistics.

    names: the C classes, `clean` among them. centre, scale: (K,). weights: (C, K). bias: (C,).
    """

    names: tuple[str, ...]
    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def probabilities(self, statistics: np.ndarray) -> np.ndarray:
        """Return class probabilities, (N, C) float64, of statistics (N, K)."""
        return softmax(standardise(statistics, self.centre, self.scale) @ self.weights.T + self.bias)


def standardise(statistics: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Express (N, K) statistics in standard deviations of the training set, limited."""
    return np.clip((statistics - centre) / scale, -LIMIT, LIMIT)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Turn (N, C) scores into probabilities."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def stored_model() -> Model:
    """Read the coefficients that `python -m restorebench_classical.fit` made."""
    with files("restorebench_classical").joinpath(MODEL).open("rb") as stream, np.load(stream) as stored:
        arrays = {name: stored[name].astype(np.float64) for name in ("centre", "scale", "weights", "bias")}
        return Model(tuple(str(name) for name in stored["names"]), **arrays)


class Statistics:
    """Detect by a linear model on `features`."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one verdict per image of (B, 3, H, W); empty where `clean` is the most probable."""
        return [self.detect_one(image.permute(1, 2, 0).cpu().numpy()) for image in images]

    def detect_one(self, image: Image) -> Detection:
        """Judge one (H, W, 3) image. What the ten probabilities lack to one is the probability of `clean`."""
        values = self.model.probabilities(features(image)[None])[0]
        ranked = dict(zip(self.model.names, (float(value) for value in values), strict=True))
        top = max(ranked, key=lambda name: ranked[name])
        del ranked[CLEAN]
        labels = {name for name, value in ranked.items() if value > SECOND or name == top}
        return Detection(frozenset() if top == CLEAN else frozenset(labels), ranked)


def load(options: None, runtime: Runtime) -> Statistics:
    """Load `statistics`."""
    return Statistics(stored_model())
