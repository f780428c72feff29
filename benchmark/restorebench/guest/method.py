"""A loaded method as the worker sees it, whether it is in a guest or in this process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from restorebench.contract.values import Batch, Detection
from restorebench.guest import calling, memory


@dataclass(frozen=True)
class Call:
    """What came of one call of `restore`.

    images: (B, 3, H, W) float32, finite. seconds: by the worker's clock. inside: by the guest's, as a check.
    peak_mib: as from `memory.peak_mib`. fallbacks: what the restorer did in place of what its options say.
    """

    images: Tensor
    seconds: float
    inside: float
    peak_mib: float | None
    fallbacks: tuple[str, ...]


class Method(Protocol):
    """A loaded restorer or detector."""

    def restore(self, batch: Batch) -> Call:
        """Restore a batch.

        Raises:
            ContractViolation, GuestFailure: the restorer broke its contract, or failed.
        """

    def detect(self, images: Tensor) -> list[Detection]:
        """Name the degradations of images (B, 3, H, W), one Detection each.

        Raises:
            ContractViolation, GuestFailure: the detector broke its contract, or failed.
        """


@dataclass(frozen=True)
class Here:
    """A method in this very process, which has no boundary. loaded: the plugin's object."""

    loaded: Any
    device: torch.device

    def restore(self, batch: Batch) -> Call:
        """Restore a batch, as `Method.restore` says."""
        measured = memory.reset_peak(self.device)
        with calling.fallbacks() as reported:
            images, seconds = calling.restored(self.loaded, moved(batch, self.device), batch.degraded.clone())
        calling.require_finite(images)
        peak = memory.peak_mib(self.device) if measured else None
        ours = images.to(batch.degraded.device, copy=True)  # the method may use its own again
        return Call(ours, seconds, seconds, peak, tuple(dict.fromkeys(reported)))

    def detect(self, images: Tensor) -> list[Detection]:
        """Detect, as `Method.detect` says."""
        return calling.detected(self.loaded, images.to(self.device))


def parameters(loaded: object) -> int | None:
    """Count the parameters of all modules of a loaded method, shared ones once; None if it has no module."""
    found = {
        id(parameter): parameter.numel()
        for value in [loaded, *getattr(loaded, "__dict__", {}).values()]
        if isinstance(value, torch.nn.Module)
        for parameter in value.parameters()
    }
    return sum(found.values()) if found else None


def moved(batch: Batch, device: torch.device) -> Batch:
    """Move the images of a batch to a device."""
    clean = None if batch.clean is None else batch.clean.to(device)
    whole = None if batch.whole is None else batch.whole.to(device)
    return replace(batch, degraded=batch.degraded.to(device), clean=clean, whole=whole)
