"""What the manifests of two runs say differently, as causes, and which rows and columns each can have moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

_SETTINGS = ("repetitions", "batch_size", "threads", "tile", "tile_overlap", "precision")
"""Keys of a suite that may change the numbers of every row."""
_MACHINE = ("python", "platform", "processor", "cores", "gpus", "device", "engine", "workers")
_LONG = 40


class ScorePlace(NamedTuple):
    """A score in the tables: of a row on a task of a dataset, in a column."""

    dataset: str
    task: str
    row: str
    column: str


@dataclass(frozen=True)
class Cause:
    """Something that two runs have different.

    kind: seed, data, options, weights, plugin, detector, limit, setting, protocol, metric, versions, processor or
    machine. what: its name. before, after: what each run has. reaches: whether it can move a score.
    """

    kind: str
    what: str
    before: str
    after: str
    reaches: Callable[[ScorePlace], bool]

    @property
    def of_the_machine(self) -> bool:
        """Whether it is a difference of the machine or of packages, which no digest covers."""
        return self.kind in ("versions", "processor", "machine")


def causes(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[Cause]:
    """List what differs in two manifests, causes of other differences first."""
    return [
        *_of_the_suite(first, second),
        *_of_the_data(first, second),
        *_of_the_plugins(first, second),
        *_of_the_columns(first, second),
        *_of_the_machine(first, second),
    ]


def _everywhere(place: ScorePlace) -> bool:
    return True


def _of_the_suite(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Cause]:
    one, other = first["suite"], second["suite"]
    if one["seed"] != other["seed"]:
        yield Cause("seed", "seed", _text(one["seed"]), _text(other["seed"]), _everywhere)
    for name in _SETTINGS:
        if one.get(name) != other.get(name):
            yield Cause("setting", name, _text(one.get(name)), _text(other.get(name)), _everywhere)
    if first.get("limit") != second.get("limit"):
        yield Cause("limit", "limit", _text(first.get("limit")), _text(second.get("limit")), _everywhere)


def _of_the_data(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield the options of datasets that differ, and the tasks whose samples differ."""
    one, other = (
        {pick.get("label") or pick["name"]: pick for pick in manifest["suite"]["datasets"]}
        for manifest in (first, second)
    )
    for label in one.keys() & other.keys():
        on_it = _on_dataset(label)
        if one[label]["name"] != other[label]["name"]:
            yield Cause("data", f"dataset {label}", one[label]["name"], other[label]["name"], on_it)
        for key, before, after in _differing(one[label]["options"], other[label]["options"]):
            yield Cause("data", f"dataset {label}, option {key}", _text(before), _text(after), on_it)
    tasks: dict[str, dict[str, tuple[str, str]]] = {}
    for where, before, after in _differing(first["data"], second["data"]):
        if before is not None and after is not None:
            label, _, task = where.partition("/")
            tasks.setdefault(label, {})[task] = before, after
    for label, digests in tasks.items():
        befores, afters = zip(*digests.values(), strict=True)
        what = f"images of {label}: {_some(digests)}"
        yield Cause("data", what, _some(befores, 1), _some(afters, 1), _on_tasks(label, frozenset(digests)))


def _on_dataset(label: str) -> Callable[[ScorePlace], bool]:
    return lambda place: place.dataset == label


def _on_tasks(label: str, tasks: frozenset[str]) -> Callable[[ScorePlace], bool]:
    return lambda place: place.dataset == label and place.task in tasks


def _of_the_plugins(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Cause]:
    """Yield what differs in the restorers and detectors, and the plugins whose code differs."""
    code = {name for name, _, _ in _differing(first.get("code", {}), second.get("code", {}))}
    rows = [_rows(manifest) for manifest in (first, second)]
    for name in rows[0].keys() & rows[1].keys():
        one, other = rows[0][name], rows[1][name]
        for kind, what, before, after in _of_one_plugin(one, other, code):
            yield Cause(kind, f"{name}: {what}", before, after, _on_row(name))
    detectors = [{cell["detector"]: cell for cell in run["detector_cells"]} for run in (first, second)]
    for label in detectors[0].keys() & detectors[1].keys():
        one, other = detectors[0][label], detectors[1][label]
        told = frozenset(name for name, cell in rows[0].items() if cell["tell"] == label)
        for kind, what, before, after in _of_one_plugin(one, other, code):
            yield Cause(kind, f"detector {label}: {what}", before, after, _on_rows(told))
        if one["resize"] != other["resize"]:
            before, after = _text(one["resize"]), _text(other["resize"])
            yield Cause("options", f"detector {label}: resize", before, after, _on_rows(told))


def _rows(manifest: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return a cell of each row, by the name of the row."""
    from restorebench.records import row_name

    return {row_name(cell["restorer"], cell["tell"]): cell for cell in manifest["cells"]}


def _on_row(name: str) -> Callable[[ScorePlace], bool]:
    return lambda place: place.row == name


def _on_rows(names: frozenset[str]) -> Callable[[ScorePlace], bool]:
    return lambda place: place.row in names


def _of_one_plugin(
    one: Mapping[str, Any], other: Mapping[str, Any], code: set[str]
) -> Iterator[tuple[str, str, str, str]]:
    """Yield kind, name, before and after of what differs. A path in an option counts by its file's content."""
    for key in ("name", "plugin", "version"):
        if one[key] != other[key]:
            yield "plugin", key, _text(one[key]), _text(other[key])
    if one["plugin"] in code and one["plugin"] == other["plugin"]:
        yield "plugin", f"code of {one['plugin']}", "this", "other"
    for key, before, after in _differing(one["options"], other["options"]):
        held = one["files"].get(str(before)), other["files"].get(str(after))
        if held[0] is None and held[1] is None:
            yield "options", key, _text(before), _text(after)
    named = [_named_files(cell) for cell in (one, other)]
    for key, before, after in _differing(*named):
        yield "weights", key, _text(before), _text(after)


def _named_files(cell: Mapping[str, Any]) -> dict[str, str]:
    """Return the contents of a cell's files by the option that names them, or by their own names."""
    options = {str(value): key for key, value in cell["options"].items() if str(value) in cell["files"]}
    return {options.get(path, path): content for path, content in cell["files"].items()}


def _of_the_columns(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Cause]:
    one, other = first["suite"], second["suite"]
    for key, kind in (("protocols", "protocol"), ("metrics", "metric")):
        if one[key] != other[key]:
            names = frozenset(one[key]) ^ frozenset(other[key])
            yield Cause(kind, key, _some(one[key]), _some(other[key]), _in_columns_of(names))
    for name, before, after in _differing(first["columns"], second["columns"]):
        if before is not None and after is not None:
            yield Cause("metric", f"code of {name}", _text(before), _text(after), _in_column(name))


def _in_columns_of(names: frozenset[str]) -> Callable[[ScorePlace], bool]:
    return lambda place: bool(names & set(place.column.split("@")))


def _in_column(name: str) -> Callable[[ScorePlace], bool]:
    return lambda place: place.column == name


def _of_the_machine(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Cause]:
    for name, before, after in _differing(first.get("versions", {}), second.get("versions", {})):
        yield Cause("versions", name, _text(before), _text(after), _everywhere)
    for name in _MACHINE:
        if first.get(name) != second.get(name):
            kind = {"processor": "processor", "python": "versions"}.get(name, "machine")
            yield Cause(kind, name, _text(first.get(name)), _text(second.get(name)), _everywhere)


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, value and other value where two mappings differ; None for a key that one lacks."""
    for key in dict.fromkeys([*one, *other]):
        if one.get(key) != other.get(key):
            yield key, one.get(key), other.get(key)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    return text if len(text) <= _LONG else text[: _LONG - 3] + "..."


def _some(names: Iterable[str], shown: int = 3) -> str:
    listed = list(names)
    return ", ".join(listed[:shown]) + (f" and {len(listed) - shown} more" if len(listed) > shown else "")
