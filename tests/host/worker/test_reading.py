"""The samples that a worker keeps for the next restorer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from restorebench import Sample
from restorebench.contract.errors import ContractViolation
from restorebench.worker.jobs import DatasetSpec
from restorebench.worker.reading import RecentSamples

SPEC = DatasetSpec("folder", "folder", {"path": "a"}, "noisy", 0, 4)


class Counting:
    """A dataset that counts how often each sample is read."""

    def __init__(self, side=8):
        self.reads = []
        self._side = side

    def __getitem__(self, number):
        self.reads.append(number)
        image = np.full((self._side, self._side, 3), number / 10, np.float32)
        return Sample(image, image.copy(), maps={"mask": np.zeros((self._side, self._side), np.float32)})


SIZE = 8 * 8 * 7 * 4  # bytes of two images and a map


def test_a_sample_is_read_once_for_all_cells_of_its_dataset():
    data, recent = Counting(), RecentSamples()
    first = [recent.read(SPEC, data, number) for number in (0, 1)]
    again = [recent.read(replace(SPEC, options={"path": "a"}), data, number) for number in (0, 1)]
    assert data.reads == [0, 1]
    assert all(one is other for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize("other", [{"task": "hazy"}, {"seed": 1}, {"options": {"path": "b"}}, {"label": "x"}])
def test_samples_of_other_data_are_other_samples(other):
    data, recent = Counting(), RecentSamples()
    recent.read(SPEC, data, 0)
    recent.read(replace(SPEC, **other), data, 0)
    assert data.reads == [0, 0]


def test_the_samples_that_were_used_last_are_kept():
    data, recent = Counting(), RecentSamples(most_bytes=2 * SIZE)
    for number in (0, 1, 0, 2, 0, 1):
        recent.read(SPEC, data, number)
    assert data.reads == [0, 1, 2, 1]


def test_a_sample_that_is_too_large_is_read_and_not_kept():
    data, recent = Counting(), RecentSamples(most_bytes=SIZE - 1)
    for _ in range(2):
        assert recent.read(SPEC, data, 3).degraded.mean() == pytest.approx(0.3)
    assert data.reads == [3, 3]


def test_nobody_can_write_into_a_kept_image():
    sample = RecentSamples().read(SPEC, Counting(), 0)
    for image in (sample.degraded, sample.clean):
        with pytest.raises(ValueError, match="read-only"):
            image[0] = 1


def test_a_sample_that_cannot_be_read_is_tried_again():
    class Broken(Counting):
        def __getitem__(self, number):
            self.reads.append(number)
            return

    data, recent = Broken(), RecentSamples()
    for _ in range(2):
        with pytest.raises(ContractViolation, match="NoneType"):
            recent.read(SPEC, data, 0)
    assert data.reads == [0, 0]
