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
    """Where the values of a document are: line and column, from 1, by key path.

    overridden: what replaced the document's value there, such as `--set seed=1`.
    """

    source: str
    places: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)
    overridden: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return `file:line:column: ` of the deepest known part of a path, or what replaced it."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.overridden:
                return f"{self.overridden[path[:length]]}: "
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
    """YAML 1.2 manners: 1e-4 is a number, 1:30 and 010 are none, and only true and false are booleans."""


_YAML_1_1 = (":bool", ":int", ":float", ":timestamp")
Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(_YAML_1_1)]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0|[1-9][0-9]*)$|^0o[0-7]+$|^0x[0-9a-fA-F]+$"),
    list("-+0123456789"),
)
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
    reader = _Reader(text, source, placed=True)
    root = reader.compose()
    if root is None:
        raise SuiteError(f"{source}: is empty; a suite needs at least `suite:` and `datasets:`")
    if not isinstance(root, yaml.MappingNode):
        raise SuiteError(f"{source}:1:1: expected `key: value` pairs at the top, such as `suite: my-suite`")
    return reader.build(root), Marks(source, reader.marks), reader.problems


def parse_value(text: str, origin: str) -> Any:
    """Read a value given on the command line by the rules of suite files. origin: such as `--set seed=1`.

    Raises:
        SuiteError: it is not YAML; the message begins with the origin.
    """
    reader = _Reader(text, origin, placed=False)
    root = reader.compose()
    value = None if root is None else reader.build(root)
    if reader.problems:
        raise SuiteError(reader.problems[0])
    return value


class _Reader:
    """Reads one YAML text. placed: whether problems are at a line and column of the source."""

    def __init__(self, text: str, source: str, placed: bool) -> None:
        self.source = source
        self.placed = placed
        self.marks: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[str] = []
        self._text = text
        self._left = MAX_NODES

    def compose(self) -> yaml.Node | None:
        """Parse the text into nodes; None where there is nothing in it."""
        try:
            self._loader = Loader(self._text)
            node: yaml.Node | None = self._loader.get_single_node()
            return node
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = self._place(mark) if mark else self.source
            hint = "; indent with spaces, not tabs" if "\\t" in (error.problem or "") else ""
            raise SuiteError(f"{place}: not valid YAML: {error.problem}{hint}") from None
        except yaml.YAMLError as error:
            raise SuiteError(f"{self.source}: not valid YAML: {str(error).splitlines()[0]}") from None
        except RecursionError:
            raise SuiteError(f"{self.source}: nested too deeply for a suite") from None

    def build(self, root: yaml.Node) -> Any:
        """Make plain values of the nodes, noting each value's place and refusing duplicate keys."""
        try:
            return self._value(root, ())
        except RecursionError:
            raise SuiteError(
                f"{self.source}: nested too deeply for a suite, or an anchor contains itself"
            ) from None

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._left -= 1
        if self._left < 0:
            raise SuiteError(f"{self.source}: more than {MAX_NODES:,} values after anchors are expanded")
        self._mark(path, node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, place)) for place, child in enumerate(node.value)]
        try:
            return self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._note(node, path, str(error).splitlines()[0])
            return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(key_node, (), "a key must be plain text")
                continue
            key = str(key_node.value)
            if key in mapping:
                self._note(key_node, (*path, key), "given twice")
            mapping[key] = self._value(value_node, (*path, key))
            self._mark((*path, key), key_node)
        return mapping

    def _mark(self, path: KeyPath, node: yaml.Node) -> None:
        self.marks[path] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def _note(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        about = f"{dotted(path)}: " if path else ""
        self.problems.append(f"{self._place(node.start_mark)}: {about}{message}")

    def _place(self, mark: Any) -> str:  # Any: PyYAML's Mark, which its stubs name only here
        return f"{self.source}:{mark.line + 1}:{mark.column + 1}" if self.placed else self.source
