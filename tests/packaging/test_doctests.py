"""The examples in docstrings work as they are printed."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import restorebench

HERE = Path(restorebench.__file__).parent
MODULES = sorted(
    ".".join(("restorebench", *path.relative_to(HERE).with_suffix("").parts))
    for path in HERE.rglob("*.py")
    if "\n    >>> " in path.read_text()
)


def test_there_are_examples():
    assert "restorebench.tables.tidy" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_work(name):
    module = importlib.import_module(name)
    names = {"pd": importlib.import_module("pandas"), "np": importlib.import_module("numpy")}
    found = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
