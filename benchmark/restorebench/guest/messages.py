"""The messages between a worker and its guest. What a guest sends may be anything, and is checked strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, with_config

from restorebench.contract.tasks import Task
from restorebench.contract.values import Detection
from restorebench.guest.surroundings import Reach
from restorebench.records import Failure, FailureKind

LONGEST_BYTES = 1 << 22
"""How long a guest's message may be."""
LONGEST_TEXT = 1100
"""How long a text in it may be, in characters."""

Shape = tuple[int, int, int, int]
Text = Annotated[str, StringConstraints(max_length=LONGEST_TEXT)]
Number = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Told:
    """The detection that a restorer is told for one image."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]

    @property
    def detection(self) -> Detection:
        """The same as plugins know it."""
        return Detection(frozenset(self.labels), dict(self.probabilities))


# ------------------------------------------------------------ from the worker


@dataclass(frozen=True)
class Load:
    """Load a method. source, code: as in `contract.catalog.Entry`. options: raw. tasks: all that the run knows.

    named: files and folders that the suite names in its options.
    """

    kind: Literal["restorer", "detector"]
    name: str
    source: str
    code: str
    options: Mapping[str, Any]
    device: str
    threads: int
    cache: str
    offline: bool
    tasks: tuple[Task, ...]
    named: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """Become a guest: load a method, reach only some files, and work in the folder `scratch`."""

    load: Load
    reach: Reach
    scratch: str
    type: Literal["start"] = "start"


@dataclass(frozen=True)
class Share:
    """A new arena of so many bytes; its file follows, beside one byte. Requests are about the last one shared."""

    size: int
    type: Literal["share"] = "share"


@dataclass(frozen=True)
class Restore:
    """Restore images. degraded: their shape. The other fields are those of `contract.values.Batch`.

    The arena holds the degraded images, room for the restored ones, the clean ones if `clean`, and the whole
    images of shape `whole` if that is given, one after the other.
    """

    number: int
    degraded: Shape
    clean: bool
    whole: Shape | None
    told: tuple[Told | None, ...]
    keys: tuple[int, ...]
    full_size: tuple[int, int]
    window: tuple[int, int]
    samples: tuple[str, ...]
    type: Literal["restore"] = "restore"

    @property
    def shapes(self) -> list[Shape]:
        """The shapes of all tensors in the arena, in their order."""
        shapes = [self.degraded, self.degraded]
        return shapes + [self.degraded] * self.clean + ([] if self.whole is None else [self.whole])


@dataclass(frozen=True)
class Detect:
    """Name the degradations of the images in the arena."""

    number: int
    images: Shape
    type: Literal["detect"] = "detect"


Request = Annotated[Start | Share | Restore | Detect, Field(discriminator="type")]


# ------------------------------------------------------------ from the guest

_STRICT = ConfigDict(strict=True, extra="forbid")


@with_config(_STRICT)
@dataclass(frozen=True)
class Settled:
    """The guest is confined, or is not for the reason `unconfined`. It says so before it imports the plugin."""

    unconfined: Text
    type: Literal["settled"] = "settled"


@with_config(_STRICT)
@dataclass(frozen=True)
class Loaded:
    """The method is loaded. parameters: their number, None if it has no module."""

    parameters: Number | None
    type: Literal["loaded"] = "loaded"


@with_config(_STRICT)
@dataclass(frozen=True)
class Restored:
    """The restored images are in the arena. seconds: by the guest's clock. peak_mib: on its device."""

    number: int
    seconds: Seconds
    peak_mib: Seconds | None
    fallbacks: Annotated[tuple[Text, ...], Field(max_length=100)]
    type: Literal["restored"] = "restored"


@with_config(_STRICT)
@dataclass(frozen=True)
class Found(Told):
    """The detection that a detector gives for one image."""

    labels: Annotated[tuple[Text, ...], Field(max_length=1000)]
    probabilities: Annotated[dict[Text, float], Field(max_length=1000)]


@with_config(_STRICT)
@dataclass(frozen=True)
class Detected:
    """One detection per image."""

    number: int
    found: tuple[Found, ...]
    type: Literal["detected"] = "detected"


@with_config(_STRICT)
@dataclass(frozen=True)
class Problem:
    """The method could not be loaded (number -1), or failed on a request."""

    number: int
    kind: Literal["contract", "out-of-memory", "error"]
    message: Text
    type: Literal["problem"] = "problem"

    def failure(self) -> Failure:
        """Return it as a failure, in one printable line."""
        text = " ".join(self.message.split())
        return Failure(FailureKind(self.kind), "".join(c if c.isprintable() else "?" for c in text))


Answer = Annotated[Settled | Loaded | Restored | Detected | Problem, Field(discriminator="type")]


def written(message: object) -> bytes:
    """Return a message as JSON."""
    kind: Any = type(message)
    return bytes(_adapter(kind).dump_json(message))


def request_from(raw: bytes) -> Request:
    """Read a request that a worker sent."""
    request: Request = _requests().validate_json(raw)
    return request


def answer_from(raw: bytes) -> Settled | Loaded | Restored | Detected | Problem:
    """Read what a guest sent.

    Raises:
        ValueError: it is not an answer; every field is checked, with its size.
    """
    answer: Settled | Loaded | Restored | Detected | Problem = _answers().validate_json(raw)
    return answer


@cache
def _requests() -> TypeAdapter[Any]:
    return TypeAdapter(Request)


@cache
def _answers() -> TypeAdapter[Any]:
    return TypeAdapter(Answer)


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
