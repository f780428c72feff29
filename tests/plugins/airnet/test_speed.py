"""What makes the restorer fast acts, and the script that measures it runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from restorebench_airnet import checkpoint, deformable
from restorebench_airnet.network import ImageNetwork

SCRIPTS = Path(__file__).parents[3] / "benchmark" / "docs" / "performance"


def test_the_restorer_uses_the_faster_operator_of_its_device(monkeypatch):
    asked = []

    def counted(*given):
        asked.append(given)
        return original(*given)

    original = deformable.by_gathering
    monkeypatch.setattr(deformable, "by_gathering", counted)
    network = ImageNetwork(checkpoint.TINY).eval()
    network(torch.rand(1, 3, 8, 8))
    assert len(asked) == 2 * checkpoint.TINY.blocks
    deformable.use(network, deformable.by_torchvision)
    network(torch.rand(1, 3, 8, 8))
    assert len(asked) == 2 * checkpoint.TINY.blocks


@pytest.mark.slow
def test_the_measuring_script_runs():
    arguments = ["--side", "16", "--runs", "1"]
    command = [sys.executable, str(SCRIPTS / "airnet.py"), "--smoke", "--threads", "1", *arguments]
    # children find what this process does
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("| ") and any(map(str.isdigit, line))]
    assert len(table) == 5, done.stdout


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_gpu_restores_what_a_cpu_restores(dtype):
    torch.manual_seed(0)
    network = ImageNetwork(checkpoint.TINY).eval().requires_grad_(False)
    images = torch.rand(1, 3, 24, 20)
    expected = network(images)
    network.cuda().lower(dtype)
    assert torch.allclose(network(images.cuda()).cpu(), expected, atol=1e-3 if dtype is torch.float32 else 0.02)
