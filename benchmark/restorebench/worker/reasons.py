"""Say in one line why something failed."""

from __future__ import annotations

from restorebench.contract.catalog import first_line
from restorebench.contract.errors import ContractViolation, UnreadableImage
from restorebench.records import Failure, FailureKind
from restorebench.worker.restoring import TooLarge, out_of_memory

_LONGEST = 1000  # characters of a message; a plugin's may be any number, for every image, in journal and tables


def failure_of(error: BaseException, doing: str = "") -> Failure:
    """Say of what kind an error is, and in one line what it says. doing: words to begin with."""
    if isinstance(error, ContractViolation):
        return Failure(FailureKind.CONTRACT, f"{doing}{_said(error)}")
    if isinstance(error, UnreadableImage):
        return Failure(FailureKind.UNREADABLE, _said(error))
    if out_of_memory(error):
        # The message of torch counts the bytes that happened to be free: another one in every run.
        said = error if isinstance(error, TooLarge) else type(error).__name__
        return Failure(FailureKind.OUT_OF_MEMORY, f"{doing}{said}")
    return Failure(FailureKind.ERROR, f"{doing}{type(error).__name__}: {_said(error)}")


def _said(error: BaseException) -> str:
    """Return the first line of a message as text that JSON and SQLite can hold, whatever a plugin raised."""
    try:
        text = first_line(error)
    except Exception:  # its __str__ is a plugin's too
        return "(its message cannot be printed)"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
