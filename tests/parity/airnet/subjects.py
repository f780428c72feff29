"""The comparisons, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from tests.parity.airnet import outputs, pixels, training
from tests.parity.comparing import Fixtures, Row

SUBJECTS: dict[str, Callable[[Fixtures], Iterator[Row]]] = {
    "layout": outputs.layout,
    "dcn_unit": outputs.deformable_convolution,
    "block_unit": outputs.block,
    "augment_modes": pixels.turns,
    "lr_schedule": pixels.learning_rates,
    "protocol_noise": pixels.noise,
    "protocol_metrics": pixels.scores,
}
for _name in ("eval_24x20", "eval_b2_33x47", "eval_64x64", "eval_72x56", "eval_128x160"):
    SUBJECTS[_name] = partial(outputs.restorations, name=_name)
for _name in ("train_b3", "train_b5"):
    SUBJECTS[_name] = partial(training.step, name=_name)
"""All subjects by name."""


def compare(name: str, fixtures: Fixtures) -> list[Row]:
    """Return the rows of one subject."""
    with torch.set_grad_enabled(name.startswith("train")):
        return list(SUBJECTS[name](fixtures))
