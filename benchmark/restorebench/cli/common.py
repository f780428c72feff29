"""Shared parts of the commands on images: options of a plugin, progress, tables and failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import options
from restorebench.contract.errors import RestorebenchError, RunFolderError

if TYPE_CHECKING:
    from restorebench.schedule.stage import Watcher
    from restorebench.suite.settings import Settings

PluginOptions = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="An option of the plugin; the value is YAML."),
]


Weights = Annotated[
    str | None, typer.Option("--weights", metavar="FILE|NAME", help="Weights: short for --option weights=...")
]


@contextmanager
def watched(what_remains: str, cells: bool = False) -> Iterator[Watcher]:
    """Show the progress of a command on stderr, and let Ctrl-C end it with a line that says what was kept."""
    from restorebench.cli.progress import watching

    with options.interruptible(what_remains), watching(cells=cells) as watch:
        yield watch


def settings_of(plugin: list[Path] | None, device: str, workers: int) -> Settings:
    from restorebench.suite.settings import Settings

    return Settings(plugins=tuple(plugin or ()), device=options.device(device), workers=workers)


def plugin_options(pairs: list[str] | None, weights: str | None = None) -> Mapping[str, Any]:
    """Parse `--option key=value` pairs, whose values are YAML. weights: the option `weights`, as plain text."""
    from restorebench.suite.marked_yaml import parse_value

    found: dict[str, Any] = {}
    for pair in pairs or ():
        key, separator, value = pair.partition("=")
        if not separator or not key.strip():
            raise RestorebenchError(f"--option {pair}: expected key=value, for instance --option sigma=25")
        if key.strip() in found:
            raise RestorebenchError(f"--option {pair}: {key.strip()} is given twice")
        found[key.strip()] = parse_value(value, f"--option {pair}")
    if weights is not None:
        if "weights" in found:
            raise RestorebenchError("give --weights or --option weights=..., not both")
        found["weights"] = weights
    return found


def check_csv(path: Path | None) -> None:
    """Refuse, before any work, a `--csv` file that cannot be written or would replace a file of another kind."""
    if path is None:
        return
    if path.is_dir() or (path.exists() and path.suffix.lower() != ".csv"):
        raise RunFolderError(f"--csv {path}: exists and is not a .csv file; give another name")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise RunFolderError(
            f"--csv {path}: {path.parent} is not a folder that can be written; make it, or give another"
        )


def write_csv(path: Path, text: str) -> None:
    from restorebench.toolbox.files import atomic_write_text

    try:
        atomic_write_text(path, text)
    except OSError as error:
        raise RunFolderError(f"--csv {path}: {error.strerror}; give another file") from error
    print(path)


def show(rows: list[list[str]], csv_file: Path | None) -> None:
    """Print rows as a table, or write them as CSV. For CSV, the caller must have guarded the texts."""
    from restorebench.toolbox.cells import csv_text, visible

    if csv_file is not None:
        write_csv(csv_file, csv_text(rows))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows[1:]:
        table.add_row(*map(visible, row))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


def print_failures(failures: Mapping[str, str]) -> None:
    """Print each failed sample and its reason, and exit with code 3 if there are any."""
    for sample, reason in failures.items():
        options.tell(f"failed: {sample}: {reason}")
    if failures:
        raise typer.Exit(3)
