"""Run a plugin's code in the driver, and turn its errors into one line that names the plugin and its file."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from restorebench.contract.cards import Card, kind_of
from restorebench.contract.errors import BrokenPlugin, RestorebenchError

_HOST = Path(__file__).resolve().parent.parent


@contextmanager
def blaming(card: Card, doing: str, expected: type[Exception] = RestorebenchError) -> Iterator[None]:
    """Turn an exception from a plugin's code into BrokenPlugin. doing: for example `listing its samples`.

    expected: one more exception type to let through, because the caller handles it. A RestorebenchError that the
    plugin raises is let through too.

    Raises:
        BrokenPlugin: names the card, what it was doing, the error, and the file and line that raised it.
    """
    try:
        yield
    except (RestorebenchError, expected):
        raise
    except (Exception, SystemExit) as error:
        message = str(error).strip().split("\n", 1)[0]
        where = _source_line(error.__traceback__)
        raise BrokenPlugin(
            f"{kind_of(card)} {card.name!r} failed {doing}: {type(error).__name__}: {message}{where}"
        ) from error


def _source_line(trace: TracebackType | None) -> str:
    """Return ` (file:line)` of the innermost frame outside the host, importlib and pydantic, or ""."""
    for frame in reversed(traceback.extract_tb(trace)):
        path = Path(frame.filename)
        library = "importlib" in frame.filename or "site-packages/pydantic" in path.as_posix()
        if path.is_file() and not library and not path.resolve().is_relative_to(_HOST):
            return f" ({path}:{frame.lineno})"
    return ""
