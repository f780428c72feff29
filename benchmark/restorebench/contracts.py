"""What a plugin provides and what it is given.

A plugin hands the host *cards*: frozen, cheap to build, free of torch and numpy. A card's `load` is
late: it is called in a worker process and returns the object that does the work. `load`, `index` and
`options` may be the thing itself or its address, `"package.module:attribute"`.

Images outside the worker are numpy arrays (H, W, 3), float32, RGB in [0, 1]. Inside a `Batch` they are
torch tensors (B, 3, H, W), float32, RGB in [0, 1], on the worker's device.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from pydantic import BaseModel
    from torch import Tensor

    from restorebench.tasks import Task

    Image = np.ndarray[tuple[int, int, int], np.dtype[np.float32]]

Options = Any  # the pydantic model that the card's `options` names, validated; None where it names none
Reference = str | Callable[..., Any]


def resolve(reference: Reference | type) -> Any:
    """Return the object itself, importing it first when it is given as `"package.module:attribute"`."""
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


# ---------------------------------------------------------------- values passed between host and plugins


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
        """Write `restorebench.tables.Tables` into a folder and return the files made."""


# ---------------------------------------------------------------- cards


class Tiling(Enum):
    """What cutting an image into overlapping tiles does to a restorer."""

    ALLOWED = "allowed"
    """Local: the result barely changes."""
    HARMFUL = "harmful"
    """It uses the whole image: tiling changes the result. The host tiles only when the suite says so."""
    INTERNAL = "internal"
    """It tiles by itself; the host never does."""


class Training(Enum):
    """What a restorer has learned from."""

    UNTRAINED = "untrained"
    SAME_SYNTHESIS = "same-synthesis"
    """Trained or tuned on this benchmark's own synthesisers: at home on the synthetic suites."""
    EXTERNAL = "external"


class Stage(IntEnum):
    """Where on the light's way to the file a degradation acts; composites apply stages in this order.

    benchmark/docs/decisions/0004-order-of-stages.md says why.
    """

    SHADOW = 0
    PARTICLES = 1
    HAZE = 2
    LENS = 3
    MOTION = 4
    EXPOSURE = 5
    SENSOR = 6
    CODEC = 7
    MASK = 8


class Space(Enum):
    """The colour space a metric sees."""

    RGB = "rgb"
    Y_STUDIO = "y-studio"
    """BT.601 luma in 16..235 of 255, the convention of the deraining and super-resolution literature."""
    Y_FULL = "y-full"
    """BT.601 luma over the full range."""


@dataclass(frozen=True)
class ScoringProtocol:
    """How a pair of images is prepared before a metric sees it, under one published convention.

    crop_border: pixels cut from each side. crop_multiple: then centre-crop height and width to a
    multiple of it. quantised: clip to [0, 1] and round to 8 bits. clipped: clip to [0, 1] only (quantised
    implies it). options: the metric's own settings under this protocol, such as the SSIM window.
    """

    name: str
    summary: str
    space: Space = Space.RGB
    crop_border: int = 0
    crop_multiple: int = 1
    quantised: bool = True
    clipped: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Card:
    """What every card says. `name` is unique kebab-case; raise `version` when outputs change.

    load(options, runtime) returns the working object. requires: modules that an extra installs, as
    {"diffusers": "pip install 'restorebench[diffbir]'"}; a card that lacks one is listed as unavailable.
    """

    name: str
    version: str
    summary: str
    load: Reference
    options: str | type[BaseModel] | None = None
    citation: str = ""
    licence: str = ""
    requires: Mapping[str, str] = field(default_factory=dict)
    test_options: Mapping[str, Any] = field(default_factory=dict)
    """Options of a miniature that runs without downloads, for the conformance suite."""


@dataclass(frozen=True, kw_only=True)
class RestorerInfo(Card):
    """A restoration method. load(options, runtime) -> Restorer.

    tasks: what its weights were trained for (empty: any). multiple_of: the host pads both sides to it,
    and undoes it. stochastic: its output depends on `batch.keys`. needs_task: it cannot work blind.
    acts_when_told: told nothing, it returns its input; `restore` says so rather than copy files silently.
    yardstick: sees the ground truth, is shown apart and never ranked. named: is told which images it has.
    resources(options) -> Sequence[WeightFile]. weights: sizes and licences in words, for `list`, where no options
    would do without naming a file.
    """

    tasks: tuple[str, ...] = ()
    multiple_of: int = 1
    tiling: Tiling = Tiling.ALLOWED
    stochastic: bool = False
    needs_task: bool = False
    acts_when_told: bool = False
    yardstick: bool = False
    named: bool = False
    training: Training = Training.UNTRAINED
    training_data: tuple[str, ...] = ()
    resources: Reference | None = None
    weights: str = ""


@dataclass(frozen=True, kw_only=True)
class DetectorInfo(Card):
    """A degradation detector. load(options, runtime) -> Detector. tasks: its vocabulary."""

    tasks: tuple[str, ...] = ()
    training: Training = Training.UNTRAINED
    resources: Reference | None = None


@dataclass(frozen=True, kw_only=True)
class DegradationInfo(Card):
    """A synthesiser of one task. load(options, runtime) -> Degradation.

    `name` is the task's name; `task` declares it (one of the ten, or a new one). presets: named options
    of the literature, such as {"daclip": {"sigma": 50}}; each also says which severity it stands for.
    """

    task: Task
    stage: Stage
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(Card):
    """A source of samples. load(options, request) -> Dataset; index(options, request) -> Sequence[SampleInfo].

    `index` reads headers and bytes but decodes nothing and imports no torch. It returns an empty
    sequence where the dataset does not hold the task, and raises MissingResource where the data are absent.
    Under `clean` a sample's degraded image is its ground truth; a dataset without any holds no `clean`.
    """

    index: Reference


@dataclass(frozen=True, kw_only=True)
class MetricInfo(Card):
    """An image metric. load(options, runtime, protocol) -> Metric.

    protocols: the protocols it can be scored under. network: runs on the device in float32 instead of on
    the CPU in float64. minimum_size: smallest side in pixels after the protocol's crop. tasks: the
    tasks it is meant for (empty: all). needs_map: name of a latent map it needs, such as `mask`.
    ranks: false for one that is shown beside and must not order a board, say because it uses the ground truth.
    unavailable() -> str: why it cannot run here ("" if it can), asked at plan time without torch.
    """

    higher_is_better: bool
    unit: str = ""
    decimals: int = 4
    protocols: tuple[ScoringProtocol, ...]
    network: bool = False
    minimum_size: int = 1
    tasks: tuple[str, ...] = ()
    needs_map: str | None = None
    ranks: bool = True
    unavailable: Reference | None = None

    def protocol(self, name: str) -> ScoringProtocol | None:
        """Return the protocol of that name, or None where this metric has none."""
        return next((protocol for protocol in self.protocols if protocol.name == name), None)


@dataclass(frozen=True, kw_only=True)
class ReporterInfo(Card):
    """A writer of tables. load(options, runtime) -> Reporter; runtime is None: reporting uses no device."""


CARD_TYPES: Mapping[str, type[Card]] = {
    "restorer": RestorerInfo,
    "detector": DetectorInfo,
    "degradation": DegradationInfo,
    "dataset": DatasetInfo,
    "metric": MetricInfo,
    "reporter": ReporterInfo,
}
"""The kinds of card, by the word that users and `find` call them."""


def kind_of(card: Card) -> str:
    """Return the word for a card's kind, such as `restorer`."""
    return next((kind for kind, type_ in CARD_TYPES.items() if isinstance(card, type_)), "card")
