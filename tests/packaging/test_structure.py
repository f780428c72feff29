"""The shape of the code: no import circles, and nothing too long to read at once."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TREES = (ROOT / "benchmark", ROOT / "plugins")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 50
REFERENCE = ("contract/cards.py", "contract/values.py")
"""Modules that are read as a reference, entry by entry, and may be longer."""


def modules(tree):
    """Map the dotted names of all modules below a tree to their files; `__init__` is its package."""
    packages = [path for path in tree.iterdir() if (path / "__init__.py").is_file()]
    files = [path for package in packages for path in package.rglob("*.py")]
    names = {}
    for path in files:
        parts = path.relative_to(tree).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported(source, known):
    """Name the known modules that a source imports anywhere, also under TYPE_CHECKING and inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in whole if name in known)
            if node.module in known and any(name not in known for name in whole):
                yield node.module


def circle(graph):
    """Return modules that import each other in a circle, or an empty list."""
    done, path = set(), []

    def visit(name):
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        path.append(name)
        for other in sorted(graph[name]):
            if found := visit(other):
                return found
        done.add(path.pop())
        return []

    return next((found for name in sorted(graph) if (found := visit(name))), [])


def test_no_modules_import_each_other_in_a_circle():
    """`restorebench` itself is left out as a target: all of the package may use its public names."""
    known = {name: path for tree in TREES for name, path in modules(tree).items()}
    graph = {
        name: {other for other in imported(path.read_text(), known) if other not in (name, "restorebench")}
        for name, path in known.items()
    }
    assert len(graph) > 200
    assert circle(graph) == []


@pytest.mark.parametrize(
    ("graph", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c"]),
        ({"a": {"b", "c"}, "b": {"c"}, "c": set()}, []),
    ],
)
def test_a_circle_is_found(graph, found):
    assert circle(graph) == found


def test_imports_under_type_checking_and_of_names_count():
    known = {"p", "p.a", "p.b"}
    source = "if TYPE_CHECKING:\n    from p.a import Thing\ndef f():\n    from p import b\n"
    assert set(imported(source, known)) == {"p.a", "p.b"}


def test_no_module_is_too_long():
    paths = [path for tree in TREES for path in tree.rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in paths}
    too_long = {name: count for name, count in lengths.items() if count > LONGEST_MODULE}
    assert {name: count for name, count in too_long.items() if not name.endswith(REFERENCE)} == {}


def test_no_function_is_too_long():
    too_long = {
        f"{path.relative_to(ROOT)}:{node.name}": length
        for tree in TREES
        for path in tree.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (length := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION
    }
    assert too_long == {}


def test_the_readme_of_the_host_lists_every_module():
    listed = set(re.findall(r"^\| `([a-z_/]+)` \|", (ROOT / "benchmark" / "README.md").read_text(), re.MULTILINE))
    host = ROOT / "benchmark" / "restorebench"
    there = {path.relative_to(host).with_suffix("").as_posix() for path in host.rglob("*.py")}
    there = {name for name in there if not Path(name).name.startswith("__")}
    assert there - listed == set()
    assert {name for name in listed if not name.endswith("/")} - there == set()
