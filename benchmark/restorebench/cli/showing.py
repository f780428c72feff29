"""The command show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restorebench.cli import options, progress
from restorebench.toolbox.cells import visible


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(show)


Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")]
Images = Annotated[
    list[str],
    typer.Argument(metavar="IMAGE", help="TASK/SAMPLE, or DATASET/TASK/SAMPLE where several datasets have it."),
]
File = Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Ends in .png or .html.")]
Rows = Annotated[
    list[str] | None,
    typer.Option("--row", metavar="ROW", help="NAME, or NAME:TELL; may be repeated. By default all but identity."),
]
Also = Annotated[
    tuple[Path, str] | None,
    typer.Option("--also", metavar="RUN_B ROW", help="Also a row of another run that has the same images."),
]
Metric = Annotated[
    str | None,
    typer.Option("--metric", help="A metric or column, such as ssim@rgb; by default the first that ranks."),
]


def show(
    run: Run,
    images: Images,
    file: File,
    row: Rows = None,
    also: Also = None,
    metric: Metric = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Show images side by side: the input, what rows made of it, the clean image, and the largest difference."""
    from restorebench.commands import showing

    with progress.watched("nothing was kept", cells=True) as watch:
        shown = showing.show(
            run,
            images,
            file,
            rows=row or (),
            also=also,
            metric=metric,
            settings=options.settings_of(plugin, device, workers),
            watch=watch,
        )
    for each in shown:
        for note in each.notes:
            print(visible(f"note: {each.title}: {note}"))
    print(visible(str(file)))
