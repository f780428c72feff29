"""Make the paths in a suite's options absolute, so that they mean the same wherever they are read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from restorebench.catalog import Catalog, options_model
from restorebench.contracts import Card
from restorebench.errors import BrokenPlugin
from restorebench.substitution import Overridden
from restorebench.suite import LoadedSuite

_KINDS = {"datasets": "dataset", "restorers": "restorer", "detectors": "detector"}


def anchored(loaded: LoadedSuite, catalog: Catalog) -> LoadedSuite:
    """Make relative paths absolute: those from --set start at the working folder, others at the suite's."""
    changed = {}
    for key, kind in _KINDS.items():
        cards = {entry.card.name: entry.card for entry in catalog.of(kind)}
        changed[key] = [
            item.model_copy(update={"options": _absolute(cards[item.name], item.options, loaded.folder)})
            if item.name in cards
            else item
            for item in getattr(loaded.suite, key)
        ]
    return replace(loaded, suite=loaded.suite.model_copy(update=changed))


def takes_path(annotation: Any) -> bool:
    """Tell whether an option of this type may be a path, or hold one."""
    return annotation is Path or any(takes_path(part) for part in get_args(annotation))


def _absolute(card: Card, options: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    try:
        model = options_model(card)
    except BrokenPlugin:  # said where the options are validated, with its place in the suite
        model = None
    if model is None:
        return dict(options)
    types = {name: field.annotation for name, field in model.model_fields.items()}
    return {
        key: _anchor(value, types[key], folder) if takes_path(types.get(key)) else value
        for key, value in options.items()
    }


def _anchor(value: Any, annotation: Any, folder: Path) -> Any:
    if isinstance(value, list):
        return [_anchor(part, annotation, folder) for part in value]
    if not isinstance(value, str):
        return value
    if value in _literals(annotation):
        return str(value)
    return str((Path.cwd() if isinstance(value, Overridden) else folder) / Path(value).expanduser())


def _literals(annotation: Any) -> set[Any]:
    parts = get_args(annotation)
    return {part for part in parts if isinstance(part, str)} | {
        value for part in parts if not isinstance(part, str) for value in _literals(part)
    }
