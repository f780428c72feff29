"""Whatever is imported is a dependency that is declared, not one that happens to come with another."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def imported(text):
    """Name the top-level modules that a Python source imports anywhere, relative imports aside."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def plain(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_import_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    declared = {plain(re.match(r"[\w.-]+", text)[0]) for text in [*project["dependencies"], *extras]}
    known = packages_distributions()
    modules = set()
    for folder in ("benchmark/restorebench", "plugins"):
        for path in (ROOT / folder).rglob("*.py"):
            modules |= imported(path.read_text())
    strangers = {name for name in modules - sys.stdlib_module_names if not name.startswith("restorebench")}
    assert "tifffile" in strangers  # or this test would not notice one
    assert {name for name in strangers if not {plain(d) for d in known.get(name, [name])} & declared} == set()
