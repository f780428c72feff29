"""Failures by the text that tables show of them."""

from __future__ import annotations

from restorebench.records import Failure, FailureKind


def failure(text: str) -> Failure:
    """Make `timeout: more than 1 s` a failure of that kind."""
    kind, _, message = text.partition(": ")
    return Failure(FailureKind(kind), message)
