"""Both operators of the deformable convolution give the same numbers, and each is used where it is faster."""

from __future__ import annotations

import pytest
import torch
from restorebench_airnet import deformable
from restorebench_airnet.deformable import by_gathering, by_torchvision


def drawn(count=2, channels=5, out=7, height=13, width=9, reach=3.0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype)

    offset_mask = reach * normal(count, 27, height, width)
    return normal(count, channels, height, width), offset_mask, normal(out, channels, 3, 3)


@pytest.mark.parametrize("reach", [0.0, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 8), (13, 9)])
def test_operators_agree_however_far_the_taps_look(reach, size):
    given = drawn(height=size[0], width=size[1], reach=reach)
    assert torch.allclose(by_gathering(*given), by_torchvision(*given), atol=1e-5)


def test_positions_on_the_border_agree():
    images, offset_mask, weight = drawn(reach=0)
    for shift in (-2.0, -1.0, 0.0, 1.0, 2.0, 12.0, 13.0, 14.0):
        offset_mask[:, :18] = shift
        ours, theirs = (operator(images, offset_mask, weight) for operator in (by_gathering, by_torchvision))
        assert torch.allclose(ours, theirs, atol=1e-5), shift


def test_chunks_and_layouts_change_nothing(monkeypatch):
    images, offset_mask, weight = drawn()
    expected = by_gathering(images, offset_mask, weight)
    assert expected.is_contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(deformable, "_CHUNK", 20)
    last = (each.contiguous(memory_format=torch.channels_last) for each in (images, offset_mask))
    assert torch.allclose(by_gathering(*last, weight), expected, atol=1e-6)


def test_gradients_agree():
    one, other = ([each.requires_grad_() for each in drawn(dtype=torch.float64)] for _ in range(2))
    by_gathering(*one).square().sum().backward()
    by_torchvision(*(each.float() for each in other)).square().sum().backward()
    for ours, theirs in zip(one, other, strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-3)


def test_nan_offsets_give_nan_and_no_crash():
    images, offset_mask, weight = drawn()
    offset_mask[0, 0, 4, 4] = float("nan")
    restored = by_gathering(images, offset_mask, weight)
    assert restored[0, :, 4, 4].isnan().all()
    assert restored.isnan().sum() == weight.shape[0]


@pytest.mark.parametrize("operator", [by_gathering, by_torchvision])
def test_places_keep_their_fractions_in_low_precision(operator):
    """In bf16 itself, position 300.5 would be 300."""
    images = torch.linspace(0, 1, 400)[None, None, None].expand(1, 1, 3, 400).contiguous()
    offset_mask = torch.zeros(1, 27, 3, 400)
    offset_mask[:, 1:18:2] = 0.5
    weight = torch.zeros(1, 1, 3, 3)
    weight[..., 1, 1] = 2  # the mask is a half
    given = (each.bfloat16() for each in (images, offset_mask, weight))
    seen = operator(*given)[0, 0, 1].float()
    assert seen.dtype == torch.float32
    assert float((seen[:-1] - (images[0, 0, 1, :-1] + images[0, 0, 1, 1:]) / 2).abs().max()) < 2**-8


def test_the_operator_is_chosen_by_device():
    assert deformable.operator_for(torch.device("cpu")) is by_gathering
    assert deformable.operator_for(torch.device("cuda:0")) is by_torchvision


@pytest.mark.gpu
def test_operators_agree_on_a_gpu():
    given = [each.cuda() for each in drawn(channels=64, out=64, height=33, width=47)]
    expected = by_gathering(*(each.cpu().double() for each in given))
    for operator in (by_gathering, by_torchvision):
        assert torch.allclose(operator(*given).cpu().double(), expected, atol=1e-2)
