"""The restorer as the host sees it."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from restorebench_airnet import checkpoint
from restorebench_airnet.contrast import MomentumContrast
from restorebench_airnet.network import AirNet
from restorebench_airnet.options import AirNetRestoration
from restorebench_airnet.published import files
from restorebench_airnet.restorers import AirNetRestorer

from restorebench import TEN, Batch, Detection, RestorebenchError, Runtime, cli, discover
from restorebench.testing import checks
from restorebench.toolbox import images
from restorebench.worker import restoring


@pytest.mark.parametrize("check", checks("restorer", "airnet"), ids=str)
def test_conformance(check):
    check()


@pytest.fixture
def restorer(tmp_path):
    """Build a restorer of options; its weights are random, and offsets differ from pixel to pixel."""

    def build(**options):
        torch.manual_seed(0)
        network = AirNet(checkpoint.TINY)
        for layer in network.R.modules():
            if hasattr(layer, "conv_offset_mask"):
                torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.1)
        torch.save(network.state_dict(), tmp_path / "net.pth")
        runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
        return AirNetRestorer(AirNetRestoration(weights=tmp_path / "net.pth", **options), runtime)

    return build


def batch(count=2, height=24, width=20):
    drawn = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Batch(drawn, (None,) * count, tuple(range(count)), (height, width))


def test_what_is_told_changes_nothing(restorer):
    given = batch()
    told = replace(given, told=(Detection(frozenset({"rainy"})),) * 2)
    network = restorer()
    assert torch.equal(network.restore(given), network.restore(told))


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_is_near_fp32_and_keeps_fine_steps(restorer, precision):
    given = batch()
    expected, found = restorer().restore(given), restorer(precision=precision).restore(given)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=0.02)
    assert not torch.equal(found, found.bfloat16().float()), "the last convolution is in float32"


def test_tiles_agree_with_the_whole_where_they_share_enough(restorer):
    card = discover().find("restorer", "airnet")
    network, given = restorer(), batch(1, 64, 80)
    whole = restoring.restore(network, card, given)
    tiled = restoring.restore(network, card, given, 48, 32)
    error = (tiled.images - whole.images).square().mean()
    assert float(-10 * error.log10()) > 50  # dB


def test_only_published_weights_are_files_to_get():
    assert [file.name for file in files(AirNetRestoration())] == ["airnet/All.pth"]
    assert list(files(AirNetRestoration(weights="untrained"))) == []
    assert list(files(AirNetRestoration(weights="x.pth"))) == []


def test_a_batch_that_does_not_divide_the_queue_is_refused():
    with pytest.raises(RestorebenchError, match="a batch of 3 does not divide the queue of 16"):
        MomentumContrast(8, 16)(*torch.rand(2, 3, 3, 8, 8))


def test_a_file_is_given_on_the_command_line(restorer, monkeypatch, capsys, tmp_path):
    restorer()
    monkeypatch.chdir(tmp_path)
    images.write_png(tmp_path / "a.png", np.random.default_rng(0).random((24, 31, 3), dtype=np.float32))

    def call(weights, out):
        arguments = ["restore", "a.png", "-m", "airnet", "-o", out, "--weights", weights, "--workers", "0"]
        monkeypatch.setattr(sys, "argv", ["restorebench", *arguments])
        try:
            cli.main()
        except SystemExit as stop:
            return stop.code or 0
        return 0

    assert call("net.pth", "out") == 0
    assert images.read_size(tmp_path / "out" / "a.png") == (24, 31)
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
    assert call("other.pth", "none") != 0
    assert "other.pth: this file holds another network" in capsys.readouterr().err
