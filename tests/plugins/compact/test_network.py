"""The network of all-in-one-compact, and what is measured on the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from restorebench_compact import overview
from restorebench_compact.network import Compact, Sizes, openings
from restorebench_compact.whole import restore, view
from scipy.ndimage import grey_opening

TINY = Sizes((8, 8, 8, 8), middle=1, lead=16)


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((50, 70, 3)).astype(np.float32)


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Compact(TINY)


def test_an_untrained_network_returns_its_input(network, picture):
    restored, logits = restore(network, picture)
    assert restored.shape == picture.shape and logits.shape == (11,)
    assert np.abs(restored - picture).max() < 1e-6


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (16, 16), (17, 31)])
def test_any_size_is_restored(network, size):
    restored, _ = restore(network, np.full((*size, 3), 0.5, np.float32))
    assert restored.shape == (*size, 3) and np.isfinite(restored).all()


def test_openings_are_grey_openings_along_rows(picture):
    tensor = torch.from_numpy(picture.transpose(2, 0, 1))[None]
    for found, width in zip(openings(tensor), (7, 15), strict=True):
        expected = grey_opening(picture, size=(1, width, 1), mode="nearest")
        inner = slice(width, -width)  # borders are treated otherwise
        assert np.array_equal(found[0].permute(1, 2, 0).numpy()[:, inner], expected[:, inner])


def test_statistics_are_quantiles(picture):
    found = overview.statistics(picture)[: len(overview.QUANTILES)]
    expected = np.quantile(picture[..., 0], overview.QUANTILES)
    assert np.abs(found / 4 + 0.5 - expected).max() < 2e-3  # of 3,500 pixels, to a quarter of a grey level


def test_cells_hold_means_and_extremes():
    picture = np.random.default_rng(1).random((128, 192, 3)).astype(np.float32)
    cells = picture.reshape(64, 2, 64, 3, 3)
    found = overview.grid(picture) / 4 + 0.5
    assert np.allclose(found[:3], cells.mean(axis=(1, 3)).transpose(2, 0, 1), atol=1e-6)
    assert np.allclose(found[3], cells.min(axis=(1, 3, 4)), atol=1e-6)
    assert np.allclose(found[4], cells.max(axis=(1, 3, 4)), atol=1e-6)


def test_a_part_sees_its_position_in_the_whole(network, picture):
    """Features of the whole picture that a part samples are those that the whole samples there."""
    whole = view(np.tile(picture[:48, :64], (2, 2, 1)))
    layout, _ = network.overview(whole.statistics, whole.grid)
    from restorebench_compact.network import _cut

    everywhere = _cut(layout, whole.box, (6, 8))
    box = torch.tensor([[0.5, 0.0, 1.0, 0.5]])
    assert torch.allclose(_cut(layout, box, (3, 4)), everywhere[:, :, 3:, :4], atol=1e-6)
