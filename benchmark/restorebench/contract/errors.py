"""Errors a user can act on. The command line prints them as one line and exits with code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RestorebenchError(Exception):
    """Something the user can put right: what happened, what was expected, what to do."""


class SuiteError(RestorebenchError):
    """A suite file is wrong; each line of the message starts with `file:line:column`."""


class UnknownName(RestorebenchError):
    """No plugin, task, suite or option carries the name that was asked for."""


class DuplicateName(RestorebenchError):
    """Two plugins provide the same name, and the name was asked for."""


class BrokenPlugin(RestorebenchError):
    """A plugin that was asked for could not be imported or breaks the rules of the host."""


class ContractViolation(RestorebenchError):
    """A plugin returned the wrong type, shape, dtype or values."""


class MissingResource(RestorebenchError):
    """Data or weights are not where they should be."""


class WeightsMismatch(RestorebenchError):
    """A file of weights is not the one that was expected."""


class UnreadableImage(RestorebenchError):
    """An image file is corrupt, truncated, too large or of a kind that is refused."""


class RunFolderError(RestorebenchError):
    """The run folder cannot be used: not a run, locked by another process, read-only or full."""


class DeviceError(RestorebenchError):
    """The requested device is not there."""


def from_worker(kind: str, message: str) -> RestorebenchError:
    """Make an error again that a worker met, under the type it had there."""
    known = {found.__name__: found for found in RestorebenchError.__subclasses__()}
    return known.get(kind, RestorebenchError)(message)


class Fallback(UserWarning):
    """A restorer or detector had to do something else than its options say, and warns of it; the host shows it."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a clause such as ` (nearest: noisy, snowy)`, or an empty string when nothing is close."""
    close = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f" (nearest: {', '.join(close)})" if close else ""
