"""The command diff."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import console
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    import pandas as pd

    from restorebench.commands.causes import Cause
    from restorebench.commands.differing import Difference


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(diff)


RunA = Annotated[Path, typer.Argument(metavar="RUN_A", help="The folder of a run.")]
RunB = Annotated[Path, typer.Argument(metavar="RUN_B", help="The folder of another run.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write every row that moved as CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def diff(run_a: RunA, run_b: RunB, csv_file: CsvFile = None, as_json: AsJson = False) -> None:
    """Say what is different in how two runs were made, and which scores moved by how much because of it."""
    from restorebench.commands import differing

    console.check_csv(csv_file, as_json)
    found = differing.diff(run_a, run_b)
    if csv_file is not None:
        from restorebench.toolbox.cells import csv_text

        rows = found.moved.itertuples(index=False)
        cells = [list(found.moved.columns), *([console.csv_cell(value) for value in row] for row in rows)]
        console.write_csv(csv_file, csv_text(cells))
    elif as_json:
        print(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _print(found, run_a, run_b)


def _print(found: Difference, run_a: Path, run_b: Path) -> None:
    print(visible(f"{run_a} against {run_b}"))
    if found.causes:
        print("what is different and moved scores:")
        _show_causes(found.causes)
    if len(found.moved):
        print("what moved:")
        console.show(_by_row(found.moved), None)
    every = found.unmoved + len(found.moved)
    print(f"{found.unmoved} of {counted(every, 'score')} of a row on a task did not move.")
    if len(found.unexplained):
        places = [f"{r['row']} on {r['task']}" for r in console.rows_of(found.unexplained)]
        print(
            visible(
                f"no difference that is recorded explains {len(places)} of the moves, such as {places[0]}:"
                " the method may be random from run to run."
            )
        )
    if found.beside:
        print("what else is different:")
        _show_causes(found.beside)
    for run, alone in ((run_a, found.only_before), (run_b, found.only_after)):
        if alone:
            print(visible(f"only in {run}: {'; '.join(alone)}"))


def _show_causes(causes: Sequence[Cause]) -> None:
    console.show(
        [["cause", "what", "before", "after"], *([c.kind, c.what, c.before, c.after] for c in causes)], None
    )


def _by_row(moved: pd.DataFrame) -> list[list[str]]:
    """Lay the moves out with one line per row and column."""
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for move in console.rows_of(moved):
        together.setdefault((move["row"], move["column"]), []).append(move)
    lines = [["row", "column", "tasks", "mean change", "largest", "on", "because"]]
    for (row, column), moves in together.items():
        most = max(
            moves, key=lambda move: abs(move["largest"]) if move["largest"] == move["largest"] else math.inf
        )
        because = dict.fromkeys(kind for move in moves for kind in move["because"].split(", ") if kind)
        changes = [move["change"] for move in moves if move["change"] == move["change"]]
        lines.append(
            [
                row,
                column,
                str(len(moves)),
                f"{sum(changes) / len(changes):+.4f}" if changes else "",
                f"{most['largest']:+.4f}" if most["largest"] == most["largest"] else "lost or gained",
                f"{most['task']} / {most['sample']}",
                ", ".join(because) or "unknown",
            ]
        )
    return lines


def _plain(found: Difference) -> dict[str, Any]:
    """Lay a difference out for JSON."""

    def listed(causes: Sequence[Cause]) -> list[dict[str, str]]:
        return [{"kind": c.kind, "what": c.what, "before": c.before, "after": c.after} for c in causes]

    return {
        "causes": listed(found.causes),
        "beside": listed(found.beside),
        "moved": json.loads(found.moved.to_json(orient="records")),
        "unmoved": found.unmoved,
        "only_before": list(found.only_before),
        "only_after": list(found.only_after),
    }
