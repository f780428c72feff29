"""The command compare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import console
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.cells import visible

if TYPE_CHECKING:
    import pandas as pd

    from restorebench.commands.comparing import Comparison


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(compare)


RowA = Annotated[str, typer.Argument(metavar="A", help="A row: NAME, or NAME:TELL if it is told something.")]
RowB = Annotated[str, typer.Argument(metavar="B", help="Another row.")]
Run = Annotated[Path | None, typer.Argument(metavar="RUN", help="The folder of a run.")]
OtherRun = Annotated[
    Path | None, typer.Argument(metavar="RUN_B", help="The folder of B's run, if it is another one.")
]
Task = Annotated[str | None, typer.Option("--task", help="Only this task, or average.")]
Metric = Annotated[
    str | None,
    typer.Option("--metric", help="A metric or column, such as ssim@rgb; by default the first that ranks."),
]
Margin = Annotated[
    float | None, typer.Option("--margin", min=0, help="Also say if A is not worse than B by more than this.")
]
Table = Annotated[
    Path | None,
    typer.Option(
        "--table",
        metavar="FILE",
        help="Instead of a run: a CSV file with the columns method, scene and value (or the one that --metric"
        " names), and if you like task and image.",
    ),
]
LowerIsBetter = Annotated[
    bool, typer.Option("--lower-is-better", help="With --table: a smaller value is the better one.")
]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write the comparison as CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def compare(
    a: RowA,
    b: RowB,
    run: Run = None,
    other_run: OtherRun = None,
    task: Task = None,
    metric: Metric = None,
    margin: Margin = None,
    table: Table = None,
    lower_is_better: LowerIsBetter = False,
    csv_file: CsvFile = None,
    as_json: AsJson = False,
) -> None:
    """Say which of two methods is better on each task, by how much, and on which images it loses."""
    from restorebench.commands import comparing

    console.check_csv(csv_file, as_json)
    if run is None and table is None:
        raise RestorebenchError("name the folder of a run, such as runs/quickstart, or give --table FILE")
    if run is not None and table is not None:
        raise RestorebenchError("a run and --table are both given; leave one of them out")
    if lower_is_better and table is None:
        raise RestorebenchError("--lower-is-better is for --table; a run knows the direction of its metrics")
    if table is not None:
        found = comparing.compare_in_table(
            a, b, table, task=task, value=metric or "value", margin=margin, higher_is_better=not lower_is_better
        )
    else:
        assert run is not None
        found = comparing.compare(a, b, run, other_run, task=task, metric=metric, margin=margin)
    if csv_file is not None:
        from restorebench.toolbox.cells import csv_text

        console.write_csv(csv_file, csv_text(_texts(found.pairs)))
    elif as_json:
        print(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _print(found)
        for folder in dict.fromkeys(path for path in (run, other_run) if path is not None):
            print(visible(_to_look_at(folder)))


def _print(found: Comparison) -> None:
    """Print the comparison for a person: what was compared, a row per task, and the images to look at."""
    column = found.column
    unit = f" in {column.unit}" if column.unit else ""
    better = "higher" if column.higher_is_better else "lower"
    print(visible(f"{found.a} against {found.b}, {column.name}{unit}, {better} is better"))
    several = found.pairs.dataset.nunique() > 1
    rows = [["task", "scenes", "difference", f"{found.level:.0%} interval", "p", "wins", "verdict"]]
    for row in console.rows_of(found.pairs):
        rows.append(
            [
                f"{row['task']} ({row['dataset']})" if several else row["task"],
                str(row["n_scenes"]),
                _number(row["difference"], column.decimals, "+"),
                _interval(row, column.decimals),
                _p(row["p"]),
                f"{row['win_rate']:.0%}",
                row["verdict"],
            ]
        )
    console.show(rows, None)
    for note in _explained(found):
        print(visible(note))


def _to_look_at(run: Path) -> str:
    """Say where the restored images of a run are, or how to get them."""
    outputs = run / "outputs"
    if outputs.is_dir():
        return f"to look at them: {outputs}/DATASET/TASK/RESTORER,.../SAMPLE.png"
    return f"to look at them: the command of the run with --save all keeps the restored images in {outputs}"


def _explained(found: Comparison) -> list[str]:
    """Say how the figures are to be read, and which images to look at."""
    lines = [f"note: {note}" for note in found.notes]
    if len(found.family) > 2:
        lines.append(f"p is corrected for all pairs of {', '.join(found.family)}.")
    lines.append("an interval excludes zero exactly where a difference is shown; it holds for its pair alone.")
    lines.append(f"difference: {found.a} minus {found.b}; wins: share of images on which {found.a} is ahead.")
    tasks = [row for row in console.rows_of(found.pairs) if not _missing(row["p_board"])]
    if len(tasks) > 1:
        held = [row["task"] for row in tasks if row["separated"] and row["p_board"] <= 1 - found.level]
        shown = ", ".join(held) or "none"
        lines.append(f"corrected for the {len(tasks)} tasks too, a difference is shown on: {shown}.")
    if len(found.images):
        lines.append("the images that differ most:")
        for image in console.rows_of(found.images):
            ahead = found.a if (image["difference"] > 0) == found.column.higher_is_better else found.b
            values = " against ".join(_number(image[side], found.column.decimals) for side in "ab")
            lines.append(f"  {image['task']} / {image['sample']}: {values}, {ahead} ahead")
    return lines


def _missing(value: Any) -> bool:
    """Tell whether a frame has no value there."""
    return value is None or value != value


def _interval(row: Mapping[str, Any], decimals: int) -> str:
    if _missing(row["low"]):
        return ""
    return f"{_number(row['low'], decimals, '+')} to {_number(row['high'], decimals, '+')}"


def _number(value: float, decimals: int, sign: str = "") -> str:
    return f"{value:{sign}.{decimals}f}"


def _p(value: float) -> str:
    if _missing(value):
        return ""
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _texts(pairs: pd.DataFrame) -> list[list[str]]:
    """Lay the pairs out as the cells of a CSV file."""
    rows = [[console.csv_cell(value) for value in row] for row in pairs.itertuples(index=False)]
    return [list(pairs.columns), *rows]


def _plain(found: Comparison) -> dict[str, Any]:
    """Lay a comparison out for JSON; what was not computed is null."""
    return {
        "a": found.a,
        "b": found.b,
        "column": found.column.name,
        "family": list(found.family),
        "notes": list(found.notes),
        "tasks": json.loads(found.pairs.to_json(orient="records")),
        "images": json.loads(found.images.to_json(orient="records")),
    }
