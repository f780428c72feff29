"""Claims about detectors: sizes, batches, probabilities and vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Detection
from restorebench.testing.subject import BATCH_TOLERANCE, SIZES, Subject, images_of
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from torch import Tensor


def detects_every_size(subject: Subject) -> None:
    """Images of any size stay unchanged and give one Detection each: probabilities in [0, 1], known labels."""
    for height, width in SIZES:
        _detected(subject, images_of(subject, height, width, range(2), noise=0.02))


def detects_each_image_alone(subject: Subject) -> None:
    """An image gets the same detection in a batch and alone."""
    images = images_of(subject, 40, 24, range(3), noise=0.1)
    for number, together in enumerate(_detected(subject, images)):
        (alone,) = _detected(subject, images[number : number + 1])
        subject.hold(
            alone.labels == together.labels,
            f"image {number} of a batch is {sorted(together.labels)}, alone it is {sorted(alone.labels)}",
        )
        for name, value in together.probabilities.items():
            change = abs(float(value) - float(alone.probabilities.get(name, math.inf)))
            subject.hold(
                change <= BATCH_TOLERANCE,
                f"probability of {name} of image {number} differs by {change:.2g} between batch and single",
            )


def _detected(subject: Subject, images: Tensor) -> Sequence[Detection]:
    """Detect as a worker does."""
    from restorebench.guest import calling

    try:
        return calling.checked(subject.card.tasks, calling.detected(subject.loaded, images))
    except ContractViolation as error:
        count, _, height, width = images.shape
        raise subject.violation(f"{error} (given {counted(count, 'image')} of {height} x {width} px)") from error


CLAIMS = (
    detects_every_size,
    detects_each_image_alone,
)
