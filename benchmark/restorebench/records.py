"""Records of single images, as plain data: one per restored image, one per detection.

Workers make records, the journal stores them, and tables are built from them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, TypeAdapter

OK = "ok"
FAILED = "failed"


IN_PROCESS = "--workers 0"
"""Why nothing is confined in a run that the user wants in one process."""


class FailureKind(StrEnum):
    """The kinds of failures."""

    CONTRACT = "contract"
    """A plugin returned something that its contract forbids."""
    UNREADABLE = "unreadable"
    """An image file cannot be decoded."""
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"
    CRASH = "crash"
    """The worker process ended by itself."""
    KILLED = "killed"
    """The worker process was ended from outside, for example by the kernel."""
    DETECTOR = "detector"
    """The detector that should tell a restorer failed."""
    ERROR = "error"
    """A plugin raised an error."""


TRANSIENT = frozenset({FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY, FailureKind.KILLED})
"""Failures that a later run tries again by itself."""


@dataclass(frozen=True)
class Failure:
    """The reason why an image, a score or a whole cell failed. message: one line."""

    kind: FailureKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @property
    def transient(self) -> bool:
        """Whether another try may succeed."""
        return self.kind in TRANSIENT


def row_name(restorer: str, tell: str) -> str:
    """Name a row: `NAME`, or `NAME:TELL` where it is told something."""
    return restorer if tell == "nothing" else f"{restorer}:{tell}"


WHOLE_IMAGE = ""
"""The key in `Record.unscored`, in place of a column, if only a later restoration of the image failed."""


@dataclass(frozen=True)
class Execution:
    """The way a group was computed. The same execution and package versions give the same bytes.

    batch_size: images in the group, fewer in the last group of a size or if an image was lost. batch_limit: the
    suite's batch size. fallback: empty, or the last step of the out-of-memory ladder (`batch 4 -> 1, tile 512`),
    which may change numbers. unconfined: why the files that the method could read were not confined, "" if they
    were. instructions: those of the processor that torch used, such as AVX2; "" on a GPU. batch_limit, unconfined
    and instructions are None in records of older versions.
    """

    device: str
    threads: int
    batch_size: int
    precision: str = "float32"
    fallback: str = ""
    batch_limit: int | None = None
    unconfined: str | None = None
    instructions: str | None = None

    @property
    def kind(self) -> str:
        """The part that all records of a row must share to give the same bytes: `cpu x1 float32 batch 4 AVX2`."""
        batch = "" if self.batch_limit is None else f" batch {self.batch_limit}"
        instructions = "" if self.instructions is None else f" {self.instructions}"
        return f"{self.device.partition(':')[0]} x{self.threads} {self.precision}{batch}{instructions}"


@dataclass(frozen=True)
class Values:
    """The values of a restored image before they are clipped to [0, 1]: least, greatest, mean.

    outside: the share of them outside the range of the degraded image and [0, 1] together.
    """

    least: float
    greatest: float
    mean: float
    outside: float


def _inside(path: str) -> str:
    if path and (PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts):
        raise ValueError("leads out of the run folder")
    return path


@dataclass(frozen=True)
class Record:
    """One image restored by one restorer, or the failure to do so.

    scores: column name (`psnr@rgb`) to value; None if the metric does not apply. unscored: column name to the
    reason why its metric failed on this image. seconds: this image's share of the `restore` call of its group.
    warm: False for the first group of a loaded plugin. pixels: height times width. peak_mib: the most memory while
    its group was restored, of the process with all its libraries and weights or of a GPU's allocations; None if
    the system does not report it. inside: as `seconds`, by the clock of the method's own process. values: those of
    the restored image. repeat: the largest difference of a pixel when the batch was restored a second time, as the
    first batch of a loaded method is. digest: of the cell. output: the saved image; must lie below the run folder,
    even in a journal from a stranger.
    """

    digest: str
    sample: str
    repetition: int
    status: str
    failure: Failure | None = None
    told: tuple[str, ...] | None = None
    scores: Mapping[str, float | None] = field(default_factory=dict)
    unscored: Mapping[str, Failure] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    degraded_digest: str = ""
    output: Annotated[str, AfterValidator(_inside)] = ""
    seconds: float | None = None
    warm: bool = True
    pixels: int = 0
    peak_mib: float | None = None
    execution: Execution | None = None
    inside: float | None = None
    values: Values | None = None
    repeat: float | None = None

    @property
    def reason(self) -> str:
        """The reason of the failure; an empty string if there is none."""
        return _text(self.failure)


@dataclass(frozen=True)
class DetectionRecord:
    """The verdict of one detector on one image. unconfined: as in `Execution`."""

    digest: str
    sample: str
    status: str
    failure: Failure | None = None
    labels: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)
    unconfined: str | None = None

    @property
    def reason(self) -> str:
        """The reason of the failure; an empty string if there is none."""
        return _text(self.failure)


def _text(failure: Failure | None) -> str:
    return "" if failure is None else str(failure)


Key = tuple[str, int]
"""A sample and a repetition."""


Place = tuple[str, str, int]
"""The digest of a cell, a sample and a repetition, which identify a record."""


class Kept(Protocol):
    """The stored outcomes of each cell, by its digest, as tables read them. A journal implements it."""

    def records(self, cell: str) -> Mapping[Key, Record]:
        """Return the records of restored images, without scores."""

    def scores(self, cell: str) -> Mapping[Key, Mapping[str, float | None]]:
        """Return scores by the digest of their column."""

    def unscored(self, cell: str) -> Mapping[Key, Mapping[str, Failure]]:
        """Return the failures behind missing scores, by the digest of their column."""

    def detections(self, cell: str) -> Mapping[str, DetectionRecord]:
        """Return detections by sample."""

    def parameters(self) -> Mapping[str, int]:
        """Return the number of parameters of each cell's restorer, by the digest of the cell."""


def text_of(record: Record | DetectionRecord) -> str:
    """Return a record as JSON, which `record_from` or `detection_from` reads."""
    kind: type = type(record)
    return json.dumps(_adapter(kind).dump_python(record, mode="json"))


def record_from(text: str) -> Record:
    """Build a Record from the text that `text_of` returned.

    Raises:
        ValueError: the text is not a record; pydantic checks the type of every field.
    """
    record: Record = _adapter(Record).validate_json(text)
    return record


def detection_from(text: str) -> DetectionRecord:
    """Build a DetectionRecord from its JSON; additional fields, as in older journals, are ignored.

    Raises:
        ValueError: the text is not a detection.
    """
    record: DetectionRecord = _adapter(DetectionRecord).validate_json(text)
    return record


def failure_from(text: str) -> Failure:
    """Build a Failure from its JSON.

    Raises:
        ValueError: the text is not a failure.
    """
    failure: Failure = _adapter(Failure).validate_json(text)
    return failure


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:  # Any: an instance of the kind
    return TypeAdapter(kind)
