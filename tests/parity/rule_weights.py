"""Weights and inputs by rule: each depends on a name and a shape alone, so that no file of them has to travel.

Whoever fills a published network and ours by the same rule can compare what they give. Only raw words of PCG64 are
used, whose stream does not change between versions and platforms.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

_NAMED = {
    "prompt": (100.0, 0.0),
    "g": (0.1, 1.0),
    "beta": (0.5, 0.0),
    "gamma": (0.5, 0.0),
    "running_var": (0.1, 1.0),
}


def uniform(name: str, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return float32 in [0, 1), 24 bits each."""
    return (_words(name, math.prod(shape)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def noise(name: str, shape: Sequence[int]) -> Tensor:
    """Return bell-shaped float32 noise of variance one: twelve uniforms less six."""
    import torch

    words = _words(f"noise:{name}", 12 * math.prod(shape)).astype(np.float64)
    total = words.reshape(12, -1).sum(axis=0) * 2.0**-24 - 6
    return torch.from_numpy(total.astype(np.float32).reshape(shape))


def weight(name: str, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return float32 weights by a tensor's name: spread by fan-in, around 1 for gains, small for offsets."""
    last = name.rpartition(".")[2]
    if last == "logit_scale":
        return np.full(shape, math.log(1 / 0.07), np.float32)
    if not shape:
        return np.ones(shape, np.float32)
    spread, centre = _spread(name, last, shape)
    return (uniform(name, shape) * np.float32(2) - np.float32(1)) * np.float32(spread) + np.float32(centre)


def fill(
    network: nn.Module, rename: Callable[[str], str] = str, gain: Callable[[str], float] | None = None
) -> None:
    """Give a network its weights by rule, and integers zero; it is in evaluation mode afterwards.

    rename: from a tensor's own name to the one that decides its values. gain: from its own name to what they are
    multiplied by.
    """
    import torch

    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if not tensor.is_floating_point():
                tensor.zero_()
                continue
            tensor.copy_(torch.from_numpy(weight(rename(name), tuple(tensor.shape))))
            if gain is not None:
                tensor.mul_(gain(name))
    network.eval()


def _words(name: str, count: int) -> np.ndarray[Any, Any]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest(), "little")
    return np.random.PCG64(seed).random_raw(count) >> np.uint64(40)


def _spread(name: str, last: str, shape: Sequence[int]) -> tuple[float, float]:
    if last in _NAMED:
        return _NAMED[last]
    if len(shape) >= 2:
        gain = 0.3 if re.search(r"zero_modules\.\d+\.weight$", name) else 1.0
        return gain * math.sqrt(3 / math.prod(shape[1:])), 0.0
    return (0.1, 1.0) if last.endswith("weight") else (0.05, 0.0)
