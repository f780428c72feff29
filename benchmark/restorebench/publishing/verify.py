"""Verify a published folder: its files, its tables, its digests and its images."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import PublishedFolderError, RestorebenchError
from restorebench.engine.environment import version
from restorebench.plan.discovery import discovered
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell
from restorebench.publishing.bundled import departure
from restorebench.publishing.folder import PublishedFolder, read_published
from restorebench.publishing.layout import (
    IMAGES,
    MANIFEST,
    SIGNATURE,
    SUITE,
    against_checksums,
    image_file,
    read_checksums,
)
from restorebench.publishing.provenance import facts_of
from restorebench.publishing.recompute import Problem, Row, in_words, recompute
from restorebench.publishing.replanning import Replanned, replanned
from restorebench.publishing.rerun import Rerun
from restorebench.publishing.signing import signer
from restorebench.publishing.verdicts import State, Verdict, Verdicts
from restorebench.records import row_name
from restorebench.schedule.stage import Watcher
from restorebench.suite.marked_yaml import read
from restorebench.suite.settings import Settings
from restorebench.toolbox.counts import counted


@dataclass(frozen=True)
class Verification:
    """rows: the verdicts. problems: everything that does not fit. word: what the images were drawn with.

    notes: what could not be looked at, and why. signed_by: who signed it, if that was asked.
    """

    folder: Path
    rows: tuple[Verdict, ...]
    problems: tuple[Problem, ...]
    word: str
    notes: tuple[str, ...]
    signed_by: str = ""

    @property
    def states(self) -> Counter[State]:
        """How many rows are in each state."""
        return Counter(row.state for row in self.rows)


def verify(
    folder: str | Path,
    *,
    data: str | Path | None = None,
    images: int | None = 2,
    word: str | None = None,
    signers: str | Path | None = None,
    settings: Settings = Settings(),
    watch: Watcher = lambda event: None,
) -> Verification:
    """Verify a published folder. What does not fit is in the result; nothing in the folder is changed.

    >>> published = restorebench.publish("runs/noisy", "published", incomplete=True, replace_existing=True)
    >>> found = verify(published.folder, images=1)
    >>> found.states, found.problems
    (Counter({<State.REPRODUCED: 'reproduced'>: 4}), ())

    data: the folder of `${data}`, for suites that need it. images: how many of each task are restored again, by
    every row; 0 restores none, None all. word: draws the images; by default one that nobody could know before.
    signers: a file with a line `NAME KEYTYPE KEY` for everybody who may have signed it.

    Raises:
        PublishedFolderError: it is no published folder, or so damaged that it cannot be read.
        RestorebenchError: the device or a plugin cannot be used.
    """
    if images is not None and images < 0:
        raise RestorebenchError(f"images is {images}; give 0 or more, or None for all")
    path, word = Path(folder), word or secrets.token_hex(4)
    problems = [Problem(name, "", "", "", what) for name, what in against_checksums(path, read_checksums(path))]
    signed_by = ""
    if signers is not None:
        try:
            signed_by = signer(path, Path(signers))
        except PublishedFolderError as error:
            problems.append(Problem(SIGNATURE, "", "", "", str(error)))
    published, catalog = read_published(path), discovered(settings.plugins)
    verdicts, recomputed = Verdicts(published), recompute(published, catalog)
    verdicts.recomputed(recomputed)
    problems += recomputed.problems
    problems += _of_the_suite(published)
    settings = replace(settings, data=None if data is None else Path(data))
    again, differing, notes = planned_again(published, catalog, settings, watch)
    problems += differing
    if again is not None:
        problems += verdicts.compared(again.scored(path), State.RESCORED, again)
        if images != 0:
            found = again.restored(again.drawn(images, word))
            problems += verdicts.compared(found, State.REPRODUCED, again)
    problems += _images_of_nothing(published)
    return Verification(path, tuple(verdicts.rows.values()), tuple(problems), word, tuple(notes), signed_by)


def planned_again(
    published: PublishedFolder, catalog: Catalog, settings: Settings, watch: Watcher
) -> tuple[Rerun | None, list[Problem], list[str]]:
    """Plan a published suite here.

    Returns what can be run (None if nothing), the digests that differ, and notes on what cannot be run.
    """
    there = replanned(published, settings, catalog)
    notes = list(there.notes)
    if there.plan is None:
        return None, [], notes
    differing = list(_differing(published, there, there.plan))
    ours = _of_this_version(published, differing, notes)
    return Rerun(there.plan, _the_same(there.plan, differing), settings, watch), ours, notes


def _of_the_suite(published: PublishedFolder) -> Iterator[Problem]:
    """Yield what is wrong with the suite itself: the manifest has another, or it is not the bundled one."""
    said = published.manifest["suite"]
    try:
        there = yaml.safe_load(read(published.path / SUITE))
    except yaml.YAMLError as error:
        there = str(error).splitlines()[0]
    if there != said:
        yield Problem(SUITE, "", "", "", "is not the suite of the manifest")
    if other := departure(said):
        key, known, found = other
        which = f"the bundled {said['suite']} version {said['version']}"
        yield Problem(SUITE, "", key, str(found), f"{known} in {which}")


def _differing(published: PublishedFolder, there: Replanned, plan: Plan) -> Iterator[Problem]:
    """Yield where the suite, planned here, has other digests than the manifest."""
    about = published.manifest
    cells: tuple[RestorerCell | DetectorCell, ...] = (*plan.restorer_cells, *plan.detector_cells)
    data = {f"{cell.data.label}/{cell.data.task}": cell.data.digest for cell in cells}
    for name, said in about["data"].items():
        if data.get(name) != said:
            yield Problem(MANIFEST, name, "images", said, data.get(name) or "not in the suite")
    columns = {column.name: column.digest or column.unavailable for column in plan.columns}
    for name, said in about["columns"].items():
        if name not in there.columns and columns.get(name) != said:
            yield Problem(MANIFEST, name, "digest", said, columns.get(name) or "not in the suite")
    here = {_row(cell): cell.digest for cell in plan.restorer_cells}
    absent = {_row(cell) for cell in plan.restorer_cells if _lacks_files(cell)}
    for facts in published.board.cells:
        row = facts.task, facts.dataset, facts.name
        if facts.name not in there.rows and here.get(row) != facts.digest and row not in absent:
            found = here.get(row) or "not in the suite"
            yield Problem(MANIFEST, in_words(row), "digest", facts.digest, found, frozenset({row}))
    lacking = {(cell.data.task, cell.data.label, cell.label) for cell in plan.detector_cells if _lacks_files(cell)}
    detectors = {(cell.data.task, cell.data.label, cell.label): cell.digest for cell in plan.detector_cells}
    for detecting in published.board.detector_cells:
        row = detecting.task, detecting.dataset, detecting.detector
        left_out = detecting.detector in there.detectors or row in lacking
        if detectors.get(row) != detecting.digest and not left_out:
            found = detectors.get(row) or "not in the suite"
            yield Problem(MANIFEST, f"detector {in_words(row)}", "digest", detecting.digest, found)


def _lacks_files(cell: RestorerCell | DetectorCell) -> bool:
    """Tell whether a file that the options name, such as weights, is not here."""
    return any(content.startswith("missing: ") for content in cell.files.values())


def _row(cell: RestorerCell) -> Row:
    return cell.data.task, cell.data.label, row_name(cell.label, cell.tell)


def _of_this_version(published: PublishedFolder, differing: list[Problem], notes: list[str]) -> list[Problem]:
    """Return the problems of rows that this version of the package made; of others, with a note, none."""
    here = version("restorebench")
    ours = [problem for problem in differing if _made_with(published, problem) == here]
    if others := sorted({_made_with(published, problem) for problem in differing} - {here}):
        count = counted(len(differing) - len(ours), "digest is not what", "digests are not what")
        notes.append(
            f"{count} restorebench {here} gives; what they belong to was made with {', '.join(others)}, and is"
            " not restored again: install that version to do it"
        )
    return ours


def _made_with(published: PublishedFolder, problem: Problem) -> str:
    """Return the version of the package that made what a problem is about."""
    row = next(iter(problem.rows), ("", "", ""))[2]
    about = facts_of(published.manifest, row) if row else published.manifest
    return str((about.get("versions") or {}).get("restorebench", "an unknown version"))


def _the_same(plan: Plan, differing: list[Problem]) -> dict[Row, RestorerCell]:
    """Return the cells that are run here as they were run when they were published."""
    other = {row for problem in differing for row in problem.rows}
    return {
        _row(cell): cell
        for cell in plan.restorer_cells
        if _row(cell) not in other and not cell.skipped and not _lacks_files(cell)
    }


def _images_of_nothing(published: PublishedFolder) -> Iterator[Problem]:
    """Yield the image files that are of no record."""
    known = {
        image_file(cell.dataset, cell.task, cell.name, sample.id, repetition)
        for cell in published.board.cells
        for sample in cell.samples
        for repetition in range(cell.repetitions)
    }
    for path in sorted((published.path / IMAGES).rglob("*")):
        name = path.relative_to(published.path).as_posix()
        if path.is_file() and name not in known:
            yield Problem(name, "", "", "", "is an image of no record")
