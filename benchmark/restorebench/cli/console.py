"""What commands print: tables, lines on stderr, progress and failures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.engine.stopping import Stopped
from restorebench.toolbox.cells import guarded, visible
from restorebench.toolbox.counts import counted
from restorebench.toolbox.places import cache_folder

if TYPE_CHECKING:
    import pandas as pd


def tell(text: str) -> None:
    """Print a line on stderr. If nobody reads it any more, discard all output there and let the run go on."""
    try:
        print(visible(text), file=sys.stderr, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


def first_time(text: str) -> bool:
    """Tell whether a line was not told on this machine before, and remember it in the cache folder."""
    told = cache_folder() / "told.txt"
    line = f"{visible(text)}\n"
    try:
        told.parent.mkdir(parents=True, exist_ok=True)
        with told.open("a+", encoding="utf-8", errors="replace") as file:
            file.seek(0)
            known = line in file.readlines()
            if not known:
                file.write(line)
    except OSError:  # nothing can be remembered
        return True
    return not known


@contextmanager
def interruptible(what_remains: str) -> Iterator[None]:
    """Let Ctrl-C end a command with one line that says what was kept, and exit code 130; for SIGTERM, 143."""
    try:
        yield
    except Stopped as stopped:
        tell(f"restorebench: {stopped}; {what_remains}")
        raise typer.Exit(128 + stopped.by) from None
    except KeyboardInterrupt:
        tell(f"restorebench: interrupted; {what_remains}")
        raise typer.Exit(130) from None


def several(names: Sequence[str], what: str, shown: int = 3) -> str:
    """Count names of one `what`, and list the first few: `8 images (a, b, c and 5 more)`."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{counted(len(names), what)} ({', '.join(names[:shown])}{more})"


def rows_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame by the names of its columns."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def csv_cell(value: Any) -> str:
    """Format a value of a frame for CSV: floats with six decimals, nothing for a missing value."""
    if value is None or value != value:
        return ""
    return f"{value:.6f}" if isinstance(value, float) else guarded(str(value))


def check_csv(path: Path | None, as_json: bool = False) -> None:
    """Refuse, before any work, a `--csv` file that cannot be written or would replace a file of another kind.

    as_json: whether `--json` is given; the two exclude each other.
    """
    if path is None:
        return
    if as_json:
        raise RestorebenchError("--csv and --json are both given; leave one of them out")
    if path.is_dir() or (path.exists() and path.suffix.lower() != ".csv"):
        raise RunFolderError(f"--csv {path}: exists and is not a .csv file; give another name")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        raise RunFolderError(
            f"--csv {path}: {path.parent} is not a folder that can be written; make it, or give another"
        )


def write_csv(path: Path, text: str) -> None:
    """Write the file of `--csv`, and print its name."""
    write_text("--csv", path, text)
    print(visible(str(path)))


def write_text(flag: str, path: Path, text: str) -> None:
    """Write a file that a flag names.

    Raises:
        RunFolderError: it cannot be written.
    """
    from restorebench.toolbox.files import atomic_write_text

    try:
        atomic_write_text(path, text)
    except OSError as error:
        raise RunFolderError(f"{flag} {path}: {error.strerror}; give another file") from error


def show(rows: list[list[str]], csv_file: Path | None) -> None:
    """Print rows as a table, or write them as CSV. For CSV, the caller must have guarded the texts."""
    from restorebench.toolbox.cells import csv_text

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
    """Print each reason with the samples that failed for it, and exit with code 3 if there are any."""
    samples: dict[str, list[str]] = {}
    for sample, reason in failures.items():
        samples.setdefault(reason, []).append(sample)
    for reason, failed in samples.items():
        tell(f"failed: {failed[0] if len(failed) == 1 else several(failed, 'image')}: {reason}")
    if failures:
        raise typer.Exit(3)
