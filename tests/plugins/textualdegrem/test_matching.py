"""Matching and transfer, against a loop over tiles and in cases whose answer is known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from restorebench_textualdegrem.guidance import padded
from restorebench_textualdegrem.matching import match
from restorebench_textualdegrem.pyramid import FeaturePyramid
from restorebench_textualdegrem.transfer import transfer

SCRIPT = Path(__file__).parents[3] / "benchmark" / "docs" / "performance" / "plain_textual.py"


@pytest.fixture(scope="session")
def plain_transfer():
    """Return the loop over tiles that the batched form is measured against."""
    found = importlib.util.spec_from_file_location("plain_textual", SCRIPT)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module.plain_transfer


def drawn(batch, tiles, guidance, levels=4, seed=0):
    """Draw deepest features of a degraded image of so many tiles, and all levels of a guidance of so many."""
    generator = torch.Generator().manual_seed(seed)

    def normal(channels, sides, scale=1):
        return torch.randn(batch, channels, *(8 * scale * side for side in sides), generator=generator)

    shallow = [normal(2, guidance, 2**level) for level in range(levels - 1, 0, -1)]
    return normal(6, tiles), [*shallow, normal(6, guidance)]


@pytest.mark.parametrize(
    ("tiles", "guidance"),
    [
        ((1, 1), (1, 1)),
        ((2, 2), (2, 2)),
        ((2, 3), (2, 4)),
        ((1, 2), (1, 1)),
        ((3, 2), (1, 1)),
        ((1, 1), (3, 2)),
        ((5, 1), (2, 3)),
    ],
)
@pytest.mark.parametrize("levels", [4, 5])
def test_all_tiles_at_once_give_what_a_loop_gives(plain_transfer, tiles, guidance, levels):
    degraded, levels = drawn(2, tiles, guidance, levels)
    ours = transfer(match(degraded, levels[-1]), levels, tiles)
    for one, other in zip(ours, plain_transfer(degraded, levels), strict=True):
        assert torch.allclose(one, other, atol=2e-6)


def test_samples_do_not_see_each_other():
    degraded, levels = drawn(3, (2, 1), (1, 2))
    together = transfer(match(degraded, levels[-1]), levels, (2, 1))
    for number in range(3):
        one = slice(number, number + 1)
        own = [level[one] for level in levels]
        alone = transfer(match(degraded[one], own[-1]), own, (2, 1))
        for ours, theirs in zip(together, alone, strict=True):
            assert torch.allclose(ours[one], theirs, atol=1e-6)


def test_an_image_finds_itself():
    _, levels = drawn(1, (1, 1), (3, 3))
    found = match(levels[-1], levels[-1])
    rows = found.corner[..., 0, None, None] + 1 + found.fine_index // (found.block[1] - 2)
    inner = rows.reshape(3, 3, 8, 8)[1, 1]
    assert torch.equal(inner, torch.arange(8, 16)[:, None].expand(8, 8))
    assert torch.allclose(found.fine_score.reshape(3, 3, 8, 8)[1, 1], torch.ones(8, 8))
    brought = transfer(found, levels, (3, 3))
    for ours, given in zip(brought, levels, strict=True):
        scale = ours.shape[-1] // 24
        middle = slice(8 * scale, 16 * scale)
        assert torch.allclose(ours[..., middle, middle], given[..., middle, middle], atol=1e-5)


def test_what_is_brought_follows_the_guidance_in_training():
    degraded, levels = drawn(1, (1, 1), (1, 1))
    for level in levels:
        level.requires_grad_()
    for brought in transfer(match(degraded, levels[-1]), levels, (1, 1)):
        brought.square().sum().backward(retain_graph=True)
    assert all(float(level.grad.abs().max()) > 0 for level in levels)


def test_gradients_are_those_of_a_loop(plain_transfer):
    degraded, levels = drawn(1, (2, 1), (1, 2))
    one, other = (
        [degraded.clone().double().requires_grad_(), *(each.double().requires_grad_() for each in levels)]
        for _ in range(2)
    )
    brought = transfer(match(one[0], one[-1]), one[1:], (2, 1)), plain_transfer(other[0], other[1:])
    for found in brought:
        sum(level.square().sum() for level in found).backward()
    for ours, theirs in zip(one, other, strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_flat_features_give_no_nan(value):
    levels = [torch.full((1, 2, 8 * scale, 8 * scale), value) for scale in (8, 4, 2, 1)]
    for brought in transfer(match(levels[-1], levels[-1]), levels, (1, 1)):
        assert torch.allclose(brought, torch.full_like(brought, value))


def test_matching_is_in_float32():
    degraded, levels = drawn(1, (2, 2), (2, 2))
    half = match(degraded.bfloat16(), levels[-1].bfloat16())
    assert half.fine_score.dtype == torch.float32
    expected = match(degraded.bfloat16().float(), levels[-1].bfloat16().float())
    assert torch.equal(half.fine_index, expected.fine_index)


def test_levels_halve_and_double():
    pyramid = FeaturePyramid(3, 4, (1, 0, 1))
    found = pyramid(torch.rand(2, 3, 16, 24))
    assert [tuple(level.shape) for level in found] == [(2, 4, 16, 24), (2, 8, 8, 12), (2, 16, 4, 6)]
    assert pyramid.downscale == 4


def test_images_are_padded_to_the_right_and_below():
    image = padded(torch.ones(1, 3, 17, 64), 64)
    assert image.shape == (1, 3, 64, 64)
    assert float(image[:, :, :17].min()) == 1
    assert float(image[:, :, 17:].max()) == 0
