"""The data exchanged between the host and plugins, and the protocols that loaded plugins implement.

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
    """The verdict of a detector on one image, or the true task that an oracle tells a restorer.

    `labels` holds the degradations that the detector names; empty means "clean, or not known".
    `probabilities` gives one number in [0, 1] per task; they need not sum to one.
    """

    labels: frozenset[str]
    probabilities: Mapping[str, float] = field(default_factory=dict)

    @property
    def top(self) -> str | None:
        """The most probable label; None if there is no label."""
        return max(sorted(self.labels), key=lambda name: self.probabilities.get(name, 0.0), default=None)


@dataclass(frozen=True)
class Batch:
    """The input of a restorer. Later versions add fields with defaults, so `restore(batch)` stays valid.

    degraded: (B, 3, H, W) float32 RGB in [0, 1], already padded to the card's `multiple_of`.
    told: the degradations the restorer is told, one element per image; None if it works blind.
    keys: one 64-bit noise key per image, for `toolbox.seeding.normal`.
    full_size: (height, width) of the padded whole image; larger than the tensor under tiling.
    window: (top, left) of this tile in the whole image.
    clean: the ground truth, only for cards with `yardstick=True`; None for every real restorer.
    whole: the whole images if `degraded` is one tile of them, for methods that need the whole image; else None.
    samples: the name `TASK/ID` of each image, to look up results that were computed before; only for cards with
    `named=True`, and empty if the names are not known. A restorer that reads the task from a name is not blind.
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
    """The facts about a sample that planning needs, known without decoding it.

    id: unique within dataset and task, a relative path without extension. digest: sha256 hex of everything
    that determines its pixels (file bytes, options, recipe versions, seed). scene: samples of one scene
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
    """One degraded image and its ground truth (None in unpaired data), both (H, W, 3) float32 RGB."""

    degraded: Image
    clean: Image | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    maps: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class DataRequest:
    """The task (a composite name, or `clean`) and the suite's seed for which a dataset gives its samples.

    roots: named data folders (`data`, ...). find: `find("degradation", name)` returns another plugin's card.
    """

    task: str
    seed: int
    roots: Mapping[str, Path]
    find: Callable[[str, str], Any]


@dataclass(frozen=True)
class Runtime:
    """The device, folders and other conditions under which a loaded plugin works. device is `cpu` or `cuda:0`."""

    device: str
    threads: int
    cache: Path
    roots: Mapping[str, Path]
    offline: bool
    tasks: tuple[Task, ...]
    find: Callable[[str, str], Any]


@dataclass(frozen=True)
class WeightFile:
    """One weights file that a restorer or detector needs; get it with `toolbox.weights.fetch`.

    url: a file under `https://huggingface.co/OWNER/REPOSITORY/resolve/REVISION/FILE` is downloaded when needed;
    the user must put files of other sites into the cache by hand. bytes: 0 if the size is not known. sha256: empty
    if it is not known; it is then recorded at the first use and checked at every later one.
    """

    name: str
    url: str
    licence: str
    bytes: int
    sha256: str = ""


# ---------------------------------------------------------------- protocols of loaded plugins


class Restorer(typing.Protocol):
    def restore(self, batch: Batch) -> Tensor:
        """Return the restored images: shape, dtype and device of `batch.degraded`, which must not be modified."""


class Detector(typing.Protocol):
    def detect(self, images: Tensor) -> Sequence[Detection]:
        """Return one Detection per image of (B, 3, H, W) float32 RGB in [0, 1]."""


class Degradation(typing.Protocol):
    def degrade(self, clean: Image, severity: int, rng: np.random.Generator) -> Degraded:
        """Degrade a whole clean image. severity is 1 to 5; explicit options override the values it implies.

        Use only `rng` for random numbers, and draw in an order that does not depend on the severity.
        """


class Dataset(typing.Protocol):
    """A sequence of samples in the order of the card's `index`; item i depends on i and the options only."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class Metric(typing.Protocol):
    def __call__(self, restored: Tensor, clean: Tensor, map: Tensor | None = None) -> Tensor:
        """Return (B,) float64 scores of (B, C, H, W) images prepared under the protocol; C is 1 for luma.

        map: (B, 1, H, W), cropped like the images, for cards with `needs_map`.
        """


class Reporter(typing.Protocol):
    def write(self, tables: Any, folder: Path) -> list[Path]:
        """Write `restorebench.tables.build.Tables` into a folder and return the files written."""


class Figure(typing.Protocol):
    def draw(self, tables: Any) -> Mapping[str, Any]:
        """Return a Vega-Lite specification of `restorebench.tables.build.Tables`, with its data inside.

        It holds JSON values only, and the same tables give the same specification. Raise RestorebenchError if the
        run lacks what the figure shows.
        """
