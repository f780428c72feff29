"""Look up single names and options of a suite in the catalogue, and note problems with their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from restorebench.contract.cards import Card
from restorebench.contract.catalog import Catalog, Entry
from restorebench.contract.errors import RestorebenchError
from restorebench.suite.loading import LoadedSuite, explain_options
from restorebench.toolbox.options import options_model, validated_options


class Lookup:
    """A lookup of names in the catalogue. problems: collects mistakes, with their positions in the suite."""

    def __init__(self, loaded: LoadedSuite, catalog: Catalog, problems: list[str]) -> None:
        self.loaded = loaded
        self.catalog = catalog
        self.problems = problems

    def each_once(self, key: str, names: Sequence[str]) -> None:
        """Note the names that occur twice in a list."""
        for index, name in enumerate(names):
            if names.index(name) != index:
                self.problems.append(f"{self.loaded.at(key, index)}{name!r} is listed twice")

    def entry(self, kind: str, name: str, *path: str | int, hint: str = "") -> Entry | None:
        """Return the entry of a name; if there is none that can be used, note a problem and return None."""
        try:
            entry = self.catalog.entry(kind, name)
        except RestorebenchError as error:
            self.problems.append(f"{self.loaded.at(*path)}{hint}{error}")
            return None
        if entry.unavailable:
            self.problems.append(f"{self.loaded.at(*path)}{kind} {name!r} {entry.unavailable}")
            return None
        return entry

    def options(self, kind: str, name: str, options: Mapping[str, Any], key: str, index: int) -> dict[str, Any]:
        """Validate the options of one pick. Returns them with defaults, JSON-ready; empty if they are invalid."""
        entry = self.entry(kind, name, key, index, "name") if name in self.catalog.names(kind) else None
        if entry is None:
            if kind == "dataset":
                self.entry(kind, name, key, index, "name")
            return {}
        try:
            return validated(entry.card, options)
        except ValidationError as error:
            model = options_model(entry.card) or BaseModel
            self.problems.append(explain_options(self.loaded, model, error, key, index, "options"))
        except RestorebenchError as error:
            self.problems.append(f"{self.loaded.at(key, index, 'options')}{error}")
        return {}


def validated(card: Card, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with defaults filled in, JSON-ready."""
    model = validated_options(card, options)
    return {} if model is None else dict(model.model_dump(mode="json"))
