"""The rows of two published folders of one suite, on one board."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing.facts import board_json
from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.writing import Contents
from restorebench.records import row_name
from restorebench.suite.model import NOT_DETECTORS
from restorebench.tables.board import CellFacts, DetectorCellFacts

_SHARED = ("tasks", "seed", "repetitions", "tile", "tile_overlap")
"""The keys of a suite that the rows of a board share, beside its data and columns, which have digests."""

DETECTOR = "detector:"
"""What the name of a detector begins with where restorers are named too, as both may have the same name."""


@dataclass(frozen=True)
class Newcomers:
    """What a folder brings to a board. rows: the names of new ones; same: of those that are there already.

    detectors: the labels of new ones.
    """

    rows: tuple[str, ...]
    same: tuple[str, ...]
    detectors: tuple[str, ...]


def require_comparable(board: PublishedFolder, folder: PublishedFolder) -> None:
    """Refuse rows that were not computed on the same images, with the same columns and the same settings.

    Raises:
        PublishedFolderError: says in one line what differs.
    """
    for what, key in (("images", "data"), ("columns", "columns")):
        there, here = board.manifest[key], folder.manifest[key]
        other = [name for name in dict.fromkeys([*there, *here]) if there.get(name) != here.get(name)]
        if other:
            raise _not_comparable(board, folder, f"its {what} are others: {', '.join(other)}")
    for key in _SHARED:
        one, other = (each.manifest["suite"].get(key) for each in (board, folder))
        if one != other:
            raise _not_comparable(board, folder, f"its suite has {key}: {other}, and the board has {one}")
    if _samples(board) != _samples(folder):
        raise _not_comparable(board, folder, "its samples.csv lists other samples or scenes")


def _not_comparable(board: PublishedFolder, folder: PublishedFolder, why: str) -> PublishedFolderError:
    return PublishedFolderError(f"{folder.path} cannot be compared with {board.path}: {why}")


def _samples(folder: PublishedFolder) -> Mapping[tuple[str, str], Any]:
    cells: tuple[CellFacts | DetectorCellFacts, ...] = (*folder.board.cells, *folder.board.detector_cells)
    return {(cell.dataset, cell.task): cell.samples for cell in cells}


def renamed(folder: PublishedFolder, names: Mapping[str, str]) -> PublishedFolder:
    """Give restorers and detectors other names. names: new ones by old ones; `detector:NAME` is a detector.

    Raises:
        PublishedFolderError: the folder has no such name, or has the new one already.
    """
    board, about = folder.board, folder.manifest
    restorers = {cell.restorer: cell.restorer for cell in board.cells}
    detectors = {cell.detector: cell.detector for cell in board.detector_cells}
    for old, new in names.items():
        known, name = (detectors, old.removeprefix(DETECTOR)) if old.startswith(DETECTOR) else (restorers, old)
        if name not in known:
            have = ", ".join(sorted({*restorers, *(DETECTOR + each for each in detectors)}))
            raise PublishedFolderError(f"--as {old}={new}: {folder.path} has {have}")
        if new in (*known, *known.values(), *NOT_DETECTORS, "") or ":" in new:
            raise PublishedFolderError(
                f"--as {old}={new}: choose another name, without a colon, that is not there"
            )
        known[name] = new

    def facts(cell: CellFacts) -> CellFacts:
        return replace(cell, restorer=restorers[cell.restorer], tell=detectors.get(cell.tell, cell.tell))

    cells = tuple(replace(cell, facts=facts(cell.facts)) for cell in folder.cells)
    detecting = tuple(replace(cell, detector=detectors[cell.detector]) for cell in board.detector_cells)
    return replace(
        folder,
        manifest={**about, **_renamed_manifest(about, restorers, detectors)},
        board=replace(board, cells=tuple(cell.facts for cell in cells), detector_cells=detecting),
        cells=cells,
    )


def _renamed_manifest(
    about: Mapping[str, Any], restorers: Mapping[str, str], detectors: Mapping[str, str]
) -> dict[str, Any]:
    """Return the parts of a manifest that name restorers or detectors. Every detector is listed in the suite."""
    suite = about["suite"]
    listed = {label_of(pick): pick for pick in suite["detectors"]}
    for cell in about["detector_cells"]:
        pick = {"name": cell["name"], "options": cell["options"], "label": None, "resize": cell["resize"]}
        listed.setdefault(cell["detector"], {**pick, "optional": False})
    return {
        "suite": {
            **suite,
            "restorers": [
                {**_called(pick, restorers), "tell": detectors.get(pick["tell"], pick["tell"])}
                for pick in suite["restorers"]
            ],
            "detectors": [_called(pick, detectors) for pick in listed.values()],
        },
        "cells": [
            {**cell, "restorer": restorers[cell["restorer"]], "tell": detectors.get(cell["tell"], cell["tell"])}
            for cell in about["cells"]
        ],
        "detector_cells": [{**cell, "detector": detectors[cell["detector"]]} for cell in about["detector_cells"]],
    }


def label_of(pick: Mapping[str, Any]) -> str:
    """Return the name that a pick of a suite has in the tables."""
    return str(pick["label"] or pick["name"])


def _called(pick: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    label = label_of(pick)
    name = names.get(label, label)
    return {**pick, "label": None if name == pick["name"] else name}


def newcomers(board: PublishedFolder, folder: PublishedFolder) -> Newcomers:
    """Return what a folder brings to a board that does not have it.

    Raises:
        PublishedFolderError: a row or detector has the name of another one that is there.
    """
    rows = [_by_name((cell.name, cell, cell.row_digest) for cell in each.board.cells) for each in (board, folder)]
    detectors = [
        _by_name((cell.detector, cell, cell.digest) for cell in each.board.detector_cells)
        for each in (board, folder)
    ]
    labels = {cell.name: cell.restorer for cell in folder.board.cells}
    for what, (there, here), of in (
        ("detector", detectors, {name: DETECTOR + name for name in detectors[1]}),
        ("row", rows, labels),
    ):
        for name in here:
            if name in there and there[name] != here[name]:
                raise PublishedFolderError(
                    f"{folder.path}: {what} {name} is another one than in {board.path}: its weights, options, code"
                    f" or tasks differ; add it under another name with --as {of[name]}=NEWNAME"
                )
    return Newcomers(
        tuple(name for name in rows[1] if name not in rows[0]),
        tuple(name for name in rows[1] if name in rows[0]),
        tuple(name for name in detectors[1] if name not in detectors[0]),
    )


def _by_name(
    cells: Iterable[tuple[str, CellFacts | DetectorCellFacts, str]],
) -> dict[str, dict[tuple[str, str], str]]:
    """Return the digests of each row by its name, and then by dataset and task."""
    found: dict[str, dict[tuple[str, str], str]] = {}
    for name, cell, digest in cells:
        found.setdefault(name, {})[cell.dataset, cell.task] = digest
    return found


def joined(board: PublishedFolder, folder: PublishedFolder, new: Newcomers) -> Contents:
    """Return a board with the new rows and detectors of a folder below its own, task by task."""
    added = [cell for cell in folder.cells if cell.facts.name in new.rows]
    watching = [*board.board.detector_cells]
    watching += [cell for cell in folder.board.detector_cells if cell.detector in new.detectors]
    facts_there: list[CellFacts | DetectorCellFacts] = [cell.facts for cell in (*board.cells, *added)]
    places = list(dict.fromkeys((cell.dataset, cell.task) for cell in (*facts_there, *watching)))
    cells = sorted([*board.cells, *added], key=lambda cell: places.index((cell.facts.dataset, cell.facts.task)))
    watching.sort(key=lambda cell: places.index((cell.dataset, cell.task)))
    facts = replace(board.board, cells=tuple(cell.facts for cell in cells), detector_cells=tuple(watching))
    ours = {cell.digest for cell in watching}
    detections = {(record.digest, record.sample): record for record in (*folder.detections, *board.detections)}
    about = {**board.manifest, **_joined_manifest(board.manifest, folder.manifest, new, places)}
    about["facts"] = board_json(facts)
    return Contents(about, facts, cells, [record for record in detections.values() if record.digest in ours])


def _joined_manifest(
    board: Mapping[str, Any], folder: Mapping[str, Any], new: Newcomers, places: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """Return the parts of the manifest in which restorers and detectors are listed."""

    def together(one: Iterable[Any], other: Iterator[Any]) -> list[Any]:
        return sorted([*one, *other], key=lambda cell: places.index((cell["dataset"], cell["task"])))

    def is_new(restorer: str, tell: str) -> bool:
        return row_name(restorer, tell) in new.rows

    suite, theirs = board["suite"], folder["suite"]
    restorers = [each for each in theirs["restorers"] if is_new(label_of(each), each["tell"])]
    detectors = [each for each in theirs["detectors"] if label_of(each) in new.detectors]
    return {
        "suite": {
            **suite,
            "restorers": [*suite["restorers"], *restorers],
            "detectors": [*suite["detectors"], *detectors],
        },
        "code": {**folder["code"], **board["code"]},
        "cells": together(
            board["cells"], (cell for cell in folder["cells"] if is_new(cell["restorer"], cell["tell"]))
        ),
        "detector_cells": together(
            board["detector_cells"],
            (cell for cell in folder["detector_cells"] if cell["detector"] in new.detectors),
        ),
    }
