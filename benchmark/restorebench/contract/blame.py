"""Run a plugin's code in the driver: what goes wrong there is one line that names the plugin and the place."""

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
    """Turn what a plugin's code raises into BrokenPlugin. doing: such as `listing its samples`.

    expected: one more type that passes, because the caller makes sense of it. What a plugin says as a
    RestorebenchError passes too.

    Raises:
        BrokenPlugin: the card, what it was doing, the error, and the file and line it comes from.
    """
    try:
        yield
    except (RestorebenchError, expected):
        raise
    except (Exception, SystemExit) as error:
        message = str(error).strip().split("\n", 1)[0]
        where = _place(error.__traceback__)
        raise BrokenPlugin(
            f"{kind_of(card)} {card.name!r} failed {doing}: {type(error).__name__}: {message}{where}"
        ) from error


def _place(trace: TracebackType | None) -> str:
    """Name the innermost line that is neither the host's nor of an installed library; empty without one."""
    for frame in reversed(traceback.extract_tb(trace)):
        path = Path(frame.filename)
        foreign = "importlib" in frame.filename or "site-packages/pydantic" in path.as_posix()
        if path.is_file() and not foreign and not path.resolve().is_relative_to(_HOST):
            return f" ({path}:{frame.lineno})"
    return ""
