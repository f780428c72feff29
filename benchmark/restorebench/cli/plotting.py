"""The command plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from restorebench.cli import options
from restorebench.contract.errors import RestorebenchError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(plot)


Kind = Annotated[
    str, typer.Argument(metavar="KIND", help="What to draw, such as gains or radar; see `list figures`.")
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
File = Annotated[
    Path,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="Ends in .svg, .pdf, .png, .html (interactive, works without a network) or .json (Vega-Lite).",
    ),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", help="A metric or column, such as ssim@rgb; by default the first that ranks."),
]
Task = Annotated[str | None, typer.Option("--task", help="Only this task, or average.")]
Rows = Annotated[
    str | None,
    typer.Option("--rows", help="Only these rows, as NAME,NAME:TELL; for confusion these detectors."),
]
Width = Annotated[
    float | None,
    typer.Option("--width", metavar="MM", help="Width in millimetres; a column of a paper has about 88."),
]


def plot(
    kind: Kind,
    run: Run,
    file: File,
    metric: Metric = None,
    task: Task = None,
    rows: Rows = None,
    width: Width = None,
    option: options.PluginOptions = None,
    plugin: options.Plugin = None,
) -> None:
    """Draw a figure of a run from its tables."""
    from restorebench.commands import plotting

    flags: dict[str, Any] = {"metric": metric, "task": task, "rows": options.listed(rows), "width": width}
    flags = {name: value for name, value in flags.items() if value is not None}
    given = options.plugin_options(option)
    for name in flags.keys() & given.keys():
        raise RestorebenchError(f"give --{name} or --option {name}=..., not both")
    plotting.plot(kind, run, file, options={**given, **flags}, plugins=tuple(plugin or ()))
    print(file)
