"""What travels between the host and plugins: images, what is known of them, and what a loaded plugin does.

Images outside the worker are numpy arrays (H, W, 3), float32, RGB in [0, 1]. Inside a `Batch` they are
torch tensors (B, 3, H, W), float32, RGB in [0, 1], on the worker's device.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from restorebench.contract.tasks import Task

    Image = np.ndarray[tuple[int, int, int], np.dtype[np.float32]]


@dataclass(frozen=True)
class Detection:
    """What a detector says about one image, or what an oracle tells a restorer.

    `labels` is the verdict: the degradations thought to be present, empty for "clean, or no idea".
    `probabilities` gives one number in [0, 1] per task; they need not sum to one.
    """

    labels: frozenset[str]
    probabilities: Mapping[str, float] = field(default_factory=dict)

    @property
    def top(self) -> str | None:
        """The most probable label; None when there is no label."""
        return max(sorted(self.labels), key=lambda name: self.probabilities.get(name, 0.0), default=None)


@dataclass(frozen=True)
class Batch:
    """What a restorer is given. New facts become new fields with a default; `restore(batch)` stays.

    degraded: (B, 3, H, W) float32 RGB in [0, 1], already padded to the card's `multiple_of`.
    told: one entry per image; None where the restorer works blind.
    keys: one 64-bit noise key per image, for `toolbox.seeding.normal`.
    full_size: (height, width) of the padded whole image; larger than the tensor under tiling.
    window: (top, left) of this tile in the whole image.
    clean: the ground truth, only for cards with `yardstick=True`; None for every real restorer.
    whole: the whole images where `degraded` is one tile of them, for what has to see all; else None.
    samples: which images these are, `TASK/ID` each, to find what was computed of them before; only for cards with
    `named=True`, and empty where nobody says. A restorer that reads the task out of them is not blind.
    """

    degraded: Tensor
    told: tuple[Detection | None, ...]
    keys: tuple[int, ...]
    full_size: tuple[int, int]
    window: tuple[int, int] = (0, 0)
    clean: Tensor | None = None
    whole: Tensor | None = None
    samples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Degraded:
    """One synthesised image: pixels, the parameters that made it, and latent maps.

    image: (H, W, 3) float32, in [0, 1] unless the options ask for unclipped noise.
    parameters: JSON-ready numbers and strings. maps: name to (H, W) or (H, W, C) float32, such as
    `mask` (1 where content is missing), `transmission`, `matte`, or `kernel` (its own small size).
    """

    image: Image
    parameters: Mapping[str, Any]
    maps: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class SampleInfo:
    """What planning knows of a sample without decoding it.

    id: unique within dataset and task, a relative path without extension. digest: sha256 hex of all
    that decides its pixels (file bytes, options, recipe versions, seed). scene: samples of one scene
    are not independent and are resampled together. kind: `captured`, `published`, `derived` or `synthetic`.
    """

    id: str
    height: int
    width: int
    digest: str
    scene: str
    kind: str


@dataclass(frozen=True)
class Sample:
    """One degraded image with its ground truth (None in unpaired data), both (H, W, 3) float32 RGB."""

    degraded: Image
    clean: Image | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    maps: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataRequest:
    """What a dataset is asked for: one task (a composite name, or `clean`), under one suite seed.

    roots: named data folders (`data`, ...). find: `find("degradation", name)` returns another plugin's card.
    """

    task: str
    seed: int
    roots: Mapping[str, Path]
    find: Callable[[str, str], Any]


@dataclass(frozen=True)
class Runtime:
    """Where and under what conditions a loaded plugin works. device is `cpu` or `cuda:0`."""

    device: str
    threads: int
    cache: Path
    roots: Mapping[str, Path]
    offline: bool
    tasks: tuple[Task, ...]
    find: Callable[[str, str], Any]


@dataclass(frozen=True)
class WeightFile:
    """One file of weights a restorer or detector needs; get it with `toolbox.weights.fetch`.

    url: of the form `https://huggingface.co/OWNER/REPOSITORY/resolve/REVISION/FILE` it is downloaded when needed;
    files of other places are put in the cache by hand. bytes: 0 where the size is not known. sha256: empty where
    it is not known; then it is recorded at the first use and checked after.
    """

    name: str
    url: str
    licence: str
    bytes: int
    sha256: str = ""


# ---------------------------------------------------------------- what a loaded card is


class Restorer(typing.Protocol):
    def restore(self, batch: Batch) -> Tensor:
        """Return the restored images: shape, dtype and device of `batch.degraded`. Never write into it."""


class Detector(typing.Protocol):
    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one Detection per image of (B, 3, H, W) float32 RGB in [0, 1]."""


class Degradation(typing.Protocol):
    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Degrade a whole clean image. severity is 1 to 5; explicit options override what it decides.

        Draw from `rng` alone, in an order that does not depend on the severity.
        """


class Dataset(typing.Protocol):
    """A sequence of samples in the order of the card's `index`; item i depends on i and the options only."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class Metric(typing.Protocol):
    def __call__(self, restored: Tensor, clean: Tensor, map: Tensor | None = None) -> Tensor:
        """Return (B,) float64 scores of (B, C, H, W) images prepared under the protocol; C is 1 for luma.

        map: (B, 1, H, W), cropped as the images are, for cards with `needs_map`.
        """


class Reporter(typing.Protocol):
    def write(self, tables: Any, folder: Path) -> list[Path]:
        """Write `restorebench.tables.build.Tables` into a folder and return the files made."""
