"""What is known of one image, as plain data: a record per restored image, one per detection.

Workers make records, the journal stores them, and tables are built from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, TypeAdapter

OK = "ok"
FAILED = "failed"


class FailureKind(StrEnum):
    """Why something failed, in one word."""

    CONTRACT = "contract"
    """A plugin returned what it must not."""
    UNREADABLE = "unreadable"
    """An image file cannot be decoded."""
    OUT_OF_MEMORY = "out-of-memory"
    TIMEOUT = "timeout"
    CRASH = "crash"
    """The worker process ended by itself."""
    KILLED = "killed"
    """The worker process was ended by somebody else, such as the kernel."""
    DETECTOR = "detector"
    """The detector that was to tell a restorer failed."""
    ERROR = "error"
    """A plugin raised an error."""


TRANSIENT = frozenset({FailureKind.TIMEOUT, FailureKind.OUT_OF_MEMORY, FailureKind.KILLED})
"""Failures that a later run tries again without being asked."""


@dataclass(frozen=True)
class Failure:
    """Why an image, a score or a whole cell failed; message: one line."""

    kind: FailureKind
    message: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"

    @property
    def transient(self) -> bool:
        """Tell whether it may not come again."""
        return self.kind in TRANSIENT


WHOLE_IMAGE = ""
"""Stands for a column in `Record.unscored` where no score is missing, but restoring the image again failed."""


@dataclass(frozen=True)
class Execution:
    """How a group was computed. Same execution and same package versions give the same bytes.

    batch_size: images in the group, fewer at the end of a size or where an image was lost. batch_limit: what the
    suite asked for, None in records of older versions. fallback: empty, or what the out-of-memory ladder did at
    last (`batch 4 -> 1, tile 512`): it may change numbers.
    """

    device: str
    threads: int
    batch_size: int
    precision: str = "float32"
    fallback: str = ""
    batch_limit: int | None = None

    @property
    def kind(self) -> str:
        """Name what records of one row must share to be the same bytes: `cpu x1 float32 batch 4`."""
        batch = "" if self.batch_limit is None else f" batch {self.batch_limit}"
        return f"{self.device.partition(':')[0]} x{self.threads} {self.precision}{batch}"


def _inside(path: str) -> str:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ValueError("leads out of the run folder")
    return path


@dataclass(frozen=True)
class Record:
    """One image restored by one restorer, or the failure to do so.

    scores: column name (`psnr@rgb`) to value; None where the metric does not apply. unscored: column name to
    why its metric failed on this image. seconds: of the
    `restore` call, this image's share of its group. warm: False for the first group of a loaded plugin.
    pixels: height times width. peak_mib: the most its group held while it was restored, of the process with
    all its libraries and weights or of a GPU's allocations; None where the system does not tell.
    digest: of the cell it belongs to. output: the saved image, below the run folder, whoever wrote the journal.
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

    @property
    def reason(self) -> str:
        """Say why it failed; an empty string if it did not."""
        return _said(self.failure)


@dataclass(frozen=True)
class DetectionRecord:
    """What one detector said about one image."""

    digest: str
    sample: str
    status: str
    failure: Failure | None = None
    labels: tuple[str, ...] = ()
    probabilities: Mapping[str, float] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Say why it failed; an empty string if it did not."""
        return _said(self.failure)


def _said(failure: Failure | None) -> str:
    return "" if failure is None else str(failure)


Key = tuple[str, int]
"""A sample and a repetition."""


Place = tuple[str, str, int]
"""Digest of a cell, sample and repetition: what a record is about."""


class Kept(Protocol):
    """What was done of each cell, by its digest, as tables ask for it; a journal is one."""

    def records(self, cell: str) -> Mapping[Key, Record]:
        """Return what was restored, without scores."""

    def scores(self, cell: str) -> Mapping[Key, Mapping[str, float | None]]:
        """Return scores by the digest of their column."""

    def unscored(self, cell: str) -> Mapping[Key, Mapping[str, Failure]]:
        """Return why scores are missing, by the digest of their column."""

    def detections(self, cell: str) -> Mapping[str, DetectionRecord]:
        """Return detections by sample."""

    def parameters(self) -> Mapping[str, int]:
        """Return how many parameters the restorer of each cell has, by the digest of the cell."""


def record_from(raw: Mapping[str, Any]) -> Record:
    """Build a Record from its JSON form, the inverse of `dataclasses.asdict`.

    Raises:
        ValueError: it is none; pydantic holds every field to its type.
    """
    record: Record = _adapter(Record).validate_python(raw)
    return record


def detection_from(raw: Mapping[str, Any]) -> DetectionRecord:
    """Build a DetectionRecord from its JSON form; fields that older journals hold beside its own are left out.

    Raises:
        ValueError: it is none.
    """
    record: DetectionRecord = _adapter(DetectionRecord).validate_python(raw)
    return record


def failure_from(raw: Mapping[str, Any]) -> Failure:
    """Build a Failure from its JSON form.

    Raises:
        ValueError: it is none.
    """
    failure: Failure = _adapter(Failure).validate_python(raw)
    return failure


@cache
def _adapter(kind: type) -> TypeAdapter[Any]:  # Any: an instance of the kind
    return TypeAdapter(kind)
