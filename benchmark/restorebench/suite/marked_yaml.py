"""Read YAML as plain values, with the line and column of each, and report duplicate keys.

A file may be hostile. Its size is limited before it is parsed, the number and depth of its values while it is
parsed, and no tag can create anything but a plain value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from restorebench.contract.errors import SuiteError

MAX_BYTES = 1_000_000
MAX_NODES = 20_000  # also after aliases are expanded, which stops anchors that multiply each other
MAX_DEPTH = 40  # no suite nests deeper, and recursion in code that reads the values stays shallow
_MAX_BITS = 256  # no option needs more, and Python refuses to print integers of more than 4300 digits
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Marks:
    """The positions of a document's values: line and column, counted from 1, by key path.

    overridden: for each value that was replaced, where its new value came from, such as `--set seed=1`.
    """

    source: str
    positions: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)
    overridden: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath) -> str:
        """Return `file:line:column: ` of the deepest known part of a path, or the origin of its new value."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.overridden:
                return f"{self.overridden[path[:length]]}: "
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                line, column = self.positions[path[:length]]
                return f"{self.source}:{line}:{column}: "
        return f"{self.source}: "

    def at(self, path: KeyPath) -> str:
        """Return `file:line:column: key.path: `; for the value of a flag of its own, `--flag: `."""
        for length in range(len(path), -1, -1):
            flag = self.overridden.get(path[:length], "--set")
            if not flag.startswith("--set"):
                rest = f"{dotted(path[length:])}: " if length < len(path) and length > 1 else ""
                return f"{flag}: {rest}"
        return f"{self.where(path)}{dotted(path)}: "


def dotted(path: Sequence[str | int]) -> str:
    """Write a key path as `datasets[0].options.crop`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


class Loader(yaml.SafeLoader):
    """A YAML 1.2 loader: 1e-4 is a number, 1:30 and 010 are not, and only true and false are booleans.

    It stops as soon as a text has more than MAX_NODES keys and values, or nests deeper than MAX_DEPTH.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._composed = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # Any: an index, or a key
        """Compose one node, within the limits.

        Raises:
            OutOfBounds: the text has too many nodes, or nests too deeply.
        """
        self._composed += 1
        self._depth += 1
        if self._composed > MAX_NODES:
            raise OutOfBounds(f"more than {MAX_NODES:,} keys and values")
        if self._depth > MAX_DEPTH:
            raise OutOfBounds(f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class OutOfBounds(yaml.YAMLError):
    """A YAML text is larger or deeper than the limits."""


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


_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))
_MISTAGGED = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)
"""The errors that PyYAML raises for a value that does not fit its tag, such as `!!bool maybe` or `!!int ''`."""


def _has_surrogate(text: str) -> bool:
    """Return whether a text has half of a surrogate pair, which YAML's escapes can write but UTF-8 cannot."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def read(path: Path) -> str:
    """Read the text of a YAML file.

    Raises:
        SuiteError: the file is too large, is not UTF-8, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)  # do not ask for its size: devices and pipes report none
    except OSError as error:
        raise SuiteError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise SuiteError(f"{path}: larger than {MAX_BYTES:,} bytes; give a short YAML file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise SuiteError(f"{path}: is not UTF-8 text; give a YAML file") from None


def parse(text: str, source: str) -> tuple[dict[str, Any], Marks, list[str]]:
    """Read one YAML document that is a mapping. Returns its values, their positions and mistakes in it.

    Raises:
        SuiteError: the text is not YAML, is empty, is not a mapping, is too large or too deep, or its anchors
            expand to too many values.
    """
    reader = _Reader(text, source, with_positions=True)
    root = reader.compose()
    if root is None:
        raise SuiteError(f"{source}: is empty; a suite needs at least `suite:` and `datasets:`")
    if not isinstance(root, yaml.MappingNode):
        raise SuiteError(f"{source}:1:1: expected `key: value` pairs at the top, such as `suite: my-suite`")
    raw = reader.build(root)
    if raw is None:  # the whole document has a tag
        raise SuiteError(reader.problems[0])
    return raw, Marks(source, reader.positions), reader.problems


def parse_value(text: str, origin: str) -> Any:
    """Read a value given on the command line by the rules of suite files. origin: such as `--set seed=1`.

    Raises:
        SuiteError: the value is not YAML; the message begins with the origin.
    """
    reader = _Reader(text, origin, with_positions=False)
    root = reader.compose()
    value = None if root is None else reader.build(root)
    if reader.problems:
        raise SuiteError(reader.problems[0])
    return value


class _Reader:
    """A reader of one YAML text. with_positions: whether messages give the line and column of a problem."""

    def __init__(self, text: str, source: str, with_positions: bool) -> None:
        self.source = source
        self.with_positions = with_positions
        self.positions: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[str] = []
        self._text = text
        self._left = MAX_NODES

    def compose(self) -> yaml.Node | None:
        """Parse the text into nodes; None if it is empty."""
        try:
            self._loader = Loader(self._text)
            node: yaml.Node | None = self._loader.get_single_node()
            return node
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = self._where(mark) if mark else self.source
            hint = "; indent with spaces, not tabs" if "\\t" in (error.problem or "") else ""
            raise SuiteError(f"{where}: not valid YAML: {error.problem}{hint}") from None
        except OutOfBounds as error:
            raise SuiteError(f"{self.source}: {error}") from None
        except yaml.YAMLError as error:
            raise SuiteError(f"{self.source}: not valid YAML: {str(error).splitlines()[0]}") from None

    def build(self, root: yaml.Node) -> Any:
        """Turn nodes into plain values, record the position of each, and note duplicate keys as problems."""
        return self._value(root, ())

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._left -= 1
        if self._left < 0:
            raise SuiteError(f"{self.source}: more than {MAX_NODES:,} values after anchors are expanded")
        if len(path) > MAX_DEPTH:
            raise SuiteError(f"{self.source}: nested more than {MAX_DEPTH} deep, or an anchor contains itself")
        self._mark(path, node)
        if node.tag not in _TAGS:
            self._note(node, path, f"is tagged {node.tag!r:.60}; only plain values are read")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(child, (*path, index)) for index, child in enumerate(node.value)]
        try:
            value = self._loader.construct_object(node)
        except _MISTAGGED:
            self._note(node, path, f"{node.value!r:.60} is not a valid {node.tag.rpartition(':')[2]}")
            return None
        if isinstance(value, int) and value.bit_length() > _MAX_BITS:
            self._note(node, path, "is too large a number")
            return None
        if isinstance(value, str) and _has_surrogate(value):
            self._note(node, path, "holds half of a character (a surrogate), which no file can hold")
            return None
        return value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._note(key_node, (), "a key must be plain text")
                continue
            key = str(key_node.value)
            if _has_surrogate(key):
                self._note(key_node, (), "a key holds half of a character (a surrogate)")
                continue
            if key in mapping:
                self._note(key_node, (*path, key), "given twice")
            mapping[key] = self._value(value_node, (*path, key))
            self._mark((*path, key), key_node)
        return mapping

    def _mark(self, path: KeyPath, node: yaml.Node) -> None:
        self.positions[path] = (node.start_mark.line + 1, node.start_mark.column + 1)

    def _note(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        about = f"{dotted(path)}: " if path else ""
        self.problems.append(f"{self._where(node.start_mark)}: {about}{message}")

    def _where(self, mark: Any) -> str:  # Any: PyYAML's Mark
        return f"{self.source}:{mark.line + 1}:{mark.column + 1}" if self.with_positions else self.source
