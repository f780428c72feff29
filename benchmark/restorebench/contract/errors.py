"""Errors that a user can act on. The command line prints them as one line and exits with code 2."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RestorebenchError(Exception):
    """A problem the user can fix. The message says what happened, what was expected and what to do."""


class SuiteError(RestorebenchError):
    """A suite file is wrong; each line of the message starts with `file:line:column`."""


class UnknownName(RestorebenchError):
    """No plugin, task, suite or option has the requested name."""


class DuplicateName(RestorebenchError):
    """Two plugins provide the requested name."""


class BrokenPlugin(RestorebenchError):
    """A requested plugin could not be imported or breaks the rules of the host."""


class ContractViolation(RestorebenchError):
    """A plugin returned the wrong type, shape, dtype or values."""


class MissingResource(RestorebenchError):
    """Data or weights are missing from the expected folder."""


class WeightsMismatch(RestorebenchError):
    """A weights file is not the expected one."""


class UnreadableImage(RestorebenchError):
    """An image file is corrupt, truncated, too large or of a kind that is refused."""


class RunFolderError(RestorebenchError):
    """The run folder cannot be used: not a run, locked by another process, read-only or full."""


class PublishedFolderError(RestorebenchError):
    """A published folder cannot be used: not one, damaged, or of another version."""


class DeviceError(RestorebenchError):
    """The requested device is not available."""


def from_worker(kind: str, message: str) -> RestorebenchError:
    """Rebuild an error that a worker reported, with the type it had there."""
    known = {found.__name__: found for found in RestorebenchError.__subclasses__()}
    return known.get(kind, RestorebenchError)(message)


class Fallback(UserWarning):
    """A warning, shown by the host, that a restorer or detector did something else than its options say."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a clause such as ` (nearest: noisy, snowy)`, or an empty string if no name is close.

    >>> nearest("nosy", ["noisy", "snowy", "hazy"])
    ' (nearest: noisy, snowy)'
    """
    close = get_close_matches(name, sorted(known), n=3, cutoff=0.5)
    return f" (nearest: {', '.join(close)})" if close else ""
