"""What plugins with networks share: number formats by name, and weights drawn from a seed of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""What the option `precision` of plugins and trainings stands for."""

UNTRAINED_SEED = 0
"""From which plugins draw the weights of `weights: untrained`, the same every time."""


@contextmanager
def drawn_from(seed: int = UNTRAINED_SEED) -> Iterator[None]:
    """Draw weights on the CPU from a seed, and leave torch's own generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
