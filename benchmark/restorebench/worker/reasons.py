"""Say in one line why something failed."""

from __future__ import annotations

from restorebench.contract.catalog import first_line
from restorebench.contract.errors import ContractViolation, UnreadableImage
from restorebench.worker.restoring import TooLarge, out_of_memory

_LONGEST = 1000  # characters of a message; a plugin's may be any number, for every image, in journal and tables


def reason(error: BaseException, prefix: str = "") -> str:
    """Name the kind of a failure, then what it says, in one line.

    Kinds: `contract`, `unreadable` (an image file), `out-of-memory`, or else `error`.
    """
    if isinstance(error, ContractViolation):
        return f"contract: {prefix}{_said(error)}"
    if isinstance(error, UnreadableImage):
        return f"unreadable: {_said(error)}"
    if out_of_memory(error):
        # The message of torch counts the bytes that happened to be free: another one in every run.
        return f"out-of-memory: {prefix}{error if isinstance(error, TooLarge) else type(error).__name__}"
    return f"error: {prefix}{type(error).__name__}: {_said(error)}"


def _said(error: BaseException) -> str:
    """Return the first line of a message as text that JSON and SQLite can hold, whatever a plugin raised."""
    try:
        text = first_line(error)
    except Exception:  # its __str__ is a plugin's too
        return "(its message cannot be printed)"
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
