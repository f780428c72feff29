"""restore, detect, degrade and score: single files and folders."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import options

if TYPE_CHECKING:
    from restorebench.oneoff import Outcome
    from restorebench.settings import Settings

Source = Annotated[Path, typer.Argument(metavar="INPUT", help="An image or a folder of images.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of every draw.")]
PluginOptions = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="An option of the plugin, in YAML.")
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(restore)
    app.command()(detect)
    app.command()(degrade)
    app.command()(score)


def restore(
    source: Source,
    output: Output,
    restorer: Annotated[str, typer.Option("-m", "--restorer", help="Name of the restorer.")],
    task: Annotated[str | None, typer.Option("-t", "--task", help="Tell the restorer this task.")] = None,
    detector: Annotated[str | None, typer.Option("--detector", help="Let a detector tell it the task.")] = None,
    option: PluginOptions = None,
    seed: Seed = 0,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Restore an image or a folder of images."""
    from restorebench import oneoff

    if task is not None and detector is not None:
        raise typer.BadParameter("give --task or --detector, not both")
    outcome = oneoff.restore(
        source,
        output,
        restorer,
        tell=detector or ("nothing" if task is None else "task"),
        task=task,
        options=_options(option),
        seed=seed,
        settings=_settings(plugin, device, workers),
    )
    _print_outcome(outcome, output)


def degrade(
    source: Source,
    output: Output,
    task: Annotated[str, typer.Option("-t", "--task", help="A task, or a mixture such as hazy+rainy.")],
    severity: Annotated[int, typer.Option("--severity", min=1, max=5, help="1 (mild) to 5.")] = 3,
    preset: Annotated[str | None, typer.Option("--preset", help="A named setting, such as daclip.")] = None,
    option: PluginOptions = None,
    seed: Seed = 0,
    plugin: options.Plugin = None,
    workers: options.Workers = 1,
) -> None:
    """Degrade a clean image or a folder of them; each gets its parameters beside it as JSON."""
    from restorebench import oneoff

    outcome = oneoff.degrade(
        source,
        output,
        task,
        severity=severity,
        preset=preset,
        options=_options(option),
        seed=seed,
        settings=_settings(plugin, "cpu", workers),
    )
    _print_outcome(outcome, output)


def detect(
    source: Source,
    detector: Annotated[str, typer.Option("-m", "--detector", help="Name of the detector.")] = "statistics",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead of a table.")] = None,
    option: PluginOptions = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Say which degradations an image, or each image of a folder, shows."""
    from restorebench import oneoff

    records = oneoff.detect(
        source, detector, options=_options(option), settings=_settings(plugin, device, workers)
    )
    tasks = list(dict.fromkeys(name for record in records for name in record.probabilities))
    rows = [["sample", "labels", *tasks, "reason"]]
    for record in records:
        numbers = [f"{record.probabilities.get(name, 0):.6f}" for name in tasks]
        rows.append([record.sample, "+".join(record.labels), *numbers, record.reason])
    _show(rows, csv_file)
    if any(record.reason for record in records):
        raise typer.Exit(3)


def score(
    restored: Annotated[Path, typer.Argument(metavar="RUN|RESTORED", help="A run folder, or restored images.")],
    clean: Annotated[Path | None, typer.Argument(help="The ground truth, with equal stems.")] = None,
    metrics: Annotated[str | None, typer.Option("--metrics", help="Metrics, a,b; psnr,ssim by default.")] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", help="Protocols, a,b; rgb by default.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead of a table.")] = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Score two folders matched by stem, or a run's saved images again."""
    from restorebench import oneoff

    settings = _settings(plugin, device, workers)
    wanted = options.names(metrics), options.names(protocol)
    if clean is None:
        from restorebench.cli.runs import finish

        result = oneoff.rescore(restored, metrics=wanted[0] or (), protocols=wanted[1] or (), settings=settings)
        if csv_file is not None:
            result.tables.records.to_csv(csv_file, index=False, float_format="%.6f", lineterminator="\n")
        finish(result)
        return
    rows = oneoff.score(
        restored,
        clean,
        metrics=wanted[0] or ("psnr", "ssim"),
        protocols=wanted[1] or ("rgb",),
        settings=settings,
    )
    if csv_file is not None:
        oneoff.write_scores(csv_file, rows)
        print(csv_file)
        return
    columns = list(rows[0])
    means = [_mean([row[name] for row in rows]) for name in columns[1:]]
    text = [[str(row["sample"]), *(_number(row[name]) for name in columns[1:])] for row in rows]
    _show([columns, *text, [f"mean of {len(rows)}", *means]], None)


def _settings(plugin: list[Path] | None, device: str, workers: int) -> Settings:
    from restorebench.settings import Settings

    return Settings(plugins=tuple(plugin or ()), device=options.device(device), workers=workers)


def _options(pairs: list[str] | None) -> Mapping[str, Any]:
    """Read `--option key=value` pairs, values in YAML."""
    import yaml

    found = {}
    for pair in pairs or ():
        key, separator, value = pair.partition("=")
        if not separator:
            raise typer.BadParameter(f"{pair!r} is not key=value", param_hint="--option")
        found[key] = yaml.safe_load(value)
    return found


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _mean(values: list[float | None]) -> str:
    """Average what is there; inf counts as 100, as in every table of restorebench."""
    known = [min(value, 100.0) for value in values if value is not None]
    return _number(sum(known) / len(known)) if known else ""


def _show(rows: list[list[str]], csv_file: Path | None) -> None:
    """Print rows as a table, or write them as CSV."""
    if csv_file is not None:
        from restorebench.toolbox.files import atomic_write_text

        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        atomic_write_text(csv_file, text.getvalue())
        print(csv_file)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(*rows[0], box=None, pad_edge=False)
    for row in rows[1:]:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False, markup=False).print(table)


def _print_outcome(outcome: Outcome, output: Path) -> None:
    print(f"{len(outcome.files)} images in {output}")
    for sample, reason in outcome.failures.items():
        print(f"failed: {sample}: {reason}", file=sys.stderr)
    if outcome.failures:
        raise typer.Exit(3)
