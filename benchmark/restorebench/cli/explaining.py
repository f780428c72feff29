"""The command explain."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from restorebench.cli import console, options
from restorebench.cli.grids import paragraphs
from restorebench.cli.progress import LINE_SECONDS
from restorebench.contract.errors import RestorebenchError
from restorebench.toolbox.cells import guarded, visible
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.commands.claims import Claim
    from restorebench.commands.conventions import Convention
    from restorebench.commands.explaining import Explanation

DECIMALS = 4
MOST_MATCHES = 8
"""How many conventions that give a number are printed; --csv and --json have all of them."""


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(explain)


Restored = Annotated[
    Path, typer.Argument(metavar="RUN|RESTORED", help="A folder: a run with saved images, or restored images.")
]
Clean = Annotated[
    Path | None, typer.Argument(metavar="CLEAN", help="Folder of the ground truth, with the same stems.")
]
Paper = Annotated[
    str | None,
    typer.Option(
        "--paper",
        metavar="NUMBER",
        help="The number to explain, with all its decimals: 31.24, or 31.24/0.912 for two metrics.",
    ),
]
Metrics = Annotated[
    str | None,
    typer.Option("--metrics", "--metric", help="Metrics, as a,b; default: psnr,ssim, or the one of the number."),
]
Restorer = Annotated[str | None, typer.Option("--restorer", help="Of a run: NAME, or NAME:TELL.")]
Task = Annotated[str | None, typer.Option("--task", help="Of a run: the task.")]
Dataset = Annotated[str | None, typer.Option("--dataset", help="Of a run: the dataset, if it has several.")]
CsvFile = Annotated[Path | None, typer.Option("--csv", help="Write every convention as CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def explain(
    restored: Restored,
    clean: Clean = None,
    paper: Paper = None,
    metrics: Metrics = None,
    pairing: options.Pairing = None,
    restorer: Restorer = None,
    task: Task = None,
    dataset: Dataset = None,
    csv_file: CsvFile = None,
    as_json: AsJson = False,
    plugin: options.Plugin = None,
) -> None:
    """Score the same images under every protocol and known variant, and say which gives a paper's number."""
    from restorebench.commands import explaining

    console.check_csv(csv_file, as_json)
    names = options.names(metrics)
    if names == ():
        raise RestorebenchError("--metrics: names none; name one, or leave it out")
    with console.interruptible("nothing was kept"):
        found = explaining.explain(
            restored,
            clean,
            paper=paper,
            metrics=names,
            pairing=pairing,
            restorer=restorer,
            task=task,
            dataset=dataset,
            settings=options.settings_of(plugin, "cpu", 1),
            watch=_Lines(),
        )
    if csv_file is not None:
        from restorebench.toolbox.cells import csv_text

        console.write_csv(csv_file, csv_text(_texts(found)))
    elif as_json:
        print(json.dumps(_plain(found), indent=2, ensure_ascii=False))
    else:
        _print(found)


class _Lines:
    """A line about the progress, at most one a minute."""

    def __init__(self) -> None:
        self._printed = time.monotonic()

    def __call__(self, done: int, images: int) -> None:
        if done < images and time.monotonic() - self._printed >= LINE_SECONDS:
            console.tell(f"{done} of {counted(images, 'image')}")
            self._printed = time.monotonic()


def _print(found: Explanation) -> None:
    """Print the numbers of each metric, and then what explains those of the paper."""
    images = "1 image" if found.images == 1 else f"mean over {found.images} images"
    print(visible(f"{found.row}: {images}" if found.row else images))
    decimals = max([DECIMALS, *(_decimals(claim) + 1 for claim in found.claims)])
    for metric in dict.fromkeys(each.metric for each in found.conventions):
        print()
        console.show(_rows(found, metric, decimals), None)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    lines = [f"note: {note}" for note in found.notes]
    lines += [line for claim in found.claims for line in ("", *_answer(claim, decimals))]
    lines += _together(found)
    if not found.claims:
        lines += ["", "--paper NUMBER says which of these, and of many rarer ones, gives the number of a paper."]
    print(paragraphs([visible(line) for line in lines], width))


def _decimals(claim: Claim) -> int:
    return len(claim.number.text.partition(".")[2])


def _rows(found: Explanation, metric: str, decimals: int) -> list[list[str]]:
    """Lay one metric out: its protocols, the usual variants, and rarer ones that give a number of the paper."""
    from restorebench.commands.explaining import USUAL

    conventions = [each for each in found.conventions if each.metric == metric]
    shown = {id(each) for claim in found.claims for each in claim.matches[:MOST_MATCHES]}
    unit = f" ({conventions[0].unit})" if conventions[0].unit else ""
    rows = [[f"{metric}{unit}", "mean", "difference", ""]]
    for each in conventions:
        if each.rarity <= USUAL or id(each) in shown:
            texts = [f"= {claim.number.text}" for claim in found.claims if each in claim.matches]
            moved = round(each.difference, decimals) + 0.0  # without a sign on zero
            difference = "" if each is conventions[0] else f"{moved:+.{decimals}f}"
            rows.append([each.name.partition("@")[2], f"{each.mean:.{decimals}f}", difference, " ".join(texts)])
    return rows


def _answer(claim: Claim, decimals: int) -> Iterator[str]:
    """Say which conventions give a number, the most plausible first, or which are nearest."""
    from restorebench.commands.explaining import USUAL

    text = claim.number.text
    if claim.matches:
        first, *others = claim.matches
        doubtful = first.rarity > USUAL and claim.by_chance >= 0.5
        yield f"{text} {'may be' if doubtful else 'is explained by'} {_named(first)} {first.mean:.{decimals}f}"
        if others:
            yield "On these images, these less usual ones agree with it too:"
            yield from (f"  {_named(each)} {each.mean:.{decimals}f}" for each in others[: MOST_MATCHES - 1])
        if len(claim.matches) > MOST_MATCHES:
            yield f"  and {len(claim.matches) - MOST_MATCHES} more, which --json lists"
    else:
        why = "It may be of other outputs, or of a convention that is not known here."
        yield f"Nothing that was tried gives {text}. {why} The nearest:"
        for each in claim.nearest:
            away = each.mean - claim.number.value
            yield f"  {_named(each)} {each.mean:.{decimals}f} ({away:+.{decimals}f})"
    chance = f"about {claim.by_chance:.1f}" if claim.by_chance >= 0.05 else "less than 0.1"
    tried = counted(claim.tried, "number was", "different numbers were")
    yield f"{tried} tried; {chance} of them would agree with such a number by chance."


def _together(found: Explanation) -> Iterator[str]:
    """Say whether one preparation of the images goes with all numbers of the paper."""
    if len(found.claims) < 2 or not all(claim.matches for claim in found.claims):
        return
    yield ""
    if found.together:
        first, *others = found.together
        more = f" (or {counted(len(others), 'less usual one')})" if others else ""
        yield f"One preparation of the images goes with all these numbers: {first}{more}."
    else:
        yield "No single preparation of the images goes with all these numbers."


def _named(convention: Convention) -> str:
    """Return the name of a convention, and the first other name that gives the same number."""
    same = f" (here the same as {convention.also[0]})" if convention.also else ""
    return f"{convention.name}{same}:"


def _texts(found: Explanation) -> list[list[str]]:
    """Lay the conventions out as the cells of a CSV file."""
    table = found.table()
    rows = [
        [f"{value:.6f}" if isinstance(value, float) else guarded(str(value)) for value in row]
        for row in table.itertuples(index=False)
    ]
    return [list(table.columns), *rows]


def _plain(found: Explanation) -> dict[str, Any]:
    """Lay an explanation out for JSON."""
    return {
        "row": found.row,
        "images": found.images,
        "notes": list(found.notes),
        "together": list(found.together),
        "conventions": [_one(each) for each in found.conventions],
        "paper": [
            {
                "number": claim.number.text,
                "matches": [_one(each) for each in claim.matches],
                "nearest": [_one(each) for each in claim.nearest],
                "tried": claim.tried,
                "by_chance": claim.by_chance,
            }
            for claim in found.claims
        ],
    }


def _one(each: Convention) -> dict[str, Any]:
    return {
        "name": each.name,
        "metric": each.metric,
        "protocol": each.protocol,
        "departures": list(each.departures),
        "rarity": round(each.rarity, 6),
        "mean": each.mean if math.isfinite(each.mean) else None,
        "difference": each.difference if math.isfinite(each.difference) else None,
        "also": list(each.also),
    }
