"""The commands publish and verify."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import console, options
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.publishing.verify import Verification
    from restorebench.suite.settings import Settings

_MOST_LINES = 20


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(publish)
    app.command()(verify)


Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run.")]
To = Annotated[Path, typer.Option("--to", metavar="DIR", help="Where SUITE/VERSION is made.")]
Incomplete = Annotated[
    bool,
    typer.Option(
        "--incomplete", help="Also publish a run with failures, or one that --limit or --tasks shortened."
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Replace what was published under this suite and version.")
]
Megabytes = Annotated[
    float,
    typer.Option(
        "--images", metavar="MB", min=0, help="The most that restored images may take; 0 publishes no image."
    ),
]

Key = Annotated[Path | None, typer.Option("--sign", metavar="KEY", help="Sign it with this ssh key.")]


def publish(
    run: Run,
    to: To = Path("results"),
    incomplete: Incomplete = False,
    replace: Replace = False,
    images: Megabytes = 20.0,
    sign: Key = None,
    plugin: options.Plugin = None,
) -> None:
    """Publish a run as a folder of CSV files that others can verify."""
    from restorebench.publishing.publish import publish as carry_out

    published = carry_out(
        run,
        to,
        incomplete=incomplete,
        replace_existing=replace,
        image_megabytes=images,
        key=sign,
        plugins=tuple(plugin or ()),
    )
    for note in published.notes:
        console.tell(f"note: {note}")
    print(published.folder)


Folders = Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders that `publish` wrote.")]
Images = Annotated[
    int,
    typer.Option("--images", metavar="K", min=0, help="How many images of each task every row restores again."),
]
Full = Annotated[bool, typer.Option("--full", help="Restore every image again.")]
Word = Annotated[
    str | None,
    typer.Option("--word", help="Draw the images with this word instead of a new one, to look at the same again."),
]
Signers = Annotated[
    Path | None,
    typer.Option("--signers", metavar="FILE", help="Require a signature by one of these: lines NAME KEYTYPE KEY."),
]
Cell = Annotated[
    str | None,
    typer.Option(
        "--cell", metavar="TASK/ROW/IMAGE", help="Restore only this image again, and compare its pixels."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print everything that was found as JSON.")]


Markdown = Annotated[
    Path | None,
    typer.Option("--markdown", metavar="FILE", help="Also write what was found as a comment for a pull request."),
]


def verify(
    folders: Folders,
    data: options.Data = None,
    images: Images = 2,
    full: Full = False,
    word: Word = None,
    signers: Signers = None,
    cell: Cell = None,
    plugin: options.Plugin = None,
    device: options.Device = "auto",
    workers: options.Workers = 1,
    as_json: Json = False,
    markdown: Markdown = None,
    quiet: options.Quiet = False,
) -> None:
    """Verify published folders: files, tables, digests and images. Exit code 3 if anything does not fit."""
    from restorebench.cli.progress import watching
    from restorebench.publishing.comment import comment
    from restorebench.publishing.verify import verify as carry_out
    from restorebench.suite.settings import Settings

    settings = Settings(device=options.device_of(device), workers=workers, plugins=tuple(plugin or ()))
    if cell is not None:
        _verify_one(folders, cell, data, settings)
        return
    wanted = None if full else images
    look = partial(carry_out, data=data, images=wanted, word=word, signers=signers, settings=settings)
    found: list[Verification] = []
    refused: dict[Path, str] = {}
    for folder in folders:
        with watching(quiet or as_json) as watch:
            try:
                done = look(folder, watch=watch)
            except RestorebenchError as error:
                if len(folders) == 1 and markdown is None:
                    raise
                console.tell(f"{folder}: {error}")
                refused[folder] = str(error)
                continue
        found.append(done)
        if not as_json:
            _show(done)
    if as_json:
        print(json.dumps([_as_json(done) for done in found], indent=1))
    if markdown is not None:
        console.write_text("--markdown", markdown, comment(found, refused))
    if refused or any(done.problems for done in found):
        raise typer.Exit(3)


def _verify_one(folders: list[Path], place: str, data: Path | None, settings: Settings) -> None:
    from restorebench.publishing.one_image import one_image

    if len(folders) != 1:
        raise RestorebenchError("--cell is for one folder; give one")
    found = one_image(folders[0], place, data=data, settings=settings)
    print(f"{visible(place)}: restored here: {visible(found.status)}")
    for column, scores in found.scores.items():
        said, image, here = ("none" if score is None else f"{score:.6f}" for score in scores)
        print(f"  {column}: published {said}, of the published image {image}, restored here {here}")
    if not found.pixels:
        print("  no image is published beside it")
    elif found.first is None:
        print(f"  all {counted(found.pixels, 'pixel is that', 'pixels are those')} of the published image")
    else:
        first = found.first
        where = f"row {first.row}, column {first.column}"
        print(f"  {found.differing} of {counted(found.pixels, 'pixel')} differ; the first in {where}:")
        print(f"  published {first.said}, restored here {first.found}")
    if not found.agrees:
        raise typer.Exit(3)


def _as_json(done: Verification) -> dict[str, Any]:
    rows = [
        {"task": each.row[0], "dataset": each.row[1], "row": each.row[2], **asdict(each), "state": str(each.state)}
        for each in done.rows
    ]
    problems = [{**asdict(each), "rows": sorted(each.rows)} for each in done.problems]
    return {
        "folder": str(done.folder),
        "word": done.word,
        "signed_by": done.signed_by,
        "states": {str(state): count for state, count in done.states.items()},
        "rows": rows,
        "problems": problems,
        "notes": list(done.notes),
    }


def _show(done: Verification) -> None:
    from restorebench.publishing.verdicts import State

    states = [f"{count} {state}" for state in reversed(State) if (count := done.states[state])]
    greatest = max((row.greatest for row in done.rows), default=0.0)
    rows = counted(len(done.rows), "row")
    print(f"{done.folder}: {rows}: {', '.join(states)}; greatest difference {greatest:.6f}")
    again = [row for row in done.rows if row.state is State.REPRODUCED]
    if again:
        images, of = sum(row.images for row in again), sum(row.of for row in again)
        restored = counted(of, "image was", "images were")
        print(f"  {images} of {restored} restored again; --word {done.word} draws the same")
    if done.signed_by:
        print(f"  signed by {visible(done.signed_by)}")
    for note in done.notes:
        print(f"  note: {visible(note)}")
    for problem in done.problems[:_MOST_LINES]:
        print(f"  {visible(str(problem))}")
    if len(done.problems) > _MOST_LINES:
        print(f"  and {len(done.problems) - _MOST_LINES} more; --json prints all")
