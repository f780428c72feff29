"""Command-line options that several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from restorebench.contract.errors import DeviceError
from restorebench.engine.stopping import Stopped
from restorebench.toolbox.cells import visible

SuiteName = Annotated[str, typer.Argument(help="A bundled suite (see `list suites`) or a YAML file.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder for ${data}; or set RESTOREBENCH_DATA.", envvar="RESTOREBENCH_DATA"),
]
Out = Annotated[Path | None, typer.Option("--out", help="Run folder; runs/<suite> by default.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the suite; the value is YAML."),
]
Restorers = Annotated[str | None, typer.Option("--restorers", help="Only these restorers of the suite, as a,b.")]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Only these tasks of the suite, as a,b.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N images of each task.")]
Plugin = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Also load a plugin from a Python file; may be repeated.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda:i.")]
Workers = Annotated[int, typer.Option("--workers", min=0, max=256, help="Worker processes; 0 runs in this one.")]
Engine = Annotated[
    str, typer.Option("--engine", help="local: processes on this machine. ray: actors on one or more machines.")
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address", help="Ray cluster to join, auto or HOST:PORT; by default, Ray starts on this machine."
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker",
        min=0,
        help="GPUs that each worker requests from Ray, such as 0.5; an even share by default.",
    ),
]
Save = Annotated[str | None, typer.Option("--save", help="Which restored images to keep: none or all.")]
Samples = Annotated[
    int | None, typer.Option("--samples", min=0, help="Keep N degraded/clean/restored triples per task.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run, and stop.")]
Calibrate = Annotated[
    bool,
    typer.Option("--calibrate", help="Run one group of each cell that never ran here, print the plan, and stop."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Move an earlier run aside and start anew.")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Also retry what failed for good.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the table.")]
Protocol = Annotated[str, typer.Option("--protocol", help="Metric protocols, as a,b.")]
Metrics = Annotated[str, typer.Option("--metrics", help="Metrics, as a,b.")]


def names(text: str | None) -> tuple[str, ...] | None:
    """Split a list at its commas; None stays None."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def device(text: str) -> str:
    """Check the form of --device; the first worker checks that the device is there."""
    if text in {"auto", "cpu"} or (text.startswith("cuda:") and text[5:].isdigit()):
        return text
    if text == "cuda":
        return "cuda:0"
    raise DeviceError(f"--device {text}: is not auto, cpu or cuda:i")


def tell(text: str) -> None:
    """Print a line on stderr. If nobody reads it any more, discard all output there and let the run go on."""
    try:
        print(visible(text), file=sys.stderr, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stderr.fileno())
        os.close(nowhere)


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
