"""Metrics that fail, a detector that fails once, and noise of the host's: for tests of what a run keeps."""

import os
from pathlib import Path

import torch

from restorebench import (
    Detection,
    DetectorInfo,
    MetricInfo,
    MissingResource,
    RestorerInfo,
    ScoringProtocol,
    hookimpl,
)
from restorebench.toolbox import seeding

RGB = ScoringProtocol(name="rgb", summary="RGB, 8 bits, nothing cropped")


def raises(restored, clean):
    raise ValueError("no score today")


def fails_on_bright(restored, clean):
    if float(clean.mean((1, 2, 3)).max()) > 0.6:
        raise ValueError("too bright")
    return (restored - clean).abs().mean((1, 2, 3))


def blackens(restored, clean):
    restored.zero_(), clean.zero_()
    return torch.zeros(len(clean)).double()


def same_device(restored, clean):
    assert restored.device == clean.device, f"{restored.device} against {clean.device}"
    return torch.ones(len(restored))


def lose(options, runtime, protocol):
    raise MissingResource("backbone not in the cache; get it")


METRICS = {
    "raising": lambda options, runtime, protocol: raises,
    "one-number": lambda options, runtime, protocol: lambda restored, clean: torch.tensor(1.0),
    "too-many": lambda options, runtime, protocol: lambda restored, clean: torch.ones(len(restored) + 1),
    "nan": lambda options, runtime, protocol: (
        lambda restored, clean: torch.full((len(restored),), torch.nan).double()
    ),
    "single-precision": lambda options, runtime, protocol: lambda restored, clean: torch.ones(len(restored)),
    "unloadable": lambda options, runtime, protocol: 1 / 0,
    "blackening": lambda options, runtime, protocol: blackens,
    "bright-averse": lambda options, runtime, protocol: fails_on_bright,
}


class FailsOnce:
    def __init__(self, options, runtime):
        self.mark = Path(os.environ["RESTOREBENCH_TEST_MARK"])

    def detect(self, images):
        if not self.mark.exists():
            raise MemoryError
        return [Detection(frozenset({"noisy"}), {"noisy": 1.0}) for _ in images]


class FailsLater:
    """Restores until the mark is there."""

    def __init__(self, options, runtime):
        self.mark = Path(os.environ["RESTOREBENCH_TEST_MARK"])

    def restore(self, batch):
        if self.mark.exists():
            raise ValueError("not again")
        return batch.degraded.clone()


class UnloadableLater:
    """Loads until the mark is there."""

    def __init__(self, options, runtime):
        if Path(os.environ["RESTOREBENCH_TEST_MARK"]).exists():
            raise OSError("weights are gone")

    def restore(self, batch):
        return batch.degraded.clone()


class Noise:
    def __init__(self, options, runtime):
        pass

    def restore(self, batch):
        return batch.degraded + 0.1 * seeding.normal(batch.keys, 0, 0, batch.degraded.shape[1:])


@hookimpl
def restorebench_metrics():
    return [
        MetricInfo(name=name, version="1", summary="Fails.", load=load, protocols=(RGB,), higher_is_better=True)
        for name, load in METRICS.items()
    ] + [
        MetricInfo(
            name="same-device",
            version="1",
            summary="A network that compares nothing.",
            load=lambda options, runtime, protocol: same_device,
            protocols=(RGB,),
            higher_is_better=True,
            network=True,
        ),
        MetricInfo(
            name="lost-since",
            version="1",
            summary="Was there when the run was planned.",
            load=lose,
            protocols=(RGB,),
            higher_is_better=True,
            unavailable=lambda: "",
        ),
    ]


@hookimpl
def restorebench_detectors():
    return [DetectorInfo(name="fails-once", version="1", summary="Fails once.", load=FailsOnce, tasks=("noisy",))]


@hookimpl
def restorebench_restorers():
    return [
        RestorerInfo(name="noise", version="1", summary="Adds noise.", load=Noise, stochastic=True),
        RestorerInfo(name="fails-later", version="1", summary="Fails when told.", load=FailsLater),
        RestorerInfo(name="unloadable-later", version="1", summary="Fails to load.", load=UnloadableLater),
    ]
