"""The commands restore, detect, degrade and score, which work on single files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from restorebench.cli import console, options, progress
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.commands.delivery import Existing
    from restorebench.commands.images import Outcome
    from restorebench.commands.scores import ScoreTable
    from restorebench.suite.settings import Settings

Source = Annotated[Path, typer.Argument(metavar="INPUT", help="An image or a folder of images.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the results, or x.png for one image.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Compute only the results that are missing, for example after a crash."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing results.")]


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
    detector: Annotated[
        str | None, typer.Option("--detector", help="Let this detector tell the restorer the task.")
    ] = None,
    option: options.PluginOptions = None,
    weights: options.Weights = None,
    tile: Annotated[
        int | None,
        typer.Option("--tile", min=32, help="Restore large images in tiles with sides of this many px."),
    ] = None,
    seed: Seed = 0,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Restore an image or a folder of images."""
    from restorebench.commands import images

    if task is not None and detector is not None:
        raise RestorebenchError("give --task or --detector, not both")
    existing = _existing(skip_existing, overwrite)
    with progress.watched(f"finished images are in {output}; --skip-existing continues") as watch:
        outcome = images.restore(
            source,
            output,
            restorer,
            tell=detector or ("nothing" if task is None else "task"),
            task=task,
            options=options.plugin_options(option, weights),
            tile=tile,
            seed=seed,
            existing=existing,
            settings=options.settings_of(plugin, device, workers),
            watch=watch,
        )
    _print_outcome(outcome, output)


def degrade(
    source: Source,
    output: Output,
    task: Annotated[str, typer.Option("-t", "--task", help="A task, or a mixture such as hazy+rainy.")],
    severity: Annotated[int, typer.Option("--severity", min=1, max=5, help="1 (mild) to 5 (severe).")] = 3,
    preset: Annotated[
        str | None, typer.Option("--preset", help="Named options from the literature, such as daclip.")
    ] = None,
    option: options.PluginOptions = None,
    seed: Seed = 0,
    skip_existing: SkipExisting = False,
    overwrite: Overwrite = False,
    plugin: options.Plugin = None,
    workers: options.Workers = 1,
) -> None:
    """Degrade a clean image or a folder of them, under the same names; a JSON file beside each says how."""
    from restorebench.commands import images

    existing = _existing(skip_existing, overwrite)
    with progress.watched(f"finished images are in {output}; --skip-existing continues") as watch:
        outcome = images.degrade(
            source,
            output,
            task,
            severity=severity,
            preset=preset,
            options=options.plugin_options(option),
            seed=seed,
            existing=existing,
            settings=options.settings_of(plugin, "cpu", workers),
            watch=watch,
        )
    _print_outcome(outcome, output)


def detect(
    source: Source,
    detector: Annotated[str, typer.Option("-m", "--detector", help="Name of the detector.")] = "statistics",
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead of a table.")] = None,
    option: options.PluginOptions = None,
    weights: options.Weights = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Name the degradations in an image, or in each image of a folder."""
    from restorebench.commands import images
    from restorebench.toolbox.cells import guarded

    console.check_csv(csv_file)
    settings = options.settings_of(plugin, device, workers)
    with progress.watched("nothing was kept") as watch:
        given = options.plugin_options(option, weights)
        records = images.detect(source, detector, options=given, settings=settings, watch=watch)
    tasks = list(dict.fromkeys(name for record in records for name in record.probabilities))
    rows = [["sample", "labels", *tasks, "reason"]]
    for record in records:
        numbers = [f"{record.probabilities.get(name, 0):.6f}" for name in tasks]
        texts = [record.sample, "+".join(record.labels), record.reason]
        sample, labels, reason = texts if csv_file is None else map(guarded, texts)
        rows.append([sample, labels, *numbers, reason])
    if csv_file is None:  # failures are printed below the table, not in a column
        rows = [row[:-1] for row in rows if row is rows[0] or not row[-1]]
    if csv_file is not None or len(rows) > 1:
        console.show(rows, csv_file)
    console.print_failures({record.sample: record.reason for record in records if record.reason})


def score(
    restored: Annotated[Path, typer.Argument(metavar="RUN|RESTORED", help="A folder: a run, or restored images.")],
    clean: Annotated[Path | None, typer.Argument(help="Folder of the ground truth, with the same stems.")] = None,
    metrics: Annotated[
        str | None, typer.Option("--metrics", help="Metrics, as a,b; default: those of the run, or psnr,ssim.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", help="Protocols, as a,b; default: those of the run, or rgb.")
    ] = None,
    pairing: options.Pairing = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a CSV file instead of a table.")] = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
) -> None:
    """Score two folders, matched by name, or score the saved images of a run again, into RUN/scores."""
    from restorebench.commands import scores

    console.check_csv(csv_file)
    settings = options.settings_of(plugin, device, workers)
    wanted = options.names(metrics), options.names(protocol)
    for flag, names in zip(("--metrics", "--protocol"), wanted, strict=True):
        if names == ():
            raise RestorebenchError(f"{flag}: names none; name one, or leave it out")
    if clean is None:
        if pairing is not None:
            raise RestorebenchError("--pairing matches two folders; a run has its pairs already, so leave it out")
        _score_run(restored, wanted[0] or (), wanted[1] or (), settings, csv_file)
        return
    with progress.watched("nothing was kept") as watch:
        found = scores.score(
            restored,
            clean,
            metrics=wanted[0] or ("psnr", "ssim"),
            protocols=wanted[1] or ("rgb",),
            pairing=pairing,
            settings=settings,
            watch=watch,
        )
    if csv_file is not None:
        console.write_csv(csv_file, found.csv())
    else:
        _show_scores(found)
    console.print_failures(found.failures)


def _score_run(
    run: Path, metrics: Sequence[str], protocols: Sequence[str], settings: Settings, csv_file: Path | None
) -> None:
    """Score the saved images of a run again, and print the result."""
    from restorebench.cli.runs import finish
    from restorebench.commands import scores

    with progress.watched("the same command again continues", cells=True) as watch:
        result = scores.rescore(run, metrics=metrics, protocols=protocols, settings=settings, watch=watch)
    if csv_file is not None:
        text = result.tables.records.to_csv(None, index=False, float_format="%.6f", lineterminator="\n")
        console.write_csv(csv_file, text)
    finish(result, every_column=True)


def _show_scores(found: ScoreTable) -> None:
    """Print one row per image, and the means."""
    from restorebench.commands.scores import number

    rows = [[row["sample"], *(number(row[name]) for name in found.means)] for row in found.rows]
    means = [number(value) for value in found.means.values()]
    averaged = "mean of those scored" if found.failures else f"mean of {len(rows)}"
    console.show([["sample", *found.means], *rows, [averaged, *means]], None)


def _existing(skip: bool, overwrite: bool) -> Existing:
    from restorebench.commands.delivery import Existing

    if skip and overwrite:
        raise RestorebenchError("give --skip-existing or --overwrite, not both")
    return Existing.SKIP if skip else Existing.OVERWRITE if overwrite else Existing.REFUSE


def _print_outcome(outcome: Outcome, output: Path) -> None:
    skipped = f"; {outcome.skipped} existed and were kept" if outcome.skipped else ""
    where = f" in {output}" if output.is_dir() else f": {output}"
    if outcome.files or outcome.skipped or not outcome.failures:
        print(f"{counted(len(outcome.files), 'image')}{where}{skipped}")
    console.print_failures(outcome.failures)
