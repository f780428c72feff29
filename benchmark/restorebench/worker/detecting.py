"""Running a detector on a batch, with checks of its contract."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from restorebench.contract.cards import DetectorInfo
from restorebench.contract.values import Detection, Detector
from restorebench.guest.calling import checked
from restorebench.guest.method import Here, Method


def detect(detector: Detector, card: DetectorInfo, images: Tensor) -> list[Detection]:
    """Run a detector that is loaded in this process on images (B, 3, H, W), float32 RGB in [0, 1].

    Raises:
        ContractViolation: the detector broke its contract, or wrote into the images.
    """
    return detect_by(Here(detector, images.device), card.tasks, images)


def detect_by(method: Method, tasks: Sequence[str], images: Tensor) -> list[Detection]:
    """Run a detector, wherever it is loaded; return one Detection per image. tasks: those of its card.

    Raises:
        ContractViolation, GuestFailure: the detector broke its contract, or failed.
    """
    return checked(tasks, method.detect(images))
