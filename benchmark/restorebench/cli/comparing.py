"""The command compare."""

from __future__ import annotations

import json
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
Page = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a page for the web that works without a network."),
]
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
    page: Page = None,
    as_json: AsJson = False,
) -> None:
    """Say which of two methods is better on each task, by how much, and on which images it loses."""
    from restorebench.commands import comparing

    console.check_csv(csv_file, as_json)
    if page is not None:
        from restorebench.commands import comparison_page

        if csv_file is not None or as_json:
            raise RestorebenchError(f"--html and {'--json' if as_json else '--csv'} are both given; leave one out")
        comparison_page.require_page(page)
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
    elif page is not None:
        comparison_page.write_page(found, page)
        print(visible(str(page)))
    elif as_json:
        print(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _print(found)


def _print(found: Comparison) -> None:
    """Print the comparison for a person: what was compared, a row per task, and the images to look at."""
    from restorebench.commands import wording

    print(visible(wording.headline(found)))
    rows = [["task", "scenes", "difference", f"{found.level:.0%} interval", "p", "wins", "verdict"]]
    for task, row in zip(wording.task_names(found), console.rows_of(found.pairs), strict=True):
        rows.append(
            [
                task,
                str(row["n_scenes"]),
                wording.number(row["difference"], found, "+"),
                wording.interval(row, found),
                wording.p_value(row["p"]),
                f"{row['win_rate']:.0%}",
                row["verdict"],
            ]
        )
    console.show(rows, None)
    for note in wording.explained(found):
        print(visible(note))
    _print_looks(found)


def _print_looks(found: Comparison) -> None:
    """Name the images on which each of the two is ahead the most, and the command that shows them."""
    from restorebench.commands import wording
    from restorebench.commands.looking import looks

    for look in looks(found):
        print(visible(f"{look.ahead} is ahead the most on:"))
        for image in look.images:
            values = " against ".join(wording.number(value, found) for value in (image.a, image.b))
            print(visible(f"  {image.name}: {values}"))
        print(f"  to see them: {look.command}")


def _texts(pairs: pd.DataFrame) -> list[list[str]]:
    """Lay the pairs out as the cells of a CSV file."""
    rows = [[console.csv_cell(value) for value in row] for row in pairs.itertuples(index=False)]
    return [list(pairs.columns), *rows]


def _plain(found: Comparison) -> dict[str, Any]:
    """Lay a comparison out for JSON; what was not computed is null."""
    from restorebench.commands.looking import looks

    return {
        "a": found.a,
        "b": found.b,
        "column": found.column.name,
        "family": list(found.family),
        "notes": list(found.notes),
        "tasks": json.loads(found.pairs.to_json(orient="records")),
        "images": json.loads(found.images.to_json(orient="records")),
        "show": [look.command for look in looks(found)],
    }
