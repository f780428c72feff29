"""Data, a restorer and a metric that each wait until the step after or before them has begun with another image.

They work only in a pipeline: image n is restored once image n + 1 has been read, and scored once image n + 1 is
with the restorer. The folder RESTOREBENCH_TEST_MARK holds a file for each step that has begun.
"""

import os
import time
from pathlib import Path

from restorebench import DatasetInfo, MetricInfo, RestorerInfo, Sample, SampleInfo, ScoringProtocol, hookimpl

COUNT = 5
SIDE = 16


def begun(step, number):
    Path(os.environ["RESTOREBENCH_TEST_MARK"], f"{step}-{number}").touch()


def wait_for(step, number):
    """Wait for a step of an image, of which the last one has no next."""
    until = time.monotonic() + 60
    while number < COUNT and not Path(os.environ["RESTOREBENCH_TEST_MARK"], f"{step}-{number}").exists():
        if time.monotonic() > until:
            raise TimeoutError(f"{step} of image {number} has not begun")
        time.sleep(0.01)


def number_in(image):
    return round(float(image.mean()) * 10)


class Numbered:
    def __init__(self, options, request):
        pass

    def __len__(self):
        return COUNT

    def __getitem__(self, number):
        import numpy as np

        begun("read", number)
        image = np.full((SIDE, SIDE, 3), number / 10, np.float32)
        return Sample(image, image.copy())


class Waiting:
    def __init__(self, options, runtime):
        pass

    def restore(self, batch):
        begun("restored", number_in(batch.degraded))
        wait_for("read", number_in(batch.degraded) + 1)
        return batch.degraded.clone()


class Scoring:
    def __init__(self, options, runtime, protocol):
        pass

    def __call__(self, restored, clean):
        wait_for("restored", number_in(clean) + 1)
        return clean.mean((1, 2, 3))


def index(options, request):
    if request.task != "noisy":
        return []
    return [
        SampleInfo(f"s{number}", SIDE, SIDE, f"{number:064x}", f"s{number}", "synthetic")
        for number in range(COUNT)
    ]


@hookimpl
def restorebench_datasets():
    return [DatasetInfo(name="numbered", version="1", summary="Five images.", load=Numbered, index=index)]


@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="waiting", version="1", summary="Waits.", load=Waiting)]


@hookimpl
def restorebench_metrics():
    protocols = (ScoringProtocol("rgb", "None."),)
    return [
        MetricInfo(
            name="mean", version="1", summary="Waits.", load=Scoring, higher_is_better=True, protocols=protocols
        )
    ]
