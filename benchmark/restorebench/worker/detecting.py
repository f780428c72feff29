"""Running a detector on a batch, with checks of its contract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from restorebench.contract.cards import DetectorInfo
from restorebench.contract.errors import ContractViolation
from restorebench.contract.tasks import CLEAN
from restorebench.contract.values import Detection, Detector
from restorebench.toolbox.counts import counted


def detect(detector: Detector, card: DetectorInfo, images: Tensor) -> list[Detection]:
    """Run a detector on images (B, 3, H, W), float32 RGB in [0, 1]; return one Detection each, with plain floats.

    Raises:
        ContractViolation: the detector broke its contract, or wrote into the images.
    """
    before = images.clone()
    with torch.no_grad():
        found = detector.detect(images)
    if not isinstance(found, Sequence) or len(found) != len(images):
        got = counted(len(found), "detection") if isinstance(found, Sequence) else type(found).__name__
        given = counted(len(images), "image")
        raise ContractViolation(f"detect returned {got} for {given}, expected one Detection each")
    if not torch.equal(before, images):
        raise ContractViolation("detect wrote into its images; work on a copy")
    return [_checked(card, detection) for detection in found]


def _checked(card: DetectorInfo, detection: Any) -> Detection:
    """Check one item that a plugin returned, of any type, against the contract.

    An image without degradation has no label: `clean` may have a probability, but is never a label.
    """
    if not isinstance(detection, Detection):
        raise ContractViolation(f"detect returned {type(detection).__name__}, expected a Detection")
    labels, probabilities = frozenset(detection.labels), dict(detection.probabilities)
    for name in (*labels, *probabilities):
        if not isinstance(name, str):
            raise ContractViolation(f"detect named {name!r}, which is not a string")
    if CLEAN in labels:
        raise ContractViolation(f"detect gave the label {CLEAN!r}; an image without degradation has no labels")
    unknown = sorted({*labels, *probabilities} - {*card.tasks, CLEAN}) if card.tasks else []
    if unknown:
        raise ContractViolation(f"detect named {unknown[0]!r}, which is not in the card's tasks")
    numbers = {name: float(value) for name, value in probabilities.items()}
    for name, value in numbers.items():
        if not 0 <= value <= 1:
            raise ContractViolation(f"detect gave {name} probability {value}, outside [0, 1]")
    return Detection(labels, numbers)
