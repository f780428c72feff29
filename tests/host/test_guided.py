"""The fuzzer that coverage guides runs, and finds nothing in the first moments; `guided.py` says how to go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.parametrize("target", ["image", "suite", "weights"])
def test_nothing_but_a_refusal_comes_of_odd_bytes(target, tmp_path):
    pytest.importorskip("atheris", reason="needs atheris: pip install atheris")
    command = [sys.executable, Path(__file__).with_name("guided.py"), target, "-runs=300"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 300 runs" in done.stderr
