"""Restorers whose values leave [0, 1], or differ when they are called again."""

import torch

from restorebench import RestorerInfo, hookimpl


def slightly(batch):
    """Move a few values outside, as sharpening does."""
    made = batch.degraded.clone()
    made[..., 0, :8] = 1.05  # 8 of 256 pixels
    return made


def by_key(batch):
    noise = [
        torch.randn(batch.degraded.shape[1:], generator=torch.Generator().manual_seed(key % 2**31))
        for key in batch.keys
    ]
    return (batch.degraded + torch.stack(noise) / 100).clamp(0, 1)


FUNCTIONS = {
    "bytes": lambda batch: batch.degraded * 255,
    "signed": lambda batch: batch.degraded * 2 - 1,
    "overshooting": slightly,
    "unsteady": lambda batch: (batch.degraded + torch.randn(batch.degraded.shape) / 100).clamp(0, 1),
    "keyed": by_key,
}


class Made:
    def __init__(self, function):
        self.restore = function


@hookimpl
def restorebench_restorers():
    return [
        RestorerInfo(name=name, version="1", summary="Ranges.", load=lambda options, runtime, f=f: Made(f))
        for name, f in FUNCTIONS.items()
    ]
