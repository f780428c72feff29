"""A dataset and a detector that return what they should not, for tests of what becomes of the other images."""

from pathlib import Path

import numpy as np

from restorebench import DatasetInfo, Detection, DetectorInfo, Sample, SampleInfo, hookimpl

GREY = np.full((16, 16, 3), 0.5, np.float32)


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no message")


def raises(error):
    raise error


SAMPLES = {
    "fine": lambda: Sample(GREY, GREY, {"sigma": 1.5, "shift_px": (1, 2)}),
    "numpy": lambda: Sample(GREY, GREY, {"sigma": np.float32(1)}),
    "nan": lambda: Sample(GREY, GREY, {"order": {"sigma": float("nan")}}),
    "path": lambda: Sample(GREY, GREY, {"mask": Path("mask.png")}),
    "tuple-key": lambda: Sample(GREY, GREY, {"places": {(1, 2): 3}}),
    "float64": lambda: Sample(GREY.astype(float), GREY),
    "other-size": lambda: Sample(GREY, GREY[1:]),
    "not-finite": lambda: Sample(GREY / 0, GREY),
    "not-a-sample": lambda: GREY,
    "raises": lambda: raises(ValueError("no such snow\ntoday")),
    "undecodable": lambda: raises(ValueError("caf\udce9.png")),
    "unprintable": lambda: raises(Unprintable()),
}


class Careless:
    def __init__(self, options, request):
        self.makers = list(SAMPLES.values())

    def __len__(self):
        return len(self.makers)

    def __getitem__(self, index):
        with np.errstate(divide="ignore"):
            return self.makers[index]()


def index(options, request):
    if request.task != "noisy":
        return []
    return [SampleInfo(name, 16, 16, f"{place:064x}", name, "synthetic") for place, name in enumerate(SAMPLES)]


class SaysClean:
    def __init__(self, options, runtime):
        pass

    def detect(self, images):
        return [Detection(frozenset({"clean"}), {"clean": 1.0}) for _ in images]


@hookimpl
def restorebench_datasets():
    return [DatasetInfo(name="careless", version="1", summary="Gives odd samples.", load=Careless, index=index)]


@hookimpl
def restorebench_detectors():
    return [DetectorInfo(name="says-clean", version="1", summary="Says clean.", load=SaysClean, tasks=("noisy",))]
