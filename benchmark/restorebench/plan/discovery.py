"""Discovery of plugins for the driver, which imports only those that come with this package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from restorebench.contract.catalog import Catalog, Entry, Source, collected, sources
from restorebench.plan.described import AT_ONCE, Describer


def discovered(paths: Sequence[Path] = ()) -> Catalog:
    """Collect the cards of the installed plugins and of those given as files.

    The plugins of other packages and files are imported by a process of their own each, at the same time.
    """
    found = sources(paths)
    describers = [Describer(source) for source in found if not source.own]
    for each in describers[: AT_ONCE - 1]:
        each.start()
    started = iter(describers[AT_ONCE - 1 :])

    def entries(source: Source) -> list[Entry]:
        describer = next((each for each in describers if each.source is source), None)
        if describer is None:
            return source.entries()
        if (following := next(started, None)) is not None:
            following.start()
        return describer.read()

    return collected(found, entries)
