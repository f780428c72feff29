"""Cards: the objects in which a plugin describes what it provides.

A card is frozen, cheap to build, and needs neither torch nor numpy. Its `load` is called later, in a worker
process, and returns the object that does the work. `load`, `index` and `options` may be the object itself or its
address, `"package.module:attribute"`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

    from restorebench.contract.tasks import Task

Options = Any  # a validated instance of the card's `options` model; None if the card has no options
Reference = str | Callable[..., Any]


def resolve(reference: Reference | type) -> Any:
    """Return the referenced object; import it first if it is given as `"package.module:attribute"`.

    >>> resolve("math:sqrt")(9.0)
    3.0
    """
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


class Tiling(Enum):
    """How a restorer reacts when an image is cut into overlapping tiles."""

    ALLOWED = "allowed"
    """The restorer works locally, so the result barely changes."""
    HARMFUL = "harmful"
    """The restorer uses the whole image, so tiling changes it. The host tiles only if the suite says so."""
    INTERNAL = "internal"
    """The restorer cuts tiles itself; the host never does."""


class Training(Enum):
    """The kind of data that a method was trained on."""

    UNTRAINED = "untrained"
    SAME_SYNTHESIS = "same-synthesis"
    """Trained or tuned on this benchmark's own synthesisers, which favours it on the synthetic suites."""
    EXTERNAL = "external"


class Stage(IntEnum):
    """The step between the scene and the file at which a degradation acts; composites apply them in this order.

    benchmark/docs/decisions/0004-order-of-stages.md gives the reasons.
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
    """The colour space in which a metric compares images."""

    RGB = "rgb"
    Y_STUDIO = "y-studio"
    """BT.601 luma in 16..235 of 255, the convention of the deraining and super-resolution literature."""
    Y_FULL = "y-full"
    """BT.601 luma over the full range."""


@dataclass(frozen=True)
class ScoringProtocol:
    """One published convention for preparing a pair of images before a metric compares them.

    crop_border: pixels cut from each side. crop_multiple: height and width are then centre-cropped to a
    multiple of this number. quantised: clip to [0, 1] and round to 8 bits. clipped: clip to [0, 1] only
    (implied by quantised). options: the metric's own settings under this protocol, such as the SSIM window.
    """

    name: str
    summary: str
    space: Space = Space.RGB
    crop_border: int = 0
    crop_multiple: int = 1
    quantised: bool = True
    clipped: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Variant:
    """A convention of published scripts that is not a protocol of a metric: a protocol, and what departs from it.

    protocol: the name of the nearest protocol. preparation: in words, how the images are prepared otherwise, such
    as `4 px border`. formula: in words, how the score is computed otherwise, such as `7x7 uniform window`. rarity:
    about 1 for a departure that many scripts share, more for an unusual one; those of several departures add up.
    """

    protocol: str
    preparation: tuple[str, ...]
    formula: tuple[str, ...]
    rarity: float


@dataclass(frozen=True, kw_only=True)
class Card:
    """The fields of every card. `name` is unique and in kebab-case; raise `version` when outputs change.

    load(options, runtime) returns the object that does the work. requires: modules of an optional extra, each with
    the command that installs it, as {"diffusers": "pip install 'restorebench[diffbir]'"}; the card is listed as
    unavailable if one is missing.
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
    """Options for a miniature version that runs without downloads, for the conformance suite."""


@dataclass(frozen=True, kw_only=True)
class RestorerInfo(Card):
    """A restoration method. load(options, runtime) -> Restorer.

    tasks: the tasks its weights were trained for (empty: any). multiple_of: the host pads height and width to a
    multiple of this number, and crops the result. stochastic: the output depends on `batch.keys`. needs_task: it
    must be told the task. acts_when_told: it returns its input unless it is told a task; `restore` then warns that
    the results are copies. yardstick: it sees the ground truth, and is listed separately and never ranked. named:
    it receives the names of its images in `batch.samples`. resources(options) -> Sequence[WeightFile]. weights:
    sizes and licences in words, which `list` shows if the default options are incomplete, for example because one
    must name a file.
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
    """A degradation detector. load(options, runtime) -> Detector. tasks: the tasks it can name."""

    tasks: tuple[str, ...] = ()
    training: Training = Training.UNTRAINED
    resources: Reference | None = None


@dataclass(frozen=True, kw_only=True)
class DegradationInfo(Card):
    """A synthesiser of one task. load(options, runtime) -> Degradation.

    `name` is the task's name; `task` declares the task (one of the ten, or a new one). presets: named options
    from the literature, such as {"daclip": {"sigma": 50}}; each also states the severity it stands for.
    """

    task: Task
    stage: Stage
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DatasetInfo(Card):
    """A source of samples. load(options, request) -> Dataset; index(options, request) -> Sequence[SampleInfo].

    `index` reads headers and bytes, but decodes no image and does not import torch. It returns an empty
    sequence if the dataset has no images of the task, and raises MissingResource if the data are absent.
    credits(options) -> str: whom to name beside images that come from these data, if their licence allows
    everybody to publish them; "" if not. Without it, `publish` publishes no image of the dataset.
    For the task `clean`, a sample's degraded image is its ground truth; a dataset without ground truth has no
    `clean` samples.
    """

    index: Reference
    credits: Reference | None = None


@dataclass(frozen=True, kw_only=True)
class MetricInfo(Card):
    """An image metric. load(options, runtime, protocol) -> Metric.

    protocols: the protocols under which it can be computed. network: it runs on the device in float32 instead of
    on the CPU in float64. minimum_size: smallest side in pixels after the protocol's crop. tasks: the tasks it is
    meant for, which may be `clean` (empty: all). needs_map: name of a latent map it needs, such as `mask`. ranks:
    false if the metric is shown but must not rank restorers, for example because it uses the ground truth.
    unavailable() -> str: why it cannot run here ("" if it can); called during planning, so it must not import
    torch.

    variants(restored, clean, rarest) -> Iterable[tuple[Variant, float]]: for `explain`, the scores of one pair
    under variants of at most that rarity. Both images are (H, W, 3) float32 of one size, and must not be modified.
    Every pair has the same variants, but for those that it is too small for. Several threads call it at once.
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
    variants: Reference | None = None

    def protocol(self, name: str) -> ScoringProtocol | None:
        """Return the protocol of that name, or None if this metric does not have it."""
        return next((protocol for protocol in self.protocols if protocol.name == name), None)


@dataclass(frozen=True, kw_only=True)
class ReporterInfo(Card):
    """A writer of tables. load(options, runtime) -> Reporter; runtime is None: reporting uses no device."""


@dataclass(frozen=True, kw_only=True)
class FigureInfo(Card):
    """A kind of figure. load(options, runtime) -> Figure; runtime is None: drawing uses no device.

    `plot --metric`, `--task`, `--rows` and `--width` set the options `metric`, `task`, `rows` and `width`; a kind
    that has no such option refuses the flag.
    """


CARD_TYPES: Mapping[str, type[Card]] = {
    "restorer": RestorerInfo,
    "detector": DetectorInfo,
    "degradation": DegradationInfo,
    "dataset": DatasetInfo,
    "metric": MetricInfo,
    "reporter": ReporterInfo,
    "figure": FigureInfo,
}
"""The card class of each kind, by the name that users and `find` give the kind."""


def kind_of(card: Card) -> str:
    """Return the name of a card's kind, such as `restorer`."""
    return next((kind for kind, type_ in CARD_TYPES.items() if isinstance(card, type_)), "card")
