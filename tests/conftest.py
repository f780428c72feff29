"""Fixtures for the whole suite. Images are made in the tests; only large real data come from outside."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from restorebench import cli, costs

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights; tests that need it are skipped without it."""
    folder = Path(os.environ.get("RESTOREBENCH_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs real data: set RESTOREBENCH_SHARED (looked in {folder})")
    return folder


@pytest.fixture(autouse=True)
def costs_apart(monkeypatch, tmp_path_factory):
    """Keep what tests measure out of the costs that the user's own runs are planned by."""
    folder = tmp_path_factory.mktemp("costs")
    monkeypatch.setattr(costs, "cache_folder", lambda: folder)


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Run a command in tmp_path; returns (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)

    def carry_out(*arguments):
        monkeypatch.setattr(sys, "argv", ["restorebench", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        written = capsys.readouterr()
        return code, written.out, written.err

    return carry_out


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip GPU tests where there is no GPU, and say so."""
    gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
