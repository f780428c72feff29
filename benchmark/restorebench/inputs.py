"""Which files and folders workers read, apart from packages: what a machine has to have before it can help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from restorebench.contract.cards import Card
from restorebench.contract.catalog import Catalog
from restorebench.downloads import needed
from restorebench.plan import DetectorCell, Plan, RestorerCell
from restorebench.toolbox import weights
from restorebench.toolbox.contents import paths
from restorebench.toolbox.options import OptionsOf, options_model, validated_options


def inputs(plan: Plan, cache: Path) -> tuple[str, ...]:
    """List what a plan's workers read, each once: plugin files, paths in options, weights that the cache holds.

    A root is listed as a whole where no option names a part of it, since a plugin may look for anything there.
    """
    cells: tuple[DetectorCell | RestorerCell, ...] = (*plan.detector_cells, *plan.restorer_cells)
    sources = {source for cell in cells for source in plan.sources(cell)}
    found = [source.removeprefix("file:") for source in sorted(sources) if source.startswith("file:")]
    for entry in plan.suite.datasets:
        found += _named(plan.catalog, plan.catalog.find("dataset", entry.name), entry.options)
    for cell in cells:
        found += _named(plan.catalog, cell.entry.card, cell.options)
    for file in needed(plan, {cell.digest for cell in cells}):
        found += map(str, weights.cached(file, cache))
    for root in plan.roots.values():
        if not any(Path(path).is_relative_to(root) for path in found):
            found.append(str(root))
    return tuple(path for path in dict.fromkeys(found) if Path(path).exists())


def _named(catalog: Catalog, card: Card, options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths in a card's options, and in those of other cards that they hold."""
    model = options_model(card)
    if model is None:
        return
    yield from map(str, paths(validated_options(card, options).model_dump()))
    for name, field in model.model_fields.items():
        for marker in field.metadata:
            if isinstance(marker, OptionsOf):
                for other, given in options.get(name, {}).items():
                    yield from _named(catalog, catalog.find(marker.kind, other), given)
