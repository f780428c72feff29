"""What makes the networks fast changes nothing, and acts."""

from __future__ import annotations

import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from restorebench_daclip import checkpoint
from restorebench_daclip.options import Sampling, SingleTask
from restorebench_daclip.restorers import IRSDE, Refusion
from restorebench_daclip.sampling import Sampler, bind_unet
from restorebench_daclip.unet import UNet
from torch._dynamo.testing import CompileCounter

from restorebench import TEN, Batch, Runtime
from tests.parity.daclip.fixtures import fill


@pytest.fixture
def unet():
    made = UNet(checkpoint.TINY_UNET).requires_grad_(False)
    fill(made)  # at first attention adds nothing
    return made


@pytest.fixture
def counter():
    """Run graphs as they are, and count them."""
    torch._dynamo.reset()
    yield CompileCounter()
    torch._dynamo.reset()


def batch(side=32, count=1, device="cpu"):
    images = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    return Batch(images, (None,) * count, tuple(range(count)), (side, side))


def restored(unet, given, **options):
    """Restore under fixed contexts with the data head, whose states stay small."""
    sampler = Sampler(Sampling(prediction="data", **options), str(given.degraded.device))
    drawn = torch.randn(2, len(given.keys), 32, generator=torch.Generator().manual_seed(1))
    conditioning = unet.condition(*drawn.to(given.degraded.device))
    with torch.no_grad():
        return sampler(bind_unet(unet, given.degraded, sampler.times, conditioning), given)


def test_the_compiled_network_is_what_samplers_evaluate(unet, counter):
    expected = restored(unet, batch(), sampler="multistep-ode", steps=3)
    unet.compile(backend=counter)
    found = restored(unet, batch(), sampler="multistep-ode", steps=3)
    assert counter.frame_count == 1, "one graph for all evaluations"
    assert counter.op_count > 100, "and the layers are in it"
    assert torch.allclose(found, expected, atol=1e-6)


def test_sizes_that_are_padded_alike_share_a_graph(unet, counter):
    unet.compile(backend=counter)
    for side in (33, 40, 47, 48):
        restored(unet, batch(side), steps=1)
    assert counter.frame_count == 1


def test_predictions_of_a_compiled_network_outlive_the_next(unet):
    given = batch()
    one = torch.zeros_like(given.degraded)

    def reused(both, modulations, constants):
        """Write every result into the same place, as CUDA graphs do."""
        return one.copy_(both[:, :3])

    unet._through = reused
    unet.compile(backend="eager")
    evaluate = bind_unet(unet, given.degraded, (9.0,), unet.condition(torch.zeros(1, 32), torch.zeros(1, 32)))
    first = evaluate(torch.zeros_like(one), 0)
    kept = first.clone()
    evaluate(torch.ones_like(one), 0)
    assert torch.equal(first, kept)


@pytest.mark.parametrize("restorer", [IRSDE, Refusion])
def test_the_option_compiles(restorer, counter, monkeypatch, tmp_path):
    compile = torch.compile
    monkeypatch.setattr(torch, "compile", lambda work, **_: compile(work, backend=counter))
    for kind in (torch.nn.Module, UNet):
        original = kind.compile
        monkeypatch.setattr(kind, "compile", lambda self, original=original: original(self, backend=counter))
    chosen = SingleTask(weights="untrained", prediction="data", steps=2, compile=True)
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    assert torch.isfinite(restorer(chosen, runtime).restore(batch())).all()
    assert counter.frame_count == 1


@pytest.mark.parametrize("dtype", ["bf16", "fp16"])
def test_weights_cast_once_give_what_autocast_gives(unet, dtype):
    expected = restored(unet, batch(count=2), steps=2, precision=dtype)
    lowered = deepcopy(unet)
    lowered.lower({"bf16": torch.bfloat16, "fp16": torch.float16}[dtype])
    assert torch.equal(restored(lowered, batch(count=2), steps=2, precision=dtype), expected)


SMALL = ["--size", "64", "96", "--whole", "64", "64", "--tile", "48"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments", "rows"),
    [
        ("daclip.py", ["--side", "16", "--steps", "2", "--runs", "1"], 5),
        ("large_image.py", ["daclip-irsde", "--option", "steps=1", *SMALL], 4),
    ],
)
def test_the_measuring_scripts_run(script, arguments, rows):
    path = Path(__file__).parents[3] / "benchmark" / "docs" / "performance" / script
    command = [sys.executable, str(path), "--smoke", "--threads", "1", *arguments]
    # children find what this process does
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("| ") and any(map(str.isdigit, line))]
    assert len(table) == rows, done.stdout
    assert "failed" not in done.stdout


@pytest.mark.gpu
def test_compiled_bf16_batches_agree_with_fp32_on_a_gpu(unet):
    unet.to("cuda").to(memory_format=torch.channels_last)
    given = batch(count=4, device="cuda")
    expected = restored(unet, given, sampler="multistep-ode", steps=5).clamp(0, 1)
    unet.lower(torch.bfloat16)
    for mode in ("default", "reduce-overhead"):
        fast = deepcopy(unet)
        fast.compile(mode=mode)
        found = restored(fast, given, sampler="multistep-ode", steps=5, precision="bf16").clamp(0, 1)
        assert (found - expected).abs().max() < 0.05, mode  # bf16 has eight bits: 0.004 a rounding
