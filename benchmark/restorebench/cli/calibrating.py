"""The command calibrate, which fits the temperature of a detector's probabilities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorebench.cli import console, options, progress

if TYPE_CHECKING:
    from restorebench.commands.calibration import Calibration


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(calibrate)


def calibrate(
    detector: Annotated[str, typer.Argument(help="Name of the detector.")],
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder with the degraded images of each task in TASK or TASK/LQ; `clean` is left out."
        ),
    ],
    option: options.PluginOptions = None,
    weights: options.Weights = None,
    limit: options.Limit = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Find the temperature at which a detector's probabilities match how often it is right.

    Use other images than those you score the detector on: the row `after` is computed on the images of the fit.
    Put the result into the detector's options.
    """
    from restorebench.commands import calibration
    from restorebench.suite.settings import Request

    settings = replace(options.settings_of(plugin, device, workers), request=Request(limit=limit))
    with progress.watched("nothing was kept") as watch:
        given = options.plugin_options(option, weights)
        found = calibration.calibrate(folder, detector, options=given, settings=settings, watch=watch)
    if found.left_out:
        console.tell(f"note: {found.left_out}; left out")
    _print(detector, found)
    console.print_failures(found.failures)


def _print(detector: str, found: Calibration) -> None:
    """Print the figures before and after, and the option to set."""
    after = None if found.temperature is None else found.temperature * found.factor
    rows = [["", "temperature", "images", "accuracy", "NLL", "Brier", "ECE"]]
    for name, temperature, quality in (("before", found.temperature, found.before), ("after", after, found.after)):
        numbers = [f"{value:.4f}" for value in (found.top1, quality.nll, quality.brier, quality.calibration_error)]
        shown = "" if temperature is None else f"{temperature:.4g}"
        rows.append([name, shown, str(found.images), *numbers])
    console.show(rows, None)
    if after is None:
        print(f"{detector} has no option `temperature`: divide its logits by {found.factor:.4g}")
    else:
        print(f"temperature: {after:.4g}")
