"""YAML to plain values, with the line and column of every one of them, and duplicate keys refused."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from restorebench.errors import SuiteError

MAX_NODES = 20_000  # after aliases are expanded: anchors that explode stop here
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Marks:
    """Where the values of a document are: line and column, from 1, by key path."""

    source: str
    places: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return `file:line:column: ` of the deepest known part of a path."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                line, column = self.places[path[:length]]
                return f"{self.source}:{line}:{column}: "
        return f"{self.source}: "

    def at(self, path: KeyPath) -> str:
        """Return `file:line:column: key.path: `."""
        return f"{self.where(path)}{dotted(path)}: "


def dotted(path: Sequence[str | int]) -> str:
    """Write a key path as `datasets[0].options.crop`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class Loader(yaml.SafeLoader):
    """YAML 1.2 manners: 1e-4 is a number, and only true and false are booleans."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith((":bool", ":float", ":timestamp"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)$|^[-+]?(?:\d+\.\d*|\.\d+)$|^[-+]?\.(?:inf|nan)$"),
    list("-+.0123456789"),
)


def parse(text: str, source: str) -> tuple[dict[str, Any], Marks, list[str]]:
    """Read one YAML document that is a mapping; mistakes that leave the rest readable are returned.

    Raises:
        SuiteError: it is not YAML, empty, not a mapping, or its anchors explode.
    """
    marks: dict[KeyPath, tuple[int, int]] = {}
    problems: list[str] = []
    try:
        loader = Loader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        hint = "; indent with spaces, not tabs" if "\\t" in (error.problem or "") else ""
        raise SuiteError(f"{place}: not valid YAML: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise SuiteError(f"{source}: not valid YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise SuiteError(f"{source}: nested too deeply for a suite") from None
    if root is None:
        raise SuiteError(f"{source}: is empty; a suite needs at least `suite:` and `datasets:`")
    if not isinstance(root, yaml.MappingNode):
        raise SuiteError(f"{source}:1:1: expected `key: value` pairs at the top, such as `suite: my-suite`")
    budget = [MAX_NODES]
    try:
        value = _build(root, (), loader, source, marks, problems, budget)
    except RecursionError:
        raise SuiteError(f"{source}: nested too deeply for a suite, or an anchor contains itself") from None
    return value, Marks(source, marks), problems


def _build(
    node: yaml.Node,
    path: KeyPath,
    loader: Loader,
    source: str,
    marks: dict[KeyPath, tuple[int, int]],
    problems: list[str],
    budget: list[int],
) -> Any:
    """Make plain Python values of a node tree, noting each value's place and refusing duplicate keys."""
    budget[0] -= 1
    if budget[0] < 0:
        raise SuiteError(f"{source}: more than {MAX_NODES:,} values after anchors are expanded")
    place = (node.start_mark.line + 1, node.start_mark.column + 1)
    marks[path] = place
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node, yaml.ScalarNode):
                problems.append(f"{source}:{line}:{column}: a key must be plain text")
                continue
            key = str(key_node.value)
            if key in mapping:
                problems.append(f"{source}:{line}:{column}: {dotted((*path, key))}: given twice")
            mapping[key] = _build(value_node, (*path, key), loader, source, marks, problems, budget)
            marks[(*path, key)] = (line, column)
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [
            _build(child, (*path, place_in_list), loader, source, marks, problems, budget)
            for place_in_list, child in enumerate(node.value)
        ]
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        problems.append(f"{source}:{place[0]}:{place[1]}: {dotted(path)}: {str(error).splitlines()[0]}")
        return None
