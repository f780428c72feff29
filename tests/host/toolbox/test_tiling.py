from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from restorebench.toolbox.tiling import blend, starts


def part(image, top, left, height, width):
    return image[..., top : top + height, left : left + width]


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "multiple"), [(100, 32, 8, 1), (96, 32, 16, 8), (33, 32, 0, 1)]
)
def test_tiles_cover_everything_and_share_at_least_the_overlap(length, tile, overlap, multiple):
    places = starts(length, tile, overlap, multiple)
    assert places[0] == 0
    assert places[-1] == length - tile
    assert all(later - earlier <= tile - overlap for earlier, later in pairwise(places))
    assert all(place % multiple == 0 for place in places)


def test_a_pointwise_restorer_is_not_changed_by_tiling():
    image = torch.rand(2, 3, 70, 91, generator=torch.Generator().manual_seed(0))
    tiled = blend(70, 91, 32, 8, 1, lambda *window: 1 - part(image, *window))
    assert torch.allclose(tiled, 1 - image, atol=1e-6)


def test_a_local_restorer_shows_no_seam_inside_the_overlap():
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))

    def smooth(tile):
        padded = torch.nn.functional.pad(tile, (2, 2, 2, 2), mode="reflect")
        return torch.nn.functional.avg_pool2d(padded, 5, stride=1)

    whole = smooth(image)
    tiled = blend(64, 96, 32, 16, 1, lambda *window: smooth(part(image, *window)))
    hard = whole.clone()
    for top in (0, 32):
        for left in (0, 32, 64):
            window = (..., slice(top, top + 32), slice(left, left + 32))
            hard[window] = smooth(image[window])
    assert (tiled - whole).abs().max() < 0.25 * (hard - whole).abs().max()


def test_an_overlap_as_large_as_the_tile_is_refused():
    with pytest.raises(ValueError, match="cannot overlap"):
        starts(100, 32, 32)
