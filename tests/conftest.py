"""Fixtures for the whole suite. Images are made in the tests; only large real data come from outside."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

import numpy
import pytest

from restorebench import cli
from restorebench.cli import console
from restorebench.contract.errors import RestorebenchError
from restorebench.schedule import costs
from restorebench.toolbox import remembered

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def observe(request, tmp_path):
    """Note what a fault really led to, for the table of `pytest -m faults`: `observe(outcome, line)`.

    outcome: such as `exit 2`, or the kind of error. line: what the user reads; of several the first is kept.
    The fixtures `call` and `run` note by themselves. The last note of a test is its row.
    """

    def note(outcome, line):
        first = next((each for each in str(line).splitlines() if each.strip()), "")
        first = (
            first.replace(str(tmp_path), "TMP").encode("unicode_escape").decode()
        )  # as the terminal can show it
        request.node.user_properties.append(("fault", [str(outcome), first]))

    return note


@pytest.fixture(autouse=True)
def _errors_of_faults(request, observe, monkeypatch):
    """Note the errors that the host raises in a test of a fault."""
    if request.node.get_closest_marker("faults") is None:
        return
    plain = RestorebenchError.__init__

    def noting(error, *given):
        plain(error, *given)
        observe(type(error).__name__, given[0] if given else "")

    monkeypatch.setattr(RestorebenchError, "__init__", noting)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and weights; tests that need it are skipped without it."""
    folder = Path(os.environ.get("RESTOREBENCH_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs real data: set RESTOREBENCH_SHARED (looked in {folder})")
    return folder


@pytest.fixture(autouse=True)
def same_draws():
    """Seed the global generators, so that a test draws the same numbers whichever tests ran before it."""
    random.seed(0)
    numpy.random.seed(0)
    if "torch" in sys.modules:  # no test that draws from torch imports it later
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def cache_apart(monkeypatch, tmp_path_factory):
    """Keep what tests measure and remember out of the user's own cache."""
    folder = tmp_path_factory.mktemp("cache")
    for module in (costs, remembered, console):
        monkeypatch.setattr(module, "cache_folder", lambda: folder)
    remembered._store.cache_clear()


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, observe):
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
        said = [line for line in written.err.splitlines() if not line.startswith("note: ")]
        observe(f"exit {code}", said[-1] if said else next(iter(written.out.splitlines()), ""))
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


def pytest_terminal_summary(terminalreporter, config):
    """Print what each fault led to, where the tests of faults were asked for."""
    chosen = config.getoption("markexpr")
    if "faults" not in chosen or "not faults" in chosen:
        return
    reports = [report for each in ("passed", "failed", "skipped") for report in terminalreporter.getreports(each)]
    terminalreporter.section("fault table")
    tests = [
        report for report in reports if isinstance(report, pytest.TestReport)
    ]  # not modules that skip themselves
    rows = [report for report in tests if report.when == "call" or report.outcome == "skipped"]
    for number, report in enumerate(sorted(rows, key=lambda report: report.nodeid), 1):
        notes = [value for name, value in report.user_properties if name == "fault"]
        outcome, line = notes[-1] if notes else ("nothing noted", "")
        case = report.nodeid.partition("::")[2].removeprefix("test_").replace("_", " ")
        verdict = "" if report.outcome == "passed" else f" ({report.outcome.upper()})"
        terminalreporter.write_line(f"{number:3}. {case}{verdict}")
        terminalreporter.write_line(f"     -> {outcome}: {line[:200]}")
    terminalreporter.write_line(f"{len(rows)} cases, {sum(r.outcome == 'skipped' for r in rows)} skipped")
