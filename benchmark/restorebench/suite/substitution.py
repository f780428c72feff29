"""Change a suite's raw values before validation: apply `--set a.b=c` and replace `${variable}`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from restorebench.contract.errors import SuiteError, nearest
from restorebench.suite.marked_yaml import KeyPath, Marks, parse_value

_DEEPEST_VARIABLE = 8
_MAX_CHARACTERS = 1_000_000  # after replacement, which stops variables that multiply each other
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


class Overridden(str):
    """Text from `--set`. A relative path in it is relative to the working folder, not to the suite."""

    __slots__ = ()


def assignment(text: str, example: str) -> tuple[list[str], Any]:
    """Split `key.path=value` into its keys and its value, which is YAML.

    Raises:
        SuiteError: the text does not have this form, or the value is not YAML.
    """
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise SuiteError(f"--set {text}: expected key=value, for instance --set {example}")
    return key.strip().split("."), parse_value(value, f"--set {text}")


def override(raw: dict[str, Any], text: str, keys: Collection[str]) -> KeyPath:
    """Apply one `key.path=value`; a name declared under `variables` may be set without that prefix.

    keys: the top-level keys of a suite. Returns the path of the value that was set.

    Raises:
        SuiteError: the text is not an assignment, or there is no such key or list item.
    """
    path, value = assignment(text, "seed=1")
    variables = raw.get("variables")
    if isinstance(variables, dict) and path[0] in variables and path[0] not in keys:
        path = ["variables", *path]
    target: Any = raw
    reached: list[str | int] = []
    for depth, part in enumerate(path[:-1]):
        step: str | int = part
        if isinstance(target, list):
            step = _list_index(target, part, text)
            if isinstance(target[step], str):  # `- identity` becomes `- {name: identity}`
                target[step] = {"name": target[step]}
        elif part not in target:
            if depth == 0 and part not in keys:
                raise SuiteError(f"--set {text}: {part}: no such key{nearest(part, _settable(raw, keys))}")
            target[part] = {}
        reached.append(step)
        target = target[step]
        if not isinstance(target, dict | list):
            raise SuiteError(f"--set {text}: {'.'.join(path[: depth + 1])} is a single value and has no keys")
    last: str | int = path[-1]
    if len(path) == 1 and path[0] not in keys:
        raise SuiteError(f"--set {text}: {last}: no such key{nearest(path[0], _settable(raw, keys))}")
    if isinstance(target, list):
        last = _list_index(target, path[-1], text)
    target[last] = _marked(value)
    return (*reached, last)


def _settable(raw: Mapping[str, Any], keys: Collection[str]) -> list[str]:
    variables = raw.get("variables")
    return [*keys, *(variables if isinstance(variables, dict) else ())]


def _list_index(target: list[Any], part: str, text: str) -> int:
    """Return the index of an item, given by its number, its `label` or its `name`."""
    if part.isdigit() and int(part) < len(target):
        return int(part)
    for index, item in enumerate(target):
        names = (item.get("label"), item.get("name")) if isinstance(item, dict) else (item,)
        if part in names:
            return index
    raise SuiteError(f"--set {text}: no item {part!r} in that list of {len(target)}; give a label, name or number")


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return Overridden(value)
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value


def interpolated(raw: dict[str, Any], data: Path | None, marks: Marks, problems: list[str]) -> dict[str, Any]:
    """Replace `${data}` and `${variable}` everywhere; a text that is just one reference becomes the value itself.

    Raises:
        SuiteError: replacing the variables gives too much text.
    """
    given = raw.get("variables")
    replacing = _Interpolation(given if isinstance(given, dict) else {}, data, marks, problems)
    # Variables are replaced where they are used, so that a mistake in an unused one does no harm.
    return {key: value if key == "variables" else replacing.replaced(value, (key,)) for key, value in raw.items()}


class _Interpolation:
    """The replacement of variables in one suite, which also counts the characters that it produces."""

    def __init__(self, variables: Mapping[str, Any], data: Path | None, marks: Marks, problems: list[str]) -> None:
        self._variables = variables
        self._data = data
        self._marks = marks
        self._problems = problems
        self._made = 0

    def replaced(self, value: Any, path: KeyPath, depth: int = 0) -> Any:
        """Replace the variables in a value and in everything inside it."""
        if isinstance(value, dict):
            return {key: self.replaced(item, (*path, key), depth) for key, item in value.items()}
        if isinstance(value, list):
            return [self.replaced(item, (*path, index), depth) for index, item in enumerate(value)]
        self._count(1, path)
        return self._text(value, path, depth) if isinstance(value, str) and "${" in value else value

    def _text(self, value: str, path: KeyPath, depth: int) -> Any:
        """Replace the variables in a text that contains `${`."""
        if depth > _DEEPEST_VARIABLE:
            self._problems.append(f"{self._marks.at(path)}variables refer to each other in a circle")
            return ""
        if whole := _REFERENCE.fullmatch(value):
            self._count(1, path)
            return self.replaced(self._known(whole[1], path), path, depth + 1)
        # No reference ends after the last brace. Searching there takes time quadratic in the length.
        end = value.rfind("}") + 1
        text = _REFERENCE.sub(lambda match: self._inserted(match[1], path), value[:end]) + value[end:]
        if text == value:
            self._problems.append(f"{self._marks.at(path)}a `${{` has no closing `}}`")
            return ""
        # A path is relative to the working folder if its beginning came from --set: in `${clean}/val` the variable
        # decides, in `val/${clean}` it does not.
        first = _REFERENCE.match(value)
        beginning = value if first is None else self._variables.get(first[1])
        return self.replaced(Overridden(text) if isinstance(beginning, Overridden) else text, path, depth + 1)

    def _inserted(self, name: str, path: KeyPath) -> str:
        text = str(self._known(name, path))
        self._count(len(text) + 1, path)
        return text

    def _known(self, name: str, path: KeyPath) -> Any:
        """Return the value of a variable; an unknown one is noted as a problem and gives an empty text."""
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
