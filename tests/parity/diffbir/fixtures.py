"""Read what the published code gave, and what it was given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tests.parity import rule_weights
from tests.parity.comparing import Row, tensor

if TYPE_CHECKING:
    from tests.parity.comparing import Fixtures


def tensors(fixtures: Fixtures, name: str) -> dict[str, Tensor]:
    """Read one file of tensors (.safetensors or .npz, texts left out)."""
    from safetensors.torch import load_file

    path = fixtures.folder / f"{name}.safetensors"
    if path.is_file():
        return load_file(path)
    return {key: tensor(value) for key, value in fixtures.arrays(name).items() if value.dtype.kind != "U"}


def draws(name: str, shape: Sequence[int]) -> Iterator[Tensor]:
    """Yield noise by rule, draw after draw."""
    return (rule_weights.noise(f"{name}.{place}", shape) for place in count())


def absolute(subject: str, ours: Tensor, theirs: Tensor, allowed: float) -> Row:
    """Compare by the greatest absolute difference; other shapes are infinitely far."""
    if ours.shape != theirs.shape:
        return Row(subject, float("inf"), allowed)
    return Row(subject, float((ours.detach().double() - theirs.double()).abs().max()), allowed)


def relative(subject: str, ours: Tensor, theirs: Tensor, allowed: float) -> Row:
    """Compare by the greatest absolute difference over the greatest absolute value."""
    row = absolute(subject, ours, theirs, allowed)
    return Row(subject, row.error / float(theirs.abs().max()), allowed)


def same(subject: str, holds: bool) -> Row:
    """Compare what must be equal."""
    return Row(subject, 0.0 if holds else float("inf"), 0.0)


def equal(subject: str, ours: Sequence[int] | Sequence[Sequence[int]], theirs: Tensor) -> Row:
    """Compare whole numbers."""
    return same(subject, torch.equal(torch.tensor(ours), theirs.long()))
