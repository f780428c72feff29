"""Change a suite's raw values before they are validated: `--set a.b=c` and `${variable}`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from restorebench.contract.errors import SuiteError, nearest
from restorebench.suite.marked_yaml import KeyPath, Marks, parse_value

_DEEPEST_VARIABLE = 8
_MAX_CHARACTERS = 1_000_000  # once variables are replaced: those that multiply each other stop here
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


class Overridden(str):
    """Text that came from `--set`: a relative path in it is relative to the working folder."""

    __slots__ = ()


def assignment(text: str, example: str) -> tuple[list[str], Any]:
    """Split `key.path=value` into the keys and the value, which is YAML.

    Raises:
        SuiteError: it is none, or the value is no YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise SuiteError(f"--set {text}: expected key=value, for instance --set {example}")
    return key.strip().split("."), parse_value(value, f"--set {text}")


def override(raw: dict[str, Any], text: str, keys: Collection[str]) -> KeyPath:
    """Apply one `key.path=value`; a name declared under `variables` may be set without that prefix.

    keys: the keys a suite may have at its top. Returns the path of what was set.

    Raises:
        SuiteError: the text is no assignment, or leads nowhere.
    """
    path, value = assignment(text, "seed=1")
    variables = raw.get("variables")
    if isinstance(variables, dict) and path[0] in variables and path[0] not in keys:
        path = ["variables", *path]
    target: Any = raw
    reached: list[str | int] = []
    for depth, part in enumerate(path[:-1]):
        place: str | int = part
        if isinstance(target, list):
            place = _list_place(target, part, text)
            if isinstance(target[place], str):  # `- identity` becomes `- {name: identity}`
                target[place] = {"name": target[place]}
        elif part not in target:
            if depth == 0 and part not in keys:
                raise SuiteError(f"--set {text}: {part}: no such key{nearest(part, _settable(raw, keys))}")
            target[part] = {}
        reached.append(place)
        target = target[place]
        if not isinstance(target, dict | list):
            raise SuiteError(f"--set {text}: {'.'.join(path[: depth + 1])} is a plain value")
    last: str | int = path[-1]
    if len(path) == 1 and path[0] not in keys:
        raise SuiteError(f"--set {text}: {last}: no such key{nearest(path[0], _settable(raw, keys))}")
    if isinstance(target, list):
        last = _list_place(target, path[-1], text)
    target[last] = _marked(value)
    return (*reached, last)


def _settable(raw: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    variables = raw.get("variables")
    return [*keys, *(variables if isinstance(variables, dict) else ())]


def _list_place(target: list[Any], part: str, text: str) -> int:
    """Find an item by number or by the `label` or `name` it carries."""
    if part.isdigit() and int(part) < len(target):
        return int(part)
    for place, item in enumerate(target):
        names = (item.get("label"), item.get("name")) if isinstance(item, dict) else (item,)
        if part in names:
            return place
    raise SuiteError(f"--set {text}: no item {part!r} in that list of {len(target)}")


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return Overridden(value)
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def interpolated(raw: dict[str, Any], data: Path | None, marks: Marks, problems: list[str]) -> dict[str, Any]:
    """Replace `${data}` and `${variable}` everywhere; a text that is nothing else keeps the value's type.

    Raises:
        SuiteError: variables that refer to each other make too much of it.
    """
    given = raw.get("variables")
    replacing = _Interpolation(given if isinstance(given, dict) else {}, data, marks, problems)
    # Variables that nothing uses must not fail, so they are replaced where they are used.
    return {key: value if key == "variables" else replacing.replaced(value, (key,)) for key, value in raw.items()}


class _Interpolation:
    """Replaces variables in one suite, and counts the characters that this makes of it."""

    def __init__(self, variables: Mapping[str, Any], data: Path | None, marks: Marks, problems: list[str]) -> None:
        self._variables = variables
        self._data = data
        self._marks = marks
        self._problems = problems
        self._made = 0

    def replaced(self, value: Any, path: KeyPath, depth: int = 0) -> Any:
        """Replace the variables in a value and in all that it holds."""
        if isinstance(value, dict):
            return {key: self.replaced(item, (*path, key), depth) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replaced(item, (*path, index), depth) for index, item in enumerate(value)]
        self._count(1, path)
        return self._text(value, path, depth) if isinstance(value, str) and "${" in value else value

    def _text(self, value: str, path: KeyPath, depth: int) -> Any:
        """Replace the variables in a text that has some."""
        if depth > _DEEPEST_VARIABLE:
            self._problems.append(f"{self._marks.at(path)}variables refer to each other in a circle")
            return ""
        if whole := _REFERENCE.fullmatch(value):
            self._count(1, path)
            return self.replaced(self._known(whole[1], path), path, depth + 1)
        # No reference ends behind the last brace, and to look for one there takes the square of the length.
        end = value.rfind("}") + 1
        text = _REFERENCE.sub(lambda match: self._inserted(match[1], path), value[:end]) + value[end:]
        if text == value:
            self._problems.append(f"{self._marks.at(path)}a `${{` has no `}}` behind it")
            return ""
        # What a path begins with decides what it is relative to: `${clean}/val`, but not `val/${clean}`.
        first = _REFERENCE.match(value)
        beginning = value if first is None else self._variables.get(first[1])
        return self.replaced(Overridden(text) if isinstance(beginning, Overridden) else text, path, depth + 1)

    def _inserted(self, name: str, path: KeyPath) -> str:
        text = str(self._known(name, path))
        self._count(len(text) + 1, path)
        return text

    def _known(self, name: str, path: KeyPath) -> Any:
        """Look a variable up; one that is not there is a problem, and empty."""
        if name in self._variables:
            return self._variables[name]
        if name != "data":
            near = nearest(name, [*self._variables, "data"])
            self._problems.append(f"{self._marks.at(path)}no variable {name!r}{near}")
            return ""
        root = self._data or (Path(text) if (text := os.environ.get("RESTOREBENCH_DATA")) else None)
        if root is None:
            where = self._marks.where(path)
            self._problems.append(f"{where}${{data}} is not set: give --data DIR or set RESTOREBENCH_DATA")
            return ""
        return str(root.resolve())

    def _count(self, characters: int, path: KeyPath) -> None:
        self._made += characters
        if self._made > _MAX_CHARACTERS:
            raise SuiteError(
                f"{self._marks.at(path)}more than {_MAX_CHARACTERS:,} characters once variables are replaced"
            )
