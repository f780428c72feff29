"""The command site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from restorebench.cli import console, options
from restorebench.contract.errors import RestorebenchError


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(site)


Results = Annotated[
    Path, typer.Argument(metavar="RESULTS", help="The folder in which `publish` made SUITE/VERSION.")
]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder of the site.")]
Title = Annotated[str, typer.Option("--title", metavar="TEXT", help="The title of the site, on every page.")]
Check = Annotated[
    bool, typer.Option("--check", help="Find dead links in the site in the folder RESULTS; make none.")
]
Signers = Annotated[
    Path | None,
    typer.Option(
        "--signers", metavar="FILE", help="Name who signed a board, if one of these: lines NAME KEYTYPE KEY."
    ),
]


def site(
    results: Results,
    out: Out = Path("public"),
    title: Title = "restorebench",
    signers: Signers = None,
    check: Check = False,
    plugin: options.Plugin = None,
) -> None:
    """Make a static site of published folders, or check one for dead links (exit code 3 if there are any)."""
    if check:
        _check(results)
        return
    from restorebench.site.build import build

    if not title.strip():
        raise RestorebenchError("--title is empty; give a text")
    made = build(results, out, title=title, plugins=tuple(plugin or ()), signers=signers)
    for note in made.notes:
        console.tell(f"note: {note}")
    print(made.folder / "index.html")


def _check(folder: Path) -> None:
    from restorebench.site.links import dead_links
    from restorebench.toolbox.cells import visible

    dead = dead_links(folder)
    for each in dead:
        print(visible(str(each)))
    if dead:
        raise typer.Exit(3)
    print(f"{folder}: no dead links")
