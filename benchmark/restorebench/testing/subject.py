"""The card under test, and the images and comparisons that checks of all kinds need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from unittest import SkipTest

from restorebench.contract.cards import resolve
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Runtime
from restorebench.suite.settings import cache_folder
from restorebench.toolbox.options import validated_options

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench.contract.values import Image

SIZES = ((1, 1), (17, 23), (64, 48))
"""Heights and widths that every restorer, detector and degradation must accept."""

BATCH_TOLERANCE = 1e-5
"""The batch size may change a network's last float bits, by less than this: 1/400 of an 8-bit step."""


@dataclass(frozen=True)
class Subject:
    """The card under test, with all that loading it needs. options: raw, as a suite would give them."""

    entry: Entry
    catalog: Catalog
    options: Mapping[str, Any]
    device: str

    @property
    def card(self) -> Any:
        """The card, of the type that belongs to its kind."""
        return self.entry.card

    @cached_property
    def runtime(self) -> Runtime:
        """The runtime that a worker would pass to `load`: offline and without data folders."""
        return Runtime(self.device, 1, cache_folder(), {}, True, self.catalog.tasks, self.catalog.find)

    @cached_property
    def validated(self) -> Any:
        """The options as an instance of the card's model; None if it takes none."""
        return validated_options(self.card, self.options)

    @cached_property
    def loaded(self) -> Any:
        """The loaded object, the same for all checks."""
        return self.load(self.runtime)

    def load(self, *context: Any) -> Any:
        """Load the card's object.

        Raises:
            SkipTest: the card says that it cannot work here.
        """
        unavailable = getattr(self.card, "unavailable", None)
        if reason := self.entry.unavailable or (resolve(unavailable)() if unavailable else ""):
            raise SkipTest(f"{self.entry.kind} {self.card.name!r} cannot run here: {reason}")
        return resolve(self.card.load)(self.validated, *context)

    def hold(self, claim: bool, otherwise: str) -> None:
        """Raise ContractViolation unless the claim holds."""
        if not claim:
            raise self.violation(otherwise)

    def violation(self, what: str) -> ContractViolation:
        """Return an error that names the card and says what is wrong."""
        return ContractViolation(f"{self.entry.kind} {self.card.name!r}: {what}")


def images_of(subject: Subject, height: int, width: int, numbers: range, noise: float = 0.0) -> Tensor:
    """Make smooth images (B, 3, H, W) float32 in [0, 1], one per number; an image depends only on its number."""
    import numpy as np
    import torch

    stacked = np.stack([photograph(height, width, number, noise) for number in numbers])
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().to(subject.device)


def photograph(height: int, width: int, number: int = 0, noise: float = 0.0) -> Image:
    """Make a smooth (H, W, 3) float32 image: a ramp with waves, which differ for every number."""
    import numpy as np

    rows, columns = np.mgrid[0:height, 0:width]
    ramp = 0.25 + 0.5 * (rows / max(height - 1, 1) + columns / max(width - 1, 1)) / 2
    waves = [np.sin((rows * (channel + 1) + columns * (number + 1)) / 9) for channel in range(3)]
    image = np.stack([ramp + 0.15 * wave for wave in waves], axis=-1)  # (H, W, 3)
    drawn = np.random.default_rng(number).normal(0, noise, image.shape) if noise else 0.0
    smooth: Image = np.clip(image + drawn, 0, 1).astype(np.float32)
    return smooth


def largest_difference(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference; equal infinities do not differ."""
    change = (one.double() - other.double()).abs()
    return float(change.masked_fill(one == other, 0).max())


def hold_image(subject: Subject, image: Any, size: tuple[int, int], what: str) -> None:
    """Raise ContractViolation unless an image is (H, W, 3) float32 in [0, 1]; `what` begins the message."""
    import numpy as np

    subject.hold(isinstance(image, np.ndarray), f"{what} of type {type(image).__name__}, expected an array")
    shaped = image.shape == (*size, 3) and image.dtype == np.float32
    subject.hold(shaped, f"{what} of {image.shape} {image.dtype}, expected {(*size, 3)} float32")
    inside = bool(np.isfinite(image).all()) and float(image.min()) >= 0 and float(image.max()) <= 1
    subject.hold(inside, f"{what} with values that are not finite or outside [0, 1]")


def hold_json(subject: Subject, parameters: Mapping[str, Any]) -> None:
    """Raise ContractViolation unless JSON can hold the parameters."""
    from restorebench.worker import reading

    problem = reading.not_json(parameters)
    subject.hold(not problem, problem)
