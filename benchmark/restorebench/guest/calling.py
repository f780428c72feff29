"""Calls of a loaded restorer or detector, timed, with checks of what it returns."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from restorebench.contract.errors import ContractViolation, Fallback
from restorebench.contract.tasks import CLEAN
from restorebench.contract.values import Batch, Detection, Detector, Restorer
from restorebench.toolbox.counts import counted


def restored(restorer: Restorer, batch: Batch, given: Tensor) -> tuple[Tensor, float]:
    """Restore a batch; return the images, on the batch's device, and the seconds that the restorer alone took.

    The device is synchronised before the clock is read, at the start and at the end. given: the degraded images,
    in memory that the restorer does not have.

    Raises:
        ContractViolation: it returned something else than images like the degraded ones, or wrote into them.
    """
    degraded = batch.degraded
    with torch.no_grad():  # never inference_mode: guided samplers need gradients inside
        _synchronise(degraded.device)
        began = time.perf_counter()
        images: Any = restorer.restore(batch)
        _synchronise(degraded.device)
        seconds = time.perf_counter() - began
    if not isinstance(images, Tensor):
        raise ContractViolation(f"restore returned {type(images).__name__}, expected a torch.Tensor")
    if images.shape != degraded.shape:
        raise ContractViolation(f"restore returned shape {tuple(images.shape)}, not {tuple(degraded.shape)}")
    if images.dtype != degraded.dtype:
        raise ContractViolation(f"restore returned {images.dtype}, expected {degraded.dtype}")
    if images.device != degraded.device:
        raise ContractViolation(f"restore returned a tensor on {images.device}, expected {degraded.device}")
    if not torch.equal(given, degraded.to(given.device)):
        raise ContractViolation("restore wrote into batch.degraded; work on a copy")
    return images.detach(), seconds


def require_finite(images: Tensor) -> None:
    """Raise ContractViolation if a restored image holds NaN or infinity."""
    if not all(math.isfinite(each) for each in torch.aminmax(images)):  # NaN is the least and the greatest of any
        raise ContractViolation("restore returned NaN or infinite values")


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def fallbacks() -> Iterator[list[str]]:
    """Collect a restorer's warnings of the category `Fallback`; other warnings are passed on."""
    reported: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Fallback)
        yield reported
    for each in caught:
        if issubclass(each.category, Fallback):
            reported.append(str(each.message))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def detected(detector: Detector, images: Tensor) -> list[Detection]:
    """Run a detector on images (B, 3, H, W), float32 RGB in [0, 1]; return one Detection each.

    Raises:
        ContractViolation: the detector returned something else, or wrote into the images.
    """
    before = images.clone()
    with torch.no_grad():
        found: Any = detector.detect(images)
    if not isinstance(found, Sequence) or len(found) != len(images):
        got = counted(len(found), "detection") if isinstance(found, Sequence) else type(found).__name__
        given = counted(len(images), "image")
        raise ContractViolation(f"detect returned {got} for {given}, expected one Detection each")
    if not torch.equal(before, images):
        raise ContractViolation("detect wrote into its images; work on a copy")
    for each in found:
        if not isinstance(each, Detection):
            raise ContractViolation(f"detect returned {type(each).__name__}, expected a Detection")
        for name in (*each.labels, *each.probabilities):
            if not isinstance(name, str):
                raise ContractViolation(f"detect named {name!r}, which is not a string")
    return [
        Detection(frozenset(each.labels), {name: float(value) for name, value in each.probabilities.items()})
        for each in found
    ]


def checked(tasks: Sequence[str], found: Sequence[Detection]) -> list[Detection]:
    """Return detections that keep the contract. tasks: those of the card, which it may name; empty for any.

    An image without degradation has no label: `clean` may have a probability, but is never a label.

    Raises:
        ContractViolation: one does not.
    """
    for each in found:
        if CLEAN in each.labels:
            raise ContractViolation(f"detect gave the label {CLEAN!r}; an image without degradation has no labels")
        unknown = sorted({*each.labels, *each.probabilities} - {*tasks, CLEAN}) if tasks else []
        if unknown:
            raise ContractViolation(f"detect named {unknown[0]!r}, which is not in the card's tasks")
        for name, value in each.probabilities.items():
            if not 0 <= value <= 1:
                raise ContractViolation(f"detect gave {name} probability {value}, outside [0, 1]")
    return list(found)
