"""Show what rows of a run made of single images, side by side; what the run did not save is restored anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from restorebench.commands import pages, pictures
from restorebench.commands.anew import Place
from restorebench.commands.panels import Panel, Shown, most_different
from restorebench.commands.plotting import require_writable, write
from restorebench.commands.single_images import Output, ShownRun, opened
from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings
from restorebench.tables.board import Column


def show(
    run: str | Path,
    images: str | Sequence[str],
    file: str | Path | None = None,
    *,
    rows: str | Sequence[str] = (),
    also: tuple[str | Path, str] | None = None,
    metric: str | None = None,
    restore: bool = True,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> tuple[Shown, ...]:
    """Put the input, the outputs of rows and the clean image side by side, for one image or several.

    >>> (shown,) = show("runs/noisy", "noisy/astronaut@3", "astronaut.png", rows="airnet-compact")
    >>> shown.title
    'noisy/astronaut@3 of synthetic'

    Outputs that the run saved are read. Others are restored anew as in the run, with the same seed and batches,
    and a note says whether the scores agree with those of the run.

    run: the folder of a run. images: `TASK/SAMPLE`, or `DATASET/TASK/SAMPLE`. file: where to draw them; ends in
    .png or .html. rows: `NAME` or `NAME:TELL`; by default all but `identity`. also: the folder of another run with
    the same images, and a row there. metric: of the scores; by default the first that ranks. restore: False
    refuses to restore anew. settings: plugins, device and workers for what is restored.

    Raises:
        RestorebenchError: the run, its data or the names cannot be used, or the file cannot be written.
    """
    target = None if file is None else Path(file)
    if target is not None:
        _require_drawable(target)
    wanted, named = _each_once(images), _each_once(rows)
    if not wanted:
        raise RestorebenchError("name an image as TASK/SAMPLE")
    if also is not None and Path(also[0]).resolve() == Path(run).resolve():
        raise RestorebenchError(f"{also[0]} is the same run; name {also[1]!r} among its rows instead")
    with opened(Path(run), wanted, settings) as first:
        column = first.column(metric)
        places = [first.place(image) for image in wanted]
        found = first.outputs(places, named, column, restore, watch)
        others = _of_another(also, wanted, column, restore, settings, watch) if also else [[] for _ in wanted]
        shown = tuple(
            _side_by_side(first, place, column, mine, theirs)
            for place, mine, theirs in zip(places, found, others, strict=True)
        )
    if target is not None:
        write(target, _WRITERS[target.suffix.lower()](shown))
    return shown


def _each_once(names: str | Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([names] if isinstance(names, str) else names))


def _of_another(
    also: tuple[str | Path, str],
    images: Sequence[str],
    column: Column,
    restore: bool,
    settings: Settings,
    watch: Watcher,
) -> list[list[Output]]:
    """Return the outputs of a row of another run; its name then has the folder beside it."""
    folder, row = Path(also[0]), also[1]
    with opened(folder, images, settings) as second:
        places = [second.place(image) for image in images]
        found = second.outputs(places, (row,), second.column(column.name), restore, watch)
    return [[replace(output, name=f"{output.name} ({folder})") for output in each] for each in found]


def _side_by_side(
    run: ShownRun, place: Place, column: Column, mine: Sequence[Output], theirs: Sequence[Output]
) -> Shown:
    """Lay out the input, the outputs and the clean image of one sample.

    mine: the outputs of this run; theirs: of another run.

    Raises:
        RunFolderError: an output is of another input, or nothing is left to show.
    """
    from restorebench.toolbox.images import pixel_digest, to_8bit

    data, number = place
    title = f"{data.task}/{data.samples[number].id} of {data.label}"
    sample = run.sample(place)
    outputs = [*mine, *theirs]
    degraded, clean = to_8bit(sample.degraded), None if sample.clean is None else to_8bit(sample.clean)
    digest = pixel_digest(sample.degraded)
    _require_input(mine, title, digest, degraded.shape, f"{run.folder} had another input")
    _require_input(theirs, title, digest, degraded.shape, f"it is another image than in {run.folder}")
    there = [output for output in outputs if output.pixels is not None]
    if not there:
        why = "; ".join(note for output in outputs for note in output.notes)
        raise RunFolderError(f"{run.folder}: no row restored {title}: {why}")
    pixels = [output.pixels for output in there if output.pixels is not None]
    where = "the outputs differ the most"
    compared = pixels
    if len(pixels) == 1:
        where = f"the output differs the most from the {'input' if clean is None else 'clean image'}"
        compared = [*pixels, degraded if clean is None else clean]
    window = most_different(compared)
    named: dict[str, list[str]] = {}
    for output in outputs:
        for note in output.notes:
            named.setdefault(note, []).append(output.name)
    notes = [f"{', '.join(names)}: {note}" for note, names in named.items()]
    if window is None and len(pixels) > 1:
        notes.append("the outputs are equal in every pixel, rounded to 8 bits")
    panels = [Panel("input", run.input_score(place, column), degraded)]
    panels += [Panel(o.name, o.score, o.pixels) for o in there if o.pixels is not None]
    panels += [] if clean is None else [Panel("clean", "", clean)]
    return Shown(title, column, tuple(panels), window, tuple(notes), where)


def _require_input(
    outputs: Sequence[Output], title: str, digest: str, shape: tuple[int, ...], otherwise: str
) -> None:
    """Refuse outputs of another input than the one with this digest and shape. otherwise: what was found then.

    Raises:
        RunFolderError: there is one.
    """
    for output in outputs:
        resized = output.pixels is not None and output.pixels.shape != shape
        if resized or output.degraded_digest not in ("", digest):
            raise RunFolderError(
                f"{title}, {output.name}: {otherwise}; put back the data and plugins, or run its suite again"
            )


def _require_drawable(file: Path) -> None:
    """Refuse a file of an unknown kind, or one that cannot be written, before any work."""
    if file.suffix.lower() not in _WRITERS:
        raise RestorebenchError(f"{file}: a picture is written as .png or .html; end its name so")
    require_writable(file)


_WRITERS: Mapping[str, Callable[[Sequence[Shown]], bytes]] = {
    ".png": pictures.png,
    ".html": pages.of_images,
}
