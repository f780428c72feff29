"""Remarks on a row besides its numbers, as typed flags that become text only when they enter a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from restorebench.records import IN_PROCESS


class Flag(Enum):
    """The kinds of remarks in a status."""

    SHARE = auto()
    """Only a part of the data was asked for."""
    INCOMPLETE = auto()
    """Something that was asked for is missing or failed."""
    SKIPPED = auto()
    CAPPED = auto()
    FALLBACK = auto()
    MIXED_EXECUTION = auto()
    UNCONFINED = auto()
    """The method could read more than its own files, and so perhaps the clean images."""
    YARDSTICK = auto()
    """The row saw the ground truth and does not compete."""
    NOTE = auto()


@dataclass(frozen=True)
class Status:
    """Flags with their texts, in the order in which they are shown."""

    told: tuple[tuple[Flag, str], ...] = ()

    def __add__(self, other: Status) -> Status:
        return Status(self.told + other.told)

    def has(self, flag: Flag) -> bool:
        """Return whether a flag is raised."""
        return any(each is flag for each, _ in self.told)

    def only(self, flag: Flag) -> Status:
        """Return the status with one kind of flag only."""
        return Status(tuple(each for each in self.told if each[0] is flag))

    def __str__(self) -> str:
        return "; ".join(dict.fromkeys(text for _, text in self.told)) or "ok"


def status(flag: Flag, *texts: str) -> Status:
    """Raise a flag once for each text that is not empty."""
    return Status(tuple((flag, text) for text in texts if text))


def unconfined(reasons: Iterable[str | None]) -> Status:
    """Say why a method was not confined. reasons: as in `Execution`; a run in one process says so itself."""
    known = sorted({each for each in reasons if each and each != IN_PROCESS})
    return status(Flag.UNCONFINED, f"not confined ({', '.join(known)})" if known else "")


def together(statuses: Iterable[Status]) -> Status:
    """Join statuses, in order."""
    return sum(statuses, Status())


RENDERED = ("incomplete", "yardstick")
"""Columns of frames, true or false, for code that marks rows and must not parse the text of `status`."""


def rendered(told: Status) -> dict[str, object]:
    """Return the fields of a row that show a status."""
    return {"status": str(told), "incomplete": told.has(Flag.INCOMPLETE), "yardstick": told.has(Flag.YARDSTICK)}
