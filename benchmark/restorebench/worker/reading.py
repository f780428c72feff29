"""Reading samples, with checks of the dataset's contract, as datasets and their degradations are plugins too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from restorebench.contract.errors import ContractViolation
from restorebench.contract.values import Dataset, Sample
from restorebench.worker.jobs import DatasetSpec

MOST_BYTES = 64 << 20
"""How much the kept samples may take; those of a task of `quickstart` take about 10 MiB."""


class RecentSamples:
    """The samples that were read last, so that they are read and degraded once for all restorers of a task.

    Their images cannot be written to.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: dict[tuple[str, int], Sample] = {}
        self._bytes = 0
        self._dataset: DatasetSpec | None = None
        self._name = ""

    def read(self, dataset: DatasetSpec, data: Dataset, number: int) -> Sample:
        """Return a sample of a dataset, as `read` does. data: the dataset, loaded as its spec says."""
        if dataset != self._dataset:
            self._dataset, self._name = dataset, json.dumps(asdict(dataset), sort_keys=True)
        key = self._name, number
        sample = self._held.pop(key, None)
        if sample is None:
            sample = read(data, number)
            for image in (sample.degraded, sample.clean):
                if image is not None:
                    image.flags.writeable = False
            self._bytes += _bytes(sample)
        self._held[key] = sample  # the last ones are at the end
        while self._bytes > self._most_bytes:
            self._bytes -= _bytes(self._held.pop(next(iter(self._held))))
        return sample


def _bytes(sample: Sample) -> int:
    images = [each for each in (sample.degraded, sample.clean, *sample.maps.values()) if each is not None]
    return sum(int(getattr(each, "nbytes", 0)) for each in images)


def read(data: Dataset, number: int, one_size: bool = True) -> Sample:
    """Read one sample; its images are finite (H, W, 3) float32 of one size, its parameters JSON-ready.

    one_size: False accepts a clean image of another size than the degraded one.
    Values outside [0, 1] are accepted, as a suite may ask a dataset for noise that is not clipped.

    Raises:
        ContractViolation: the sample breaks the contract of datasets.
    """
    sample = data[number]
    if not isinstance(sample, Sample):
        raise ContractViolation(f"the dataset gave {type(sample).__name__}, expected a Sample")
    _check_image("degraded", sample.degraded)
    if sample.clean is not None:
        _check_image("clean", sample.clean)
        if one_size and sample.clean.shape != sample.degraded.shape:
            raise ContractViolation(
                f"the sample's clean image has shape {sample.clean.shape}, the degraded {sample.degraded.shape}"
            )
    if problem := not_json(sample.parameters):
        raise ContractViolation(f"the sample's {problem}")
    return sample


def not_json(parameters: Mapping[str, Any]) -> str:
    """Return which parameter JSON cannot hold, and why; "" if it can hold all."""
    for name, value in parameters.items():
        try:
            json.dumps({name: value}, allow_nan=False)
        except (TypeError, ValueError) as error:
            return f"parameter {name!r} is not JSON-ready: {error}"
    return ""


def _check_image(which: str, image: Any) -> None:
    """Check the shape, dtype and values of an image, which may be any object that a plugin returned."""
    if not isinstance(image, np.ndarray) or image.dtype != np.float32 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else type(image).__name__
        raise ContractViolation(f"the sample's {which} image is {got}, expected (H, W, 3) float32")
    if not bool(np.isfinite(image).all()):
        raise ContractViolation(f"the sample's {which} image has NaN or infinite values")
