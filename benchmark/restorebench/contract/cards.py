"""What a plugin provides.

A plugin hands the host *cards*: frozen, cheap to build, free of torch and numpy. A card's `load` is
late: it is called in a worker process and returns the object that does the work. `load`, `index` and
`options` may be the thing itself or its address, `"package.module:attribute"`.
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

Options = Any  # the pydantic model that the card's `options` names, validated; None where it names none
Reference = str | Callable[..., Any]


def resolve(reference: Reference | type) -> Any:
    """Return the object itself, importing it first when it is given as `"package.module:attribute"`."""
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    return getattr(import_module(module), attribute)


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
