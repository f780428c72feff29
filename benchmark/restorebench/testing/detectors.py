"""Claims about detectors: sizes, batches, probabilities and vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench.contracts import Detection
from restorebench.tasks import CLEAN
from restorebench.testing.subject import BATCH_TOLERANCE, SIZES, Subject, images_of

if TYPE_CHECKING:
    from torch import Tensor


def detects_every_size(subject: Subject) -> None:
    """One Detection per image of any size: probabilities in [0, 1], labels of the vocabulary, images unwritten."""
    for height, width in SIZES:
        _detected(subject, images_of(subject, height, width, range(2), noise=0.02))


def detects_each_image_alone(subject: Subject) -> None:
    """An image judged in a batch is the image judged alone, and again."""
    images = images_of(subject, 40, 24, range(3), noise=0.1)
    for place, together in enumerate(_detected(subject, images)):
        (alone,) = _detected(subject, images[place : place + 1])
        subject.hold(
            alone.labels == together.labels,
            f"image {place} of a batch is {sorted(together.labels)}, alone it is {sorted(alone.labels)}",
        )
        for name, value in together.probabilities.items():
            change = abs(float(value) - float(alone.probabilities.get(name, math.inf)))
            subject.hold(
                change <= BATCH_TOLERANCE,
                f"probability of {name} of image {place} differs by {change:.2g} between batch and single",
            )


def _detected(subject: Subject, images: Tensor) -> Sequence[Detection]:
    """Detect as a worker does, and hold the answer to the contract."""
    import torch

    before = images.clone()
    with torch.no_grad():
        found = list(subject.loaded.detect(images))
    subject.hold(torch.equal(before, images), "detect wrote into its images; work on a copy")
    subject.hold(len(found) == len(images), f"detect returned {len(found)} detections for {len(images)} images")
    vocabulary = {*subject.card.tasks, CLEAN}
    for detection in found:
        known = isinstance(detection, Detection)
        subject.hold(known, f"detect returned {type(detection).__name__}, expected a Detection")
        strange = sorted({*detection.labels, *detection.probabilities} - vocabulary) if subject.card.tasks else []
        subject.hold(not strange, f"detect named {strange}, which are not in the card's tasks")
        for name, value in detection.probabilities.items():
            subject.hold(0 <= float(value) <= 1, f"detect gave {name} probability {value}, outside [0, 1]")
    return found


CLAIMS = (
    detects_every_size,
    detects_each_image_alone,
)
