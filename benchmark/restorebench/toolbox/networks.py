"""Helpers for plugins with networks: number formats by name, and weights drawn from a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
"""The values of the option `precision` of plugins and trainings."""

UNTRAINED_SEED = 0
"""Seed from which plugins draw the weights of `weights: untrained`, so that they are the same every time."""


@contextmanager
def drawn_from(seed: int = UNTRAINED_SEED) -> Iterator[None]:
    """Draw weights on the CPU from a seed within the block; torch's own generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
