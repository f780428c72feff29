"""One image of one row of a published folder, restored again: its scores, and the first pixel that differs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from restorebench.contract.errors import PublishedFolderError, UnknownName, nearest
from restorebench.plan.discovery import discovered
from restorebench.publishing.folder import PublishedFolder, read_published
from restorebench.publishing.recompute import Row, in_words
from restorebench.publishing.rerun import Image, ImageKey, Rerun, image_of, published_images
from restorebench.publishing.verdicts import State, Verdicts
from restorebench.publishing.verify import planned_again
from restorebench.schedule.stage import Watcher
from restorebench.suite.settings import Settings
from restorebench.toolbox import images


@dataclass(frozen=True)
class Pixel:
    """The first pixel that differs, row by row from the top left. said, found: RGB from 0 to 255."""

    row: int
    column: int
    said: tuple[int, ...]
    found: tuple[int, ...]


@dataclass(frozen=True)
class OneImage:
    """What is published of one image, and what comes out here.

    scores: by column: the published score, that of the published image, and that of the image restored here; None
    where there is none. pixels: how many there are, 0 if no image is published. differing: how many of them
    differ. first: the first of these. status: of the image restored here, with the reason if it failed.
    agrees: whether status, pixels and scores (within the tolerance of `verify`) are those that are published.
    """

    place: str
    scores: dict[str, tuple[float | None, float | None, float | None]]
    pixels: int
    differing: int
    first: Pixel | None
    status: str
    agrees: bool


def one_image(
    folder: str | Path,
    place: str,
    *,
    data: str | Path | None = None,
    repetition: int = 0,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> OneImage:
    """Restore one published image again, in the batch that it was restored in.

    place: `TASK/ROW/IMAGE`, or `DATASET/TASK/ROW/IMAGE`.

    Raises:
        PublishedFolderError: the folder cannot be read, or the row cannot be restored here.
        UnknownName: there is no such image.
    """
    published = read_published(Path(folder))
    said = {key: image for cell in published.cells for key, image in published_images(cell)}
    key = _found(published, said, place, repetition)
    there = _planned(published, replace(settings, data=None if data is None else Path(data)), key[0], watch)
    sample = key[1]
    with TemporaryDirectory(prefix="restorebench-verify-") as temporary:
        wanted = there.with_its_batch(key)
        again = there.restored(wanted, keep=Path(temporary) / "run")[key]
        scored = there.scored(published.path).get(key)
        file = published.path / image_of(there.rows[key[0]], sample, repetition)
        pixels, differing, first = _compared(file, again.file)
    columns = dict.fromkeys([*said[key].scores, *again.scores])
    scores = {name: (_score(said[key], name), _score(scored, name), _score(again, name)) for name in columns}
    before, now = (f"{each.status} {each.reason}".strip() for each in (said[key], again))
    verdicts = Verdicts(published)
    agrees = before == now and not differing and not verdicts.compared({key: again}, State.REPRODUCED, there)
    return OneImage(place, scores, pixels, differing, first, now, agrees)


def _score(image: Image | None, column: str) -> float | None:
    return None if image is None else image.scores.get(column)


def _found(published: PublishedFolder, said: dict[ImageKey, Image], place: str, repetition: int) -> ImageKey:
    """Return the key of an image that is named.

    Raises:
        UnknownName: no record has this name, or several have.
    """
    names: dict[str, list[ImageKey]] = {}
    for key in said:
        (task, dataset, row), sample, number = key
        if number == repetition:
            for name in (f"{task}/{row}/{sample}", f"{dataset}/{task}/{row}/{sample}"):
                names.setdefault(name, []).append(key)
    held = names.get(place, [])
    if len(held) != 1:
        why = "is in several datasets: put DATASET/ in front" if held else f"is not there{nearest(place, names)}"
        raise UnknownName(f"{published.path}: {place!r} {why}")
    return held[0]


def _planned(published: PublishedFolder, settings: Settings, row: Row, watch: Watcher) -> Rerun:
    there, _, notes = planned_again(published, discovered(settings.plugins), settings, watch)
    if there is None or row not in there.rows:
        why = "; ".join(notes) or "its digests are not those that come out here; `verify` names them"
        raise PublishedFolderError(f"{published.path}: {in_words(row)} cannot be restored here: {why}")
    return there.only(row)


def _compared(said: Path, found: Path | None) -> tuple[int, int, Pixel | None]:
    """Return the number of pixels, how many differ, and the first that does; zeros if an image is not there."""
    if found is None or not said.is_file():
        return 0, 0, None
    one, other = (images.to_8bit(images.read(path)) for path in (said, found))
    if one.shape != other.shape:
        return one.shape[0] * one.shape[1], one.shape[0] * one.shape[1], Pixel(0, 0, (), ())
    places = np.argwhere((one != other).any(axis=2))
    first = None
    if len(places):
        row, column = map(int, places[0])
        first = Pixel(row, column, tuple(map(int, one[row, column])), tuple(map(int, other[row, column])))
    return one.shape[0] * one.shape[1], len(places), first
