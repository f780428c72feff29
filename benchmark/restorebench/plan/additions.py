"""Restorers that the command line asks for and the suite does not list: they join it."""

from __future__ import annotations

from dataclasses import replace

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import UnknownName, nearest
from restorebench.records import row_name
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.marked_yaml import KeyPath
from restorebench.suite.model import RestorerPick
from restorebench.suite.settings import Request


def selectors(pick: RestorerPick) -> set[str]:
    """Return the names that select a pick: its label, and `LABEL:TELL`."""
    label = pick.label or pick.name
    return {label, f"{label}:{pick.tell}"}


def with_additions(loaded: LoadedSuite, request: Request, catalog: Catalog) -> LoadedSuite:
    """Add the installed restorers that `--add` names, and those that `--restorers` names and the suite lacks.

    Raises:
        UnknownName: neither the suite nor a plugin has a restorer of that name, or `--add` names one of the suite.
    """
    flags = {f"--add {name}": name for name in request.added}
    there = {name for pick in loaded.suite.restorers for name in selectors(pick)}
    rows = {row_name(pick.label or pick.name, pick.tell) for pick in loaded.suite.restorers}
    for flag, name in flags.items():
        if name in rows:
            raise UnknownName(f"{flag}: suite {loaded.suite.suite} has it already")
    flags |= {f"--restorers {name}": name for name in request.restorers or () if name not in there}
    known = catalog.names("restorer")
    picks = []
    for flag, name in flags.items():
        plugin, _, tell = name.partition(":")
        if plugin not in known:
            near = nearest(plugin, {*known, *there})
            raise UnknownName(
                f"{flag}: neither suite {loaded.suite.suite} nor a plugin has a restorer {plugin!r}{near};"
                f" the suite has {', '.join(sorted(rows))}; see `restorebench list restorers`"
            )
        picks.append(RestorerPick(name=plugin, tell=tell or "nothing"))
    if not picks:
        return loaded
    first = len(loaded.suite.restorers)
    overridden: dict[KeyPath, str] = {("restorers", first + n): flag for n, flag in enumerate(flags)}
    return replace(
        loaded,
        suite=loaded.suite.model_copy(update={"restorers": [*loaded.suite.restorers, *picks]}),
        marks=replace(loaded.marks, overridden={**loaded.marks.overridden, **overridden}),
    )
