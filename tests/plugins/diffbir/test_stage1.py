"""Stage 1: networks against spandrel's, and the sizes around them."""

from __future__ import annotations

import pytest
import torch
from restorebench_diffbir import stage1
from restorebench_diffbir.rrdb import RRDBNet
from restorebench_diffbir.stage1 import Cleaner


def image(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_the_residual_dense_network_is_that_of_spandrel():
    pytest.importorskip("spandrel", reason="an independent implementation, of the extra [diffbir]")
    from spandrel import ModelLoader

    ours = RRDBNet(16, 2).eval()
    theirs = ModelLoader("cpu").load_from_state_dict(dict(ours.state_dict())).model.eval()
    given = image(20, 28)
    with torch.no_grad():
        assert torch.allclose(ours(given), theirs(given), atol=1e-6)


def test_the_published_swinir_is_recognised_by_spandrel():
    pytest.importorskip("spandrel", reason="an independent implementation, of the extra [diffbir]")
    from spandrel import ModelLoader

    ours = stage1.swinir(stage1.SwinIRSizes(12, (2, 2), (2, 2))).eval()
    found = ModelLoader("cpu").load_from_state_dict(
        {name: value.clone() for name, value in ours.state_dict().items()}
    )
    given = image(64, 128)
    with torch.no_grad():
        assert torch.allclose(ours(given), found.model.eval()(given), atol=1e-6)


class Watched(torch.nn.Module):
    """Gives its input back, four times as large if it says so, and remembers what it saw."""

    def __init__(self, scale=1):
        super().__init__()
        self.scale, self.seen = scale, []

    def forward(self, given):
        self.seen.append(given)
        return given.repeat_interleave(self.scale, dim=-1).repeat_interleave(self.scale, dim=-2)


def sizes_seen(network):
    return [tuple(each.shape[-2:]) for each in network.seen]


def test_swinir_sees_an_enlarged_image_padded_with_zeros():
    network = Watched()
    cleaned = Cleaner("swinir", network)(image(48, 64))
    assert sizes_seen(network) == [(512, 704)]
    assert network.seen[0][..., 682:].abs().max() == 0
    assert cleaned.shape[-2:] == (512, 682)


def test_scunet_sees_an_image_padded_by_its_edge():
    network = Watched()
    cleaned = Cleaner("scunet", network, least=64)(image(72, 100))
    (seen,) = network.seen
    assert seen.shape[-2:] == (128, 128)
    assert torch.equal(seen[..., :72, 100:], seen[..., :72, 99:100].expand(-1, -1, -1, 28))
    assert torch.equal(cleaned, image(72, 100))


@pytest.mark.parametrize(
    ("given", "expected"), [((48, 64), (512, 682)), ((600, 520), (600, 520)), ((400, 800), (512, 1024))]
)
def test_bsrnet_sees_the_image_itself_and_is_resized_after(given, expected):
    network = Watched(4)
    assert Cleaner("bsrnet", network)(image(*given)).shape[-2:] == expected
    assert sizes_seen(network) == [given]


@pytest.mark.parametrize(("kind", "scale"), [("swinir", 1), ("scunet", 1), ("bsrnet", 4)])
def test_larger_images_are_seen_in_windows(kind, scale):
    network = Watched(scale)
    given = image(100, 130)
    tiled = Cleaner(kind, network, 64, 64, 32)(given)
    assert {*sizes_seen(network)} == {(64, 64)}
    assert len(network.seen) == 3 * 4
    assert torch.allclose(tiled, Cleaner(kind, network, 64)(given), atol=1e-6)


def test_images_within_a_window_are_seen_whole():
    network = Watched()
    Cleaner("swinir", network, 64, 128, 64)(image(100, 128))
    assert sizes_seen(network) == [(128, 128)]
