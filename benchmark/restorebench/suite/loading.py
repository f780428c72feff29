"""Load a suite from a YAML file, and report every mistake in it at file:line:column."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from restorebench.contract.errors import SuiteError, UnknownName, nearest
from restorebench.suite import substitution
from restorebench.suite.marked_yaml import KeyPath, Marks, parse, read
from restorebench.suite.model import PICKED, DatasetPick, DetectorPick, Limits, ReportPick, RestorerPick, Suite

_LONGEST_LINE = 400  # characters in a line of a message: a key of a hostile file may be as long as the file
_MOST_LINES = 50


@dataclass(frozen=True)
class LoadedSuite:
    """A suite and the positions of its values in the file, for errors that are found later.

    overrides: the values that the command line replaced, such as `seed=1`.
    """

    suite: Suite
    source: str
    folder: Path
    marks: Marks = field(default_factory=lambda: Marks("<suite>"))
    overrides: tuple[str, ...] = ()

    def at(self, *path: str | int) -> str:
        """Return `file:line:column: key.path: ` for the deepest known part of a path."""
        return self.marks.at(path)

    def placed(self, *path: str | int) -> str:
        """Return the same as `at` for a suite that was read from a file, and an empty string for others."""
        return self.at(*path) if self.marks.positions else ""


def load(
    name: str, overrides: Sequence[str] = (), data: Path | None = None, extra: Mapping[str, Any] | None = None
) -> LoadedSuite:
    """Read a suite by path or bundled name, apply overrides, and validate it.

    overrides: `key.path=value` texts, values in YAML. data: the folder for `${data}`. extra: values for top-level
    keys, from command-line flags with the same names, such as --save.

    Raises:
        SuiteError: every mistake in the file, one line each.
        UnknownName: no such file or bundled suite.
    """
    path = find(name)
    return loads(read(path), str(path), path.parent.resolve(), overrides, data, extra)


def made(raw: Mapping[str, Any], source: str = "command line") -> LoadedSuite:
    """Validate a suite that is given as data instead of a file.

    Raises:
        SuiteError: every mistake, one line each.
    """
    marks = Marks(source, overridden=_flags(raw))
    try:
        return LoadedSuite(Suite.model_validate(raw), source, Path.cwd(), marks)
    except ValidationError as error:
        raise SuiteError(_together([_explain(Suite, problem, marks) for problem in _problems(error)])) from None


def _flags(raw: Mapping[str, Any]) -> dict[KeyPath, str]:
    """Name the flag that gives each option of a plugin in the commands on images."""
    return {
        (kind, index, "options", key): "--weights" if key == "weights" else f"--option {key}"
        for kind in ("restorers", "detectors")
        for index, pick in enumerate(raw.get(kind, ()))
        if isinstance(pick, Mapping)
        for key in pick.get("options", ())
    }


def loads(
    text: str,
    source: str = "<suite>",
    folder: Path | None = None,
    overrides: Sequence[str] = (),
    data: Path | None = None,
    extra: Mapping[str, Any] | None = None,
) -> LoadedSuite:
    """Load a suite from text, like `load`."""
    raw, marks, problems = parse(text, source)
    overridden = {
        substitution.override(raw, override, Suite.model_fields): f"--set {override}" for override in overrides
    }
    raw.update(extra or {})
    overridden |= {(key,): f"--{key}" for key in extra or {}}
    marks = replace(marks, overridden=overridden)
    raw = substitution.interpolated(raw, data, marks, problems)
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(raw)
    except ValidationError as error:
        problems += [_explain(Suite, problem, marks) for problem in _problems(error)]
        suite = _salvaged(raw, error)
    said = (*overrides, *(f"{key}={value}" for key, value in (extra or {}).items()))
    loaded = None if suite is None else LoadedSuite(suite, source, folder or Path.cwd(), marks, said)
    if problems or loaded is None:
        raise InvalidSuite(_together(sorted(dict.fromkeys(problems), key=_position)), loaded)
    return loaded


def _together(problems: Sequence[str]) -> str:
    """Join problems into one message, one line each."""
    half = _LONGEST_LINE // 2  # keep both ends: a line begins with its position and ends with the mistake
    lines = [line if len(line) <= _LONGEST_LINE else f"{line[:half]}...{line[-half:]}" for line in problems]
    rest = len(lines) - _MOST_LINES
    more = f"and {rest:,} more mistake{'s' * (rest != 1)}"
    return "\n".join(lines if rest <= 0 else [*lines[:_MOST_LINES], more])


def _position(problem: str) -> tuple[int, ...]:
    """Return the line and column that a message starts with, to sort messages."""
    return tuple(int(number) for number in re.findall(r":(\d+)", problem.split(": ", 1)[0]))


class InvalidSuite(SuiteError):
    """A suite has mistakes. rest: its valid part, so that the names in it can still be checked, or None."""

    def __init__(self, message: str, rest: LoadedSuite | None) -> None:
        super().__init__(message)
        self.rest = rest


def _salvaged(raw: Mapping[str, Any], error: ValidationError) -> Suite | None:
    """Return the suite without its invalid keys, only to find more mistakes in the rest."""
    wrong = {problem["loc"][0] for problem in error.errors()}
    if "tasks" in wrong:
        wrong.add("datasets")  # the tasks that datasets name must be tasks of the suite
    right = {key: value for key, value in raw.items() if key not in wrong}
    try:
        suite = Suite.model_validate({"suite": "invalid", "datasets": ["to-be-removed"]} | right)
    except ValidationError:
        return None
    return suite if "datasets" in right else suite.model_copy(update={"datasets": []})


def bundled() -> dict[str, Path]:
    """Return the suites that come with the package, by name."""
    here = Path(__file__).resolve().parent.parent
    for folder in (here / "suites", here.parent.parent / "suites"):  # in a wheel, then in a checkout
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def find(name: str) -> Path:
    """Return the file of a suite given as a path or a bundled name."""
    path = Path(name)
    known = bundled()
    if name in known and not path.is_file():
        return known[name]
    if path.suffix in {".yaml", ".yml"} or os.sep in name or path.exists():
        return path
    raise UnknownName(
        f"no suite called {name!r}{nearest(name, known)}; bundled: {', '.join(known)}; or give a .yaml file"
    )


def explain_options(loaded: LoadedSuite, model: type[BaseModel], error: ValidationError, *path: str | int) -> str:
    """Turn the errors of a plugin's options into lines with their positions in the suite file."""
    return "\n".join(_explain(model, problem, loaded.marks, path) for problem in _problems(error))


def _problems(error: ValidationError) -> list[Any]:  # pydantic's ErrorDetails
    """List the errors, except that a list is too short if its items have errors of their own."""
    found = error.errors()
    return [
        problem
        for problem in found
        if problem["type"] != "too_short" or not any(_is_inside(other["loc"], problem["loc"]) for other in found)
    ]


def _is_inside(inner: KeyPath, outer: KeyPath) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _explain(
    model: type[BaseModel],
    problem: Any,  # pydantic's ErrorDetails
    marks: Marks,
    prefix: KeyPath = (),
) -> str:
    location: KeyPath = tuple(problem["loc"])
    message = problem["msg"][:1].lower() + problem["msg"][1:]
    message = message.removeprefix("value error, ")
    if problem["type"] == "extra_forbidden":
        message = f"no such key{nearest(str(location[-1]), _fields(model, location[:-1]))}"
    elif problem["type"] == "missing":
        message = "is required"
    elif problem["type"] not in {"value_error"}:
        given = repr(problem["input"])
        message += f", got {given if len(given) <= 60 else given[:57] + '...'}"
    path = (*prefix, *location)
    return f"{marks.at(path)}{message}"


def _fields(model: type[BaseModel], location: KeyPath) -> list[str]:
    """List the keys that are allowed where an unknown key was found."""
    nested: dict[str, type[BaseModel]] = {
        "limits": Limits,
        "datasets": DatasetPick,
        "restorers": RestorerPick,
        "detectors": DetectorPick,
        "reports": ReportPick,
    }
    here: type[BaseModel] = nested.get(str(location[0]), model) if location and model is Suite else model
    return list(here.model_fields)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite, for editors."""
    found = Suite.model_json_schema()
    for name in PICKED:
        key = found["properties"][name]
        key["items"] = {"anyOf": [{"type": "string"}, key["items"]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
