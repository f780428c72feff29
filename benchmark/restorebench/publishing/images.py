"""Restored images in a published folder: lossless, of data that may be published, under a budget."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from PIL import Image

from restorebench.contract.blame import blaming
from restorebench.contract.cards import DatasetInfo, resolve
from restorebench.contract.errors import RunFolderError
from restorebench.contract.values import SampleInfo
from restorebench.journal.journal import Journal
from restorebench.plan.plan import Plan, RestorerCell, TaskData
from restorebench.publishing.layout import image_file
from restorebench.records import OK, Key, Record, row_name
from restorebench.toolbox.counts import counted
from restorebench.toolbox.options import validated_options

_WEBP_SIDE = 16383  # px, of the format
_MOST_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 2**62)
MEGABYTES = 20.0
"""The most that the images of a published folder take, unless told otherwise."""


@dataclass(frozen=True)
class Kept:
    """The images that were published. credits: of the data that they were made of. notes: why others were not."""

    samples: int
    credits: tuple[str, ...]
    notes: tuple[str, ...]


def publish_outputs(
    folder: Path, plan: Plan, journal: Journal, megabytes: float, every_dataset: bool = False
) -> Kept:
    """Copy the restored images of a run into a published folder, all rows of a sample or none.

    Samples are taken in turn from every task, so that a budget leaves some of each. every_dataset: also take
    images of datasets that do not say that they may be published, with a note.

    Raises:
        RunFolderError: an image that the run saved cannot be read.
    """
    if megabytes <= 0:
        return Kept(0, (), ())
    if plan.suite.save != "all":
        return Kept(0, (), ("no images: the run saved none; run the suite with --save all to publish them",))
    allowed, credits, notes = _allowed(plan, every_dataset)
    records = {
        cell.digest: journal.records(cell.digest) for cell in plan.restorer_cells if cell.data.label in allowed
    }
    left = int(megabytes * 1e6)
    kept = there = large = 0
    for cells, number in _in_turn(plan, allowed):
        if not _fits(cells[0].data.samples[number]):
            large += 1
            continue
        there += 1
        encoded = dict(_encoded(journal.folder, records, cells, number)) if left > 0 else {}
        left -= sum(map(len, encoded.values()))
        if left >= 0 and encoded:
            kept += 1
            for name, data in encoded.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
    if kept < there:
        notes.append(f"images of {kept} of {counted(there, 'sample')}: more would take over {megabytes:g} MB")
    if large:
        notes.append(f"no images of {counted(large, 'sample')}: a WebP file holds at most {_WEBP_SIDE} px a side")
    return Kept(kept, tuple(credits) if kept else (), tuple(notes))


def _fits(sample: SampleInfo) -> bool:
    """Return whether an image can be a WebP file, and is not so large that Pillow takes it for an attack."""
    return max(sample.height, sample.width) <= _WEBP_SIDE and sample.height * sample.width <= _MOST_PIXELS


def _allowed(plan: Plan, every_dataset: bool) -> tuple[set[str], list[str], list[str]]:
    """Return the datasets of which images are taken, their credits, and a note for each without credits."""
    allowed, credits, notes = set(), [], []
    for data in {cell.data.label: cell.data for cell in plan.restorer_cells}.values():
        card = plan.catalog.find("dataset", data.name)
        assert isinstance(card, DatasetInfo)  # by the kind
        credit = ""
        if card.credits is not None:
            with blaming(card, "naming its credits"):
                credit = str(resolve(card.credits)(validated_options(card, data.options)))
        if credit:
            allowed.add(data.label)
            credits.append(credit)
        elif every_dataset:
            allowed.add(data.label)
            notes.append(f"images of {data.label}: it does not say that they may be published")
        else:
            notes.append(f"no images of {data.label}: it does not say that they may be published")
    return allowed, credits, notes


def _in_turn(plan: Plan, allowed: set[str]) -> Iterator[tuple[list[RestorerCell], int]]:
    """Yield the cells of each sample and its number: the first sample of every task, then the second ones."""
    by_data: dict[tuple[str, str], list[RestorerCell]] = {}
    for cell in plan.restorer_cells:
        if cell.data.label in allowed and not cell.skipped:
            by_data.setdefault((cell.data.label, cell.data.task), []).append(cell)
    columns = [[(cells, number) for number in range(_wanted(cells[0].data))] for cells in by_data.values()]
    for together in zip_longest(*columns):
        yield from (each for each in together if each is not None)


def _wanted(data: TaskData) -> int:
    return len(data.samples[: data.wanted])


def _encoded(
    run: Path, records: Mapping[str, Mapping[Key, Record]], cells: Sequence[RestorerCell], number: int
) -> Iterator[tuple[str, bytes]]:
    """Yield the file and the bytes of each restored image of a sample; failed ones have none."""
    for cell in cells:
        sample = cell.data.samples[number].id
        for repetition in range(cell.repetitions):
            record = records[cell.digest].get((sample, repetition))
            if record is not None and record.status == OK:
                name = image_file(
                    cell.data.label, cell.data.task, row_name(cell.label, cell.tell), sample, repetition
                )
                yield name, _lossless(run / record.output)


def _lossless(saved: Path) -> bytes:
    """Return a saved image as WebP that has the same pixels."""
    buffer = io.BytesIO()
    try:
        with Image.open(saved) as image:
            # with most effort it takes ten times as long, for files that are 5 % smaller
            image.convert("RGB").save(buffer, "WEBP", lossless=True, quality=60, method=2, exact=True)
    except OSError as error:
        why = error.strerror or "it is no image"
        raise RunFolderError(
            f"{saved}: this image, which the run saved, cannot be read ({why}); put it back, or run the suite"
            " again with --fresh"
        ) from error
    return buffer.getvalue()
