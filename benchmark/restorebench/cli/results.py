"""The commands of `restorebench results`, about the folders that `publish` wrote."""

from __future__ import annotations

import json
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from restorebench.cli import console
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.cells import visible

group = typer.Typer(
    name="results", help="Join, compare and export folders that `publish` wrote.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    group.command()(add)
    group.command()(claims)
    group.command()(export)
    app.add_typer(group)


Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that `publish` wrote.")]
To = Annotated[Path, typer.Option("--to", metavar="DIR", help="Where the board SUITE/VERSION is, or is made.")]
As = Annotated[
    list[str] | None,
    typer.Option(
        "--as",
        metavar="NAME=NEWNAME",
        help="Add a restorer under another name; detector:NAME=NEWNAME renames a detector. May be repeated.",
    ),
]
By = Annotated[
    str, typer.Option("--by", metavar="WHO", help="Who published the rows; kept in the board's manifest.")
]
NewBoard = Annotated[
    bool, typer.Option("--new-board", help="Begin a board although there is one of another version of the suite.")
]


def add(
    folder: Folder,
    to: To = Path("results"),
    as_: As = None,
    by: By = "",
    new_board: NewBoard = False,
) -> None:
    """Add somebody's published rows to the board of their suite and version, and compute its tables anew."""
    from restorebench.publishing.add import add as carry_out

    added = carry_out(folder, to, names=_names(as_), by=by, new_board=new_board)
    for note in added.notes:
        console.tell(f"note: {note}")
    if not added.rows:
        console.tell(f"nothing was added to {added.folder}")
    else:
        console.tell(f"added {', '.join(added.rows)}")
    print(added.folder)


Results = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="The folder with claims.csv and the boards SUITE/VERSION.")
]
CsvFile = Annotated[
    Path | None, typer.Option("--csv", metavar="FILE", help="Write a line for each figure as CSV.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print everything as JSON.")]


def claims(results: Results = Path("results"), csv_file: CsvFile = None, as_json: AsJson = False) -> None:
    """Print the figures that papers publish, and whether a board has the row that each of them is about."""
    from restorebench.cli import claiming
    from restorebench.publishing import claims as publishing

    console.check_csv(csv_file, as_json)
    read = publishing.read_claims(results / "claims.csv")
    known = list(zip(read, publishing.states(read, list(publishing.boards_below(results))), strict=True))
    if csv_file is not None:
        from restorebench.toolbox.cells import csv_text

        console.write_csv(csv_file, csv_text(claiming.as_rows(known)))
    elif as_json:
        print(json.dumps([claiming.as_plain(claim, state) for claim, state in known], indent=1))
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        print(visible(claiming.as_text(known, width), keep="\n"))


class Form(StrEnum):
    """The files that quote a published folder elsewhere."""

    HF = "hf"
    BIBTEX = "bibtex"
    BADGE = "badge"


_SUFFIXES = {Form.HF: (".yaml", ".yml", ".md"), Form.BIBTEX: (".bib",), Form.BADGE: (".svg",)}
AsForm = Annotated[
    Form,
    typer.Option(
        "--as",
        help="hf: evaluation results for a model card. bibtex: papers of the rows. badge: ranks of a row as SVG.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file instead of printing.")
]
Row = Annotated[str | None, typer.Option("--row", metavar="NAME", help="The row; hf and badge need it.")]
Url = Annotated[str | None, typer.Option("--url", help="For hf: where the folder is published.")]
Task = Annotated[str, typer.Option("--task", help="For a badge: the task.")]
Dataset = Annotated[
    str | None, typer.Option("--dataset", help="For a badge: the dataset, if several have the task.")
]


def export(
    folder: Folder,
    as_: AsForm,
    output: Output = None,
    row: Row = None,
    url: Url = None,
    task: Task = "average",
    dataset: Dataset = None,
) -> None:
    """Write what a published folder says of its rows in a form that other places read."""
    from restorebench.publishing import badge, bibliography, model_card
    from restorebench.publishing.quoting import quoted

    if output is not None:
        _check_output(output, _SUFFIXES[as_])
    found = quoted(folder)
    if as_ is not Form.BIBTEX and row is None:
        raise RestorebenchError(f"--as {as_} is of one row; name it with --row, one of {', '.join(found.rows)}")
    if as_ is not Form.BADGE and (task != "average" or dataset is not None):
        raise RestorebenchError(f"--task and --dataset are for a badge; leave them out of --as {as_}")
    if as_ is not Form.HF and url is not None:
        raise RestorebenchError(f"--url is for hf; leave it out of --as {as_}")
    if as_ is Form.HF:
        text = model_card.model_card(found, row or "", url)
    elif as_ is Form.BADGE:
        text = badge.badge(found, row or "", task, dataset)
    else:
        text = bibliography.bibliography(found, row)
    if output is None:
        print(text, end="")
    else:
        console.write_text("-o", output, text)
        print(visible(str(output)))


def _check_output(path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse, before any work, a file that is there and of another kind, or a folder that is not there."""
    if path.is_dir() or (path.exists() and path.suffix.lower() not in suffixes):
        raise RestorebenchError(f"-o {path}: exists and is no {suffixes[0]} file; give another name")
    if not path.parent.is_dir():
        raise RestorebenchError(f"-o {path}: {path.parent} is not a folder; make it, or give another")


def _names(pairs: list[str] | None) -> dict[str, str]:
    """Parse `--as NAME=NEWNAME`."""
    found: dict[str, str] = {}
    for pair in pairs or ():
        name, separator, new = pair.rpartition("=")
        if not separator or not name or not new:
            raise RestorebenchError(f"--as {pair}: expected NAME=NEWNAME, for instance --as airnet=airnet-mine")
        if name in found:
            raise RestorebenchError(f"--as {pair}: {name} is given twice")
        found[name] = new
    return found
