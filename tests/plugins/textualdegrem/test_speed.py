"""The script that measures runs, and its loop gives what all tiles at once give."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from restorebench_textualdegrem import checkpoint

SCRIPT = Path(__file__).parents[3] / "benchmark" / "docs" / "performance" / "textual.py"


@pytest.mark.slow
def test_the_measuring_script_runs():
    sizes = ["--side", "64", "--guidance", "40", "--large", "64", "--runs", "1", "--cards", "textual-nafnet"]
    command = [sys.executable, str(SCRIPT), "--smoke", "--threads", "1", *sizes]
    # children find what this process does
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines() if line.startswith("| textual-")]
    timed = [row for row in rows if len(row) == 8]
    assert len(timed) == 4, done.stdout
    assert len(rows) - len(timed) == 2, done.stdout
    assert all(float(row[6]) < 1e-4 for row in timed), done.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("build", [checkpoint.restormer, checkpoint.nafnet, checkpoint.promptir])
def test_a_gpu_restores_what_a_cpu_restores(build, dtype):
    network = build("untrained").requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    images = [torch.rand(2, 3, 40, size, generator=generator) for size in (72, 130)]
    expected = network(*images)
    network.cuda()
    if dtype is not torch.float32:
        network.lower(dtype)
    restored = network(*(image.cuda() for image in images)).cpu()
    assert torch.allclose(restored, expected, atol=1e-3 if dtype is torch.float32 else 0.03)
