"""What the tests of DiffBIR share."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from restorebench import TEN, Batch, Runtime


@pytest.fixture
def runtime(tmp_path):
    """An offline worker's runtime with an empty cache."""
    return Runtime("cpu", 1, Path(tmp_path / "cache"), {}, True, TEN, lambda kind, name: None)


@pytest.fixture
def batch():
    """Build a batch of random images; the same sizes and seed give the same pixels."""

    def build(count=1, height=24, width=20, seed=0):
        drawn = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))
        return Batch(drawn, (None,) * count, tuple(range(count)), (height, width))

    return build
