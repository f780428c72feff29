"""Say what a run is about to download, with licence and size, while it can still be stopped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from restorebench.contract.blame import guarded
from restorebench.contract.cards import DetectorInfo, RestorerInfo, resolve
from restorebench.contract.values import WeightFile
from restorebench.jobs import Job
from restorebench.plan import DetectorCell, Plan, RestorerCell
from restorebench.toolbox import weights
from restorebench.toolbox.options import validated_options


def announced(plan: Plan, jobs: Sequence[Job], cache: Path) -> list[str]:
    """Describe what jobs need and the cache folder lacks: a line per repository of the hub."""
    lacking: dict[tuple[str, str], dict[str, WeightFile]] = defaultdict(dict)
    for file in needed(plan, {job.cell.digest for job in jobs if job.mode != "score"}):
        if (repository := weights.repository(file)) and not weights.present(file, cache):
            lacking[repository, file.licence][file.name] = file
    return [_line(*place, list(files.values()), cache) for place, files in lacking.items()]


def needed(plan: Plan, digests: set[str]) -> Iterator[WeightFile]:
    """Yield the published weights of the cells with these digests."""
    cells: tuple[DetectorCell | RestorerCell, ...] = (*plan.detector_cells, *plan.restorer_cells)
    for cell in cells:
        card = cell.entry.card
        assert isinstance(card, DetectorInfo | RestorerInfo)  # by construction of the plan
        if cell.digest in digests and card.resources is not None:
            with guarded(card, "naming its weights"):
                yield from resolve(card.resources)(validated_options(card, cell.options))


def _line(repository: str, licence: str, files: Sequence[WeightFile], cache: Path) -> str:
    known = all(file.bytes for file in files)
    size = f"{sum(file.bytes for file in files) / 1e6:.0f} MB" if known else "of a size that is not known"
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    return f"downloads {count}, {size}, of {repository} (licence: {licence}) to {cache}"
