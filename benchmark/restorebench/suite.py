"""A suite: what is compared on what, from a YAML file, with every mistake reported at file:line:column."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from restorebench.errors import SuiteError, UnknownName, nearest
from restorebench.marked_yaml import Loader, Marks, Path_, parse
from restorebench.tasks import TEN_NAMES

MAX_BYTES = 1_000_000
_DEEPEST_VARIABLE = 8
_REFERENCE = re.compile(r"\$\{([^}]*)\}")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Model):
    """Time limits, enforced by killing the worker."""

    image_seconds: float = Field(300, gt=0, description="longest time for one image")
    load_seconds: float = Field(600, gt=0, description="longest time to load a plugin and its weights")
    plugin_seconds: float | None = Field(None, gt=0, description="longest time for one restorer on one task")


class _Entry(_Model):
    name: str = Field(description="name of the plugin, see `restorebench list`")
    options: dict[str, Any] = Field(default_factory=dict, description="the plugin's own options")


class DatasetEntry(_Entry):
    """A dataset, asked for each task of the suite or for those named here."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    tasks: list[str] | None = Field(None, description="tasks taken from this dataset; all by default")


class RestorerEntry(_Entry):
    """A restorer and what it is told."""

    label: str | None = Field(None, description="what tables call it; the name by default")
    tell: str = Field("nothing", description="nothing (blind), task (oracle) or the name of a detector")


class DetectorEntry(_Entry):
    """A degradation detector for the detector track."""


class Suite(_Model):
    """What is compared on what. Every key but `suite` and `datasets` has a default."""

    suite: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", description="kebab-case name of the suite")
    version: str = Field("1", description="raise it when results change meaning")
    description: str = Field("", description="one sentence on what the suite compares")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of synthesis and of restorers' noise")
    variables: dict[str, Any] = Field(default_factory=dict, description="values used as ${name}")
    tasks: list[str] = Field(
        default_factory=lambda: list(TEN_NAMES), min_length=1, description="tasks, mixtures as hazy+rainy"
    )
    datasets: list[DatasetEntry] = Field(min_length=1, description="where the images come from")
    restorers: list[RestorerEntry] = Field(
        default_factory=lambda: [RestorerEntry(name="identity")], description="what is compared"
    )
    detectors: list[DetectorEntry] = Field(default_factory=list, description="detectors to score")
    metrics: list[str] = Field(
        default_factory=lambda: ["psnr", "ssim"], min_length=1, description="the first one ranks"
    )
    protocols: list[str] = Field(
        default_factory=lambda: ["rgb"], min_length=1, description="how metrics look at images; see protocols.md"
    )
    clean_inputs: bool = Field(True, description="also feed clean images: what does a restorer break?")
    repetitions: int = Field(1, ge=1, le=100, description="runs of stochastic restorers, other seeds each")
    batch_size: int = Field(1, ge=1, le=1024, description="images of one size restored together")
    threads: int = Field(1, ge=1, le=256, description="CPU threads per worker")
    tile: int | None = Field(None, ge=32, description="tile side in pixels; none restores whole images")
    tile_overlap: int = Field(32, ge=0, description="pixels neighbouring tiles share")
    save: Literal["none", "all"] = Field("none", description="keep restored images for `score`")
    samples: int = Field(0, ge=0, description="degraded/clean/restored triples kept per task to look at")
    limits: Limits = Field(default_factory=Limits, description="time limits in seconds")
    reports: list[str] = Field(
        default_factory=lambda: ["csv", "markdown"], description="reporters that write the tables"
    )

    @field_validator("version", mode="before")
    @classmethod
    def _version_is_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value

    @field_validator("datasets", "restorers", "detectors", mode="before")
    @classmethod
    def _names_are_entries(cls, value: object) -> object:
        if not isinstance(value, list):
            return value
        return [{"name": item} if isinstance(item, str) else item for item in value]


class Overridden(str):
    """Text that came from `--set`: a relative path in it is relative to the working folder."""

    __slots__ = ()


@dataclass(frozen=True)
class LoadedSuite:
    """A suite with the places its values came from, for errors that are found later."""

    suite: Suite
    source: str
    folder: Path
    marks: Marks = field(default_factory=lambda: Marks("<suite>"))

    def at(self, *path: str | int) -> str:
        """Return `file:line:column: key.path: ` for the deepest known part of a path."""
        return self.marks.at(path)


def load(
    name: str, overrides: Sequence[str] = (), data: Path | None = None, extra: Mapping[str, Any] | None = None
) -> LoadedSuite:
    """Read a suite by path or bundled name, apply overrides, and validate it.

    overrides: `key.path=value` texts, values in YAML. data: what `${data}` stands for. extra: values that
    replace top-level keys, from command-line flags such as --tasks.

    Raises:
        SuiteError: every mistake in the file, one line each.
        UnknownName: no such file or bundled suite.
    """
    path = find(name)
    return loads(_read(path), str(path), path.parent.resolve(), overrides, data, extra)


def loads(
    text: str,
    source: str = "<suite>",
    folder: Path | None = None,
    overrides: Sequence[str] = (),
    data: Path | None = None,
    extra: Mapping[str, Any] | None = None,
) -> LoadedSuite:
    """Do what `load` does, for a suite that is already text."""
    raw, marks, problems = parse(text, source)
    for override in overrides:
        _override(raw, override)
    raw.update(extra or {})
    raw = _interpolated(raw, data, marks, problems)
    suite: Suite | None = None
    try:
        suite = Suite.model_validate(raw)
    except ValidationError as error:
        problems += [_explain(Suite, problem, marks) for problem in error.errors()]
        suite = _salvaged(raw, error)
    loaded = None if suite is None else LoadedSuite(suite, source, folder or Path.cwd(), marks)
    if problems or loaded is None:
        raise InvalidSuite("\n".join(sorted(dict.fromkeys(problems), key=_line)), loaded)
    return loaded


def _line(problem: str) -> tuple[int, ...]:
    """Sort messages by the line and column they start with."""
    return tuple(int(number) for number in re.findall(r":(\d+)", problem.split(": ", 1)[0]))


class InvalidSuite(SuiteError):
    """A suite with mistakes. rest: what is right of it, so that its names can still be checked, or None."""

    def __init__(self, message: str, rest: LoadedSuite | None) -> None:
        super().__init__(message)
        self.rest = rest


def _salvaged(raw: Mapping[str, Any], error: ValidationError) -> Suite | None:
    """Drop what is wrong and keep the rest, only to find more mistakes in it."""
    wrong = {problem["loc"][0] for problem in error.errors()}
    rest = {"suite": "invalid", "datasets": ["none"]} | {k: v for k, v in raw.items() if k not in wrong}
    try:
        return Suite.model_validate(rest)
    except ValidationError:
        return None


def bundled() -> dict[str, Path]:
    """Return the suites that come with the package, by name."""
    here = Path(__file__).resolve().parent
    for folder in (here / "suites", here.parent.parent / "suites"):  # a wheel, then a checkout
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
    """Turn the errors of a plugin's options into lines with their places in the suite file."""
    return "\n".join(_explain(model, problem, loaded.marks, path) for problem in error.errors())


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SuiteError(f"{path}: larger than {MAX_BYTES:,} bytes; a suite is a short YAML file")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SuiteError(f"{path}: is not UTF-8 text; a suite is a YAML file") from None


def _override(raw: dict[str, Any], text: str) -> None:
    """Apply one `key.path=value`; a name declared under `variables` may be set without that prefix."""
    key, separator, value_text = text.partition("=")
    if not separator or not key.strip():
        raise SuiteError(f"--set {text}: expected key=value, for instance --set seed=1")
    try:
        value = yaml.load(value_text, Loader)  # Loader is a SafeLoader
    except yaml.YAMLError:
        raise SuiteError(f"--set {text}: the value is not valid YAML") from None
    path = key.strip().split(".")
    variables = raw.get("variables")
    if isinstance(variables, dict) and path[0] in variables and path[0] not in Suite.model_fields:
        path = ["variables", *path]
    target: Any = raw
    for depth, part in enumerate(path[:-1]):
        place: str | int = part
        if isinstance(target, list):
            place = _list_place(target, part, text)
            if isinstance(target[place], str):  # `- identity` becomes `- {name: identity}`
                target[place] = {"name": target[place]}
        elif part not in target:
            if depth == 0 and part not in Suite.model_fields:
                raise SuiteError(f"--set {text}: {part}: no such key{nearest(part, _settable(raw))}")
            target[part] = {}
        target = target[place]
        if not isinstance(target, dict | list):
            raise SuiteError(f"--set {text}: {'.'.join(path[: depth + 1])} is a plain value")
    last = path[-1]
    if len(path) == 1 and last not in Suite.model_fields:
        raise SuiteError(f"--set {text}: {last}: no such key{nearest(last, _settable(raw))}")
    if isinstance(target, list):
        target[_list_place(target, last, text)] = _marked(value)
    else:
        target[last] = _marked(value)


def _settable(raw: Mapping[str, Any]) -> list[str]:
    variables = raw.get("variables")
    return [*Suite.model_fields, *(variables if isinstance(variables, dict) else ())]


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
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _interpolated(raw: dict[str, Any], data: Path | None, marks: Marks, problems: list[str]) -> dict[str, Any]:
    """Replace `${data}` and `${variable}` everywhere; a text that is nothing else keeps the value's type."""
    given = raw.get("variables")
    variables: dict[str, Any] = given if isinstance(given, dict) else {}

    def known(name: str, path: Path_) -> Any:
        if name in variables:
            return variables[name]
        if name != "data":
            problems.append(f"{marks.at(path)}no variable {name!r}{nearest(name, [*variables, 'data'])}")
            return ""
        root = data or (Path(text) if (text := os.environ.get("RESTOREBENCH_DATA")) else None)
        if root is None:
            problems.append(f"{marks.where(path)}${{data}} is not set: give --data DIR or set RESTOREBENCH_DATA")
            return ""
        return str(root.resolve())

    def replaced(value: Any, path: Path_, depth: int = 0) -> Any:
        if isinstance(value, dict):
            return {key: replaced(item, (*path, key), depth) for key, item in value.items()}
        if isinstance(value, list):
            return [replaced(item, (*path, place), depth) for place, item in enumerate(value)]
        if not isinstance(value, str) or "${" not in value:
            return value
        if depth > _DEEPEST_VARIABLE:
            problems.append(f"{marks.at(path)}variables refer to each other in a circle")
            return ""
        if whole := _REFERENCE.fullmatch(value):
            return replaced(known(whole[1], path), path, depth + 1)
        text = _REFERENCE.sub(lambda match: str(known(match[1], path)), value)
        return replaced(text, path, depth + 1)

    # Variables that nothing uses must not fail, so they are replaced where they are used.
    return {key: value if key == "variables" else replaced(value, (key,)) for key, value in raw.items()}


def _explain(
    model: type[BaseModel],
    problem: Any,  # pydantic's ErrorDetails
    marks: Marks,
    prefix: Path_ = (),
) -> str:
    location: Path_ = tuple(problem["loc"])
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


def _fields(model: type[BaseModel], location: Path_) -> list[str]:
    """List the keys that are legal where an unknown key was found."""
    nested: dict[str, type[BaseModel]] = {
        "limits": Limits,
        "datasets": DatasetEntry,
        "restorers": RestorerEntry,
        "detectors": DetectorEntry,
    }
    here: type[BaseModel] = nested.get(str(location[0]), model) if location and model is Suite else model
    return list(here.model_fields)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Suite.model_json_schema()}
