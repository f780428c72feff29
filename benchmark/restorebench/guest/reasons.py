"""Reasons of failures, in one line each."""

from __future__ import annotations

import torch

from restorebench.contract.catalog import first_line
from restorebench.contract.errors import ContractViolation, UnreadableImage
from restorebench.records import Failure, FailureKind

_LONGEST = 1000  # characters of a message; a plugin's may be longer, and each image's goes into journal and tables


class GuestFailure(Exception):
    """A failure that a guest reported of its method."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class TooLarge(MemoryError):
    """The error at the end of the ladder: even the smallest allowed part does not fit in memory."""


def out_of_memory(error: BaseException) -> bool:
    """Tell whether an error is a lack of memory; on the CPU, torch reports that as a plain RuntimeError."""
    if isinstance(error, GuestFailure):
        return error.failure.kind is FailureKind.OUT_OF_MEMORY
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    if not isinstance(error, RuntimeError):
        return False
    text = " ".join(part for part in error.args if isinstance(part, str))  # str() of a plugin's error may fail
    return "out of memory" in text or "can't allocate memory" in text


def named(error: BaseException) -> str:
    """Return the name of an error's type, also of one that was raised in a guest for lack of memory."""
    return error.failure.message if isinstance(error, GuestFailure) else type(error).__name__


def failure_of(error: BaseException, doing: str = "") -> Failure:
    """Return the failure for an error: its kind, and its message in one line. doing: words before the message."""
    if isinstance(error, GuestFailure):
        return Failure(error.failure.kind, f"{doing}{error.failure.message}")
    if isinstance(error, ContractViolation):
        return Failure(FailureKind.CONTRACT, f"{doing}{_message(error)}")
    if isinstance(error, UnreadableImage):
        return Failure(FailureKind.UNREADABLE, _message(error))
    if out_of_memory(error):
        # torch's message gives the number of free bytes, which differs from run to run.
        what = error if isinstance(error, TooLarge) else type(error).__name__
        return Failure(FailureKind.OUT_OF_MEMORY, f"{doing}{what}")
    return Failure(FailureKind.ERROR, f"{doing}{type(error).__name__}: {_message(error)}")


def _message(error: BaseException) -> str:
    """Return the first line of a message as text that JSON and SQLite can hold, whatever a plugin raised."""
    try:
        text = first_line(error)
    except Exception:  # the error's __str__ may be a plugin's code
        return "(its message cannot be printed)"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
