"""Command-line options that several commands share, and what their values mean."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.contract.errors import DeviceError, RestorebenchError

if TYPE_CHECKING:
    from restorebench.suite.settings import Settings

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
Restorers = Annotated[
    str | None,
    typer.Option(
        "--restorers",
        help="Only these restorers, as a,b or a:task,b; an installed one that the suite lacks is added.",
    ),
]
Add = Annotated[
    str | None, typer.Option("--add", help="Also these installed restorers, as a,b or a:task (told the task).")
]
SuiteMetrics = Annotated[
    str | None, typer.Option("--metrics", help="These metrics instead of the suite's, as a,b.")
]
SuiteProtocols = Annotated[
    str | None, typer.Option("--protocols", help="These protocols instead of the suite's, as a,b.")
]
Pairing = Annotated[
    str | None, typer.Option("--pairing", help="Rule that matches the file names, such as stem or rain100.")
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0.001, max=1e7, help="Longest time for one image, in seconds.")
]
Tasks = Annotated[str | None, typer.Option("--tasks", help="Only these tasks of the suite, as a,b.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="Only the first N images of each task.")]
Plugin = Annotated[
    list[Path] | None, typer.Option("--plugin", help="Also load a plugin from a Python file; may be repeated.")
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu or cuda:i.")]
Workers = Annotated[
    int,
    typer.Option("--workers", min=0, max=256, help="Worker processes; 0 runs in this one, without a boundary."),
]
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


PluginOptions = Annotated[
    list[str] | None,
    typer.Option("--option", metavar="KEY=VALUE", help="An option of the plugin; the value is YAML."),
]
Weights = Annotated[
    str | None, typer.Option("--weights", metavar="FILE|NAME", help="Weights: short for --option weights=...")
]


def names(text: str | None) -> tuple[str, ...] | None:
    """Split a list at its commas; None stays None."""
    if text is None:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def listed(text: str | None) -> list[str] | None:
    """Split a list at its commas, for a key of the suite; None stays None."""
    found = names(text)
    return None if found is None else list(found)


def device_of(text: str) -> str:
    """Check the form of --device; the first worker checks that the device is there."""
    if text in {"auto", "cpu"} or (text.startswith("cuda:") and text[5:].isdigit()):
        return text
    if text == "cuda":
        return "cuda:0"
    raise DeviceError(f"--device {text}: is not auto, cpu or cuda:i")


def settings_of(plugin: list[Path] | None, device: str, workers: int) -> Settings:
    from restorebench.suite.settings import Settings

    return Settings(plugins=tuple(plugin or ()), device=device_of(device), workers=workers)


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
