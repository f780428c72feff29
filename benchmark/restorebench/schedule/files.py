"""Find the files that workers need besides packages: those that exist, and those that a run will download."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from restorebench.contract.blame import blaming
from restorebench.contract.cards import Card, DetectorInfo, RestorerInfo, resolve
from restorebench.contract.catalog import Catalog
from restorebench.contract.values import WeightFile
from restorebench.plan.plan import DetectorCell, Plan, RestorerCell
from restorebench.toolbox import weights
from restorebench.toolbox.contents import paths
from restorebench.toolbox.counts import counted
from restorebench.toolbox.options import OptionsOf, options_model, validated_options
from restorebench.worker.jobs import Job


def inputs(plan: Plan, cache: Path) -> tuple[str, ...]:
    """List the paths that a plan's workers read, each once: plugin files, paths in options, weights in the cache.

    A root is listed as a whole if no option names a path in it, because a plugin may then read anything in it.
    """
    cells: tuple[DetectorCell | RestorerCell, ...] = (*plan.detector_cells, *plan.restorer_cells)
    sources = {source for cell in cells for source in plan.sources(cell)}
    found = [source.removeprefix("file:") for source in sorted(sources) if source.startswith("file:")]
    for pick in plan.suite.datasets:
        found += _named(plan.catalog, plan.catalog.find("dataset", pick.name), pick.options)
    for cell in cells:
        found += _named(plan.catalog, cell.entry.card, cell.options)
    for file in needed(plan, {cell.digest for cell in cells}):
        found += map(str, weights.cached(file, cache))
    for root in plan.roots.values():
        if not any(Path(path).is_relative_to(root) for path in found):
            found.append(str(root))
    return tuple(path for path in dict.fromkeys(found) if Path(path).exists())


def _named(catalog: Catalog, card: Card, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths in a card's options, and in the options of other cards that they contain."""
    model = options_model(card)
    if model is None:
        return
    yield from map(str, paths(validated_options(card, options).model_dump()))
    for name, field in model.model_fields.items():
        for marker in field.metadata:
            if isinstance(marker, OptionsOf):
                for other, given in options.get(name, {}).items():
                    yield from _named(catalog, catalog.find(marker.kind, other), given)


def announced(plan: Plan, jobs: Sequence[Job], cache: Path) -> list[str]:
    """Describe the weights that jobs need and the cache folder lacks, one line per repository of the hub."""
    lacking: dict[tuple[str, str], dict[str, WeightFile]] = defaultdict(dict)
    for file in needed(plan, {job.cell.digest for job in jobs if job.mode != "score"}):
        if (repository := weights.repository(file)) and not weights.present(file, cache):
            lacking[repository, file.licence][file.name] = file
    return [_line(*source, list(files.values()), cache) for source, files in lacking.items()]


def needed(plan: Plan, digests: set[str]) -> Iterator[WeightFile]:
    """Yield the published weights of the cells with these digests."""
    cells: tuple[DetectorCell | RestorerCell, ...] = (*plan.detector_cells, *plan.restorer_cells)
    for cell in cells:
        if cell.digest in digests:
            yield from weights_of(cell)


def weights_of(cell: DetectorCell | RestorerCell) -> tuple[WeightFile, ...]:
    """Return the published weights of a cell's method.

    Raises:
        BrokenPlugin: the plugin's code that names them fails.
    """
    card = cell.entry.card
    assert isinstance(card, DetectorInfo | RestorerInfo)  # by construction of the plan
    if card.resources is None:
        return ()
    with blaming(card, "naming its weights"):
        return tuple(resolve(card.resources)(validated_options(card, cell.options)))


def _line(repository: str, licence: str, files: Sequence[WeightFile], cache: Path) -> str:
    known = all(file.bytes for file in files)
    size = f"{sum(file.bytes for file in files) / 1e6:.0f} MB" if known else "of unknown size"
    return f"downloads {counted(len(files), 'file')}, {size}, of {repository} (licence: {licence}) to {cache}"
