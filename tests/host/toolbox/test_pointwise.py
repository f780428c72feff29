"""The fast convolution of 1 x 1 px gives what torch's own gives, and its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from restorebench.toolbox.pointwise import Pointwise


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 5, 1, 1), (2, 5, 9, 7), (17, 5, 4, 4)])
def test_it_is_the_convolution(threads, bias, shape):
    generator = torch.Generator().manual_seed(0)
    layer, plain = Pointwise(5, 3, bias), nn.Conv2d(5, 3, 1, bias=bias)
    plain.load_state_dict(layer.state_dict())
    results = []
    for each in (layer, plain):
        images = torch.rand(shape, generator=generator.manual_seed(1)).requires_grad_()
        found = each(images)
        found.square().sum().backward()
        results.append([found, images.grad, each.weight.grad])
    for ours, theirs in zip(*results, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5, rtol=1e-5)


def test_lower_precision_is_left_to_torch(threads):
    layer, images = Pointwise(4, 4), torch.rand(1, 4, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(images).dtype == torch.bfloat16
    assert layer.bfloat16()(images.bfloat16()).dtype == torch.bfloat16


def test_one_thread_takes_the_fast_way(monkeypatch):
    called = []
    fast = torch.mkldnn_convolution
    monkeypatch.setattr(torch, "mkldnn_convolution", lambda *given: called.append(1) or fast(*given))
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        Pointwise(4, 4)(torch.rand(1, 4, 6, 6))
    torch.set_num_threads(before)
    assert called == [1]
