"""Say in one line why something failed."""

from __future__ import annotations

from restorebench.catalog import first_line
from restorebench.errors import ContractViolation
from restorebench.worker.restoring import out_of_memory


def reason(error: BaseException, prefix: str = "") -> str:
    """Name the kind of a failure (`contract`, `out-of-memory` or `error`), then what it says, in one line."""
    if isinstance(error, ContractViolation):
        return f"contract: {prefix}{first_line(error)}"
    if out_of_memory(error):
        return f"out-of-memory: {prefix}{type(error).__name__}"
    return f"error: {prefix}{type(error).__name__}: {first_line(error)}"
