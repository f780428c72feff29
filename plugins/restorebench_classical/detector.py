"""The `statistics` detector: a linear model on hand-made statistics, which gives probabilities and may abstain."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from restorebench import CLEAN, Detection, Runtime
from restorebench.toolbox import linear
from restorebench.toolbox.linear import LinearModel
from restorebench_classical.statistics import features

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Image
    from restorebench_classical.options import StatisticsOptions

MODEL = "statistics.npz"
SECOND = 0.35  # a second label needs this probability; so there is at most one besides the top label


def stored_model() -> LinearModel:
    """Read the coefficients that `python -m restorebench_classical.fit` wrote."""
    with files("restorebench_classical").joinpath(MODEL).open("rb") as stream:
        return linear.read(stream)


class Statistics:
    """A detector with a linear model on `features`."""

    def __init__(self, model: LinearModel, temperature: float = 1) -> None:
        self.model = model
        self.temperature = temperature

    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one detection per image of (B, 3, H, W), without labels if `clean` is the most probable."""
        return [self.detect_one(image.permute(1, 2, 0).cpu().numpy()) for image in images]

    def detect_one(self, image: Image) -> Detection:
        """Detect in one (H, W, 3) image. The probability of `clean` is one minus the sum of the ten others."""
        values = self.model.probabilities(features(image)[None], self.temperature)[0]
        ranked = dict(zip(self.model.names, (float(value) for value in values), strict=True))
        top = max(ranked, key=lambda name: ranked[name])
        del ranked[CLEAN]
        labels = {name for name, value in ranked.items() if value > SECOND or name == top}
        return Detection(frozenset() if top == CLEAN else frozenset(labels), ranked)


def load(options: StatisticsOptions, runtime: Runtime) -> Statistics:
    """Load `statistics`."""
    return Statistics(stored_model(), options.temperature)
