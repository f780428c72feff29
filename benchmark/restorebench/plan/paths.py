"""Make the paths in a suite's options absolute, so that they stay valid in any working folder."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import RestorebenchError
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.marked_yaml import KeyPath
from restorebench.suite.substitution import Overridden
from restorebench.toolbox.options import OptionsOf, options_model

_KINDS = {"datasets": "dataset", "restorers": "restorer", "detectors": "detector"}
_MAPPINGS = (dict, Mapping)


def anchored(loaded: LoadedSuite, catalog: Catalog) -> tuple[LoadedSuite, list[str]]:
    """Make relative paths absolute: those from --set start at the working folder, others at the suite's folder.

    Returns the suite, and the problems with its paths, each with its position.
    """
    anchor = _Anchor(loaded, catalog)
    changed = {
        key: [
            pick.model_copy(
                update={"options": anchor.options(kind, pick.name, pick.options, (key, index, "options"))}
            )
            for index, pick in enumerate(getattr(loaded.suite, key))
        ]
        for key, kind in _KINDS.items()
    }
    return replace(loaded, suite=loaded.suite.model_copy(update=changed)), anchor.problems


class _Anchor:
    """A walk through options, side by side with the types that their models declare."""

    def __init__(self, loaded: LoadedSuite, catalog: Catalog) -> None:
        self._loaded = loaded
        self._catalog = catalog
        self.problems: list[str] = []

    def options(self, kind: str, name: str, options: Mapping[str, Any], keys: KeyPath) -> dict[str, Any]:
        """Make the paths in one card's options absolute; the options of an unknown card stay as they are."""
        try:
            model = options_model(self._catalog.find(kind, name))
        except RestorebenchError:  # reported when the options are validated, with the position
            model = None
        return dict(options) if model is None else self._fields(options, model, keys)

    def _fields(self, options: Mapping[str, Any], model: type[BaseModel], keys: KeyPath) -> dict[str, Any]:
        found = dict(options)
        for name in found.keys() & model.model_fields.keys():
            field, here = model.model_fields[name], (*keys, name)
            marker = next((each for each in field.metadata if isinstance(each, OptionsOf)), None)
            if marker is None:
                found[name] = self._value(found[name], field.annotation, here)
            elif isinstance(found[name], Mapping):
                found[name] = {
                    card: self.options(marker.kind, card, given, (*here, card))
                    if isinstance(given, dict)
                    else given
                    for card, given in found[name].items()
                }
        return found

    def _value(self, value: Any, annotation: Any, keys: KeyPath) -> Any:
        """Make every value absolute whose declared type is a path, at any depth; do not check other types."""
        types_ = _alternatives(annotation)
        if isinstance(value, str):
            return self._path(value, keys) if Path in types_ and value not in _literals(types_) else value
        for type_ in types_:
            parts = get_args(type_)
            if isinstance(value, Mapping):
                if isinstance(type_, type) and issubclass(type_, BaseModel):
                    value = self._fields(value, type_, keys)
                elif get_origin(type_) in _MAPPINGS and len(parts) == 2:
                    value = {key: self._value(part, parts[1], (*keys, key)) for key, part in value.items()}
            elif isinstance(value, list) and parts and get_origin(type_) not in _MAPPINGS:
                each = parts if get_origin(type_) is tuple and Ellipsis not in parts else parts[:1] * len(value)
                rest = value[len(each) :]
                pairs = enumerate(zip(value, each, strict=False))
                value = [self._value(part, kind, (*keys, number)) for number, (part, kind) in pairs] + rest
        return value

    def _path(self, text: str, keys: KeyPath) -> str:
        try:
            path = Path(text).expanduser()
        except RuntimeError:
            self.problems.append(
                f"{self._loaded.at(*keys)}{text}: there is no such user's home folder; write the path out"
            )
            return text
        return str((Path.cwd() if isinstance(text, Overridden) else self._loaded.folder) / path)


def _alternatives(annotation: Any) -> list[Any]:
    """List the alternatives of a type: the members of a union, without `Annotated` metadata."""
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [type_ for part in get_args(annotation) for type_ in _alternatives(part)]
    return [annotation]


def _literals(alternatives: list[Any]) -> set[Any]:
    return {value for type_ in alternatives if get_origin(type_) is Literal for value in get_args(type_)}
