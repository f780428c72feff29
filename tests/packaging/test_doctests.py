"""The examples in docstrings, and those on the page about Python, work as they are printed."""

from __future__ import annotations

import doctest
import importlib
import inspect
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import restorebench
from restorebench.engine import choosing, in_process
from restorebench.toolbox import images
from restorebench.toolbox.photographs import listed

HERE = Path(restorebench.__file__).parent
PAGE = HERE.parents[1] / "benchmark" / "docs" / "python.md"
MODULES = sorted(
    ".".join(("restorebench", *path.relative_to(HERE).with_suffix("").parts))
    for path in HERE.rglob("*.py")
    if "\n    >>> " in path.read_text()
)
FUNCTIONS = sorted(
    name
    for name in (*restorebench.__all__, *restorebench._LATE)
    if inspect.isfunction(getattr(restorebench, name))
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with what the examples name: runs of a noisy task, and clean, degraded and restored photographs.

    Examples run in this process, as a worker of its own for each would take most of the time.
    """
    here = tmp_path_factory.mktemp("examples")
    before = Path.cwd()
    patch = pytest.MonkeyPatch()
    patch.setattr(choosing, "chosen", lambda settings: in_process.opened)
    os.chdir(here)
    try:
        noisy = {"tasks": "noisy", "restorers": ["identity", "airnet-compact"]}
        restorebench.run("quickstart", out="runs/noisy", **noisy)
        other = ["seed=1", "detectors=[]", "restorers=[identity]"]
        restorebench.run("quickstart", tasks="noisy", out="runs/another-seed", overrides=other)
        for number, path in enumerate(listed("embedded")):
            for name in ("photographs", "clean")[: 2 if number < 2 else 1]:
                (here / name).mkdir(exist_ok=True)
                images.write_png(here / name / f"{path.stem}.png", images.read(path)[:64, :96])
        for task in ("noisy", "hazy", "shadowed"):
            restorebench.degrade("photographs", f"degraded/{task}", task)
        restorebench.degrade("clean", "noisy", "noisy")
        restorebench.restore("noisy", "restored", "classical", tell="task", task="noisy")
        yield here
    finally:
        os.chdir(before)
        patch.undo()


@pytest.fixture
def names():
    """The names that the examples use without importing them."""
    return {"pd": pd, "np": np, "restorebench": restorebench}


def test_every_public_function_has_an_example():
    assert {"compare", "diff", "plot", "restore", "run", "score"} <= set(FUNCTIONS)
    assert [name for name in FUNCTIONS if ">>> " not in (getattr(restorebench, name).__doc__ or "")] == []


@pytest.mark.parametrize("name", MODULES)
def test_examples_work(name, folder, names, monkeypatch):
    monkeypatch.chdir(folder)
    module = importlib.import_module(name)
    found = doctest.testmod(module, extraglobs=names, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed


def test_the_examples_on_the_page_work(folder):
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.attempted and not found.failed
