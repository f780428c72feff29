"""Reasons of failures, in one line each."""

from __future__ import annotations

from restorebench.contract.catalog import first_line
from restorebench.contract.errors import ContractViolation, UnreadableImage
from restorebench.records import Failure, FailureKind
from restorebench.worker.restoring import TooLarge, out_of_memory

_LONGEST = 1000  # characters of a message; a plugin's may be longer, and each image's goes into journal and tables


def failure_of(error: BaseException, doing: str = "") -> Failure:
    """Return the failure for an error: its kind, and its message in one line. doing: words before the message."""
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
