"""Networks are built from files alone, and files of other things are refused in one line."""

from __future__ import annotations

import json

import pytest
import torch
from restorebench_airnet import checkpoint
from restorebench_airnet.folding import fold, unfold
from restorebench_airnet.network import AirNet, ImageNetwork, Sizes
from safetensors.torch import save_file

from restorebench import TEN, MissingResource, RestorebenchError, Runtime

SMALL = Sizes(width=8, groups=2, blocks=1, queue=24)


@pytest.fixture
def runtime(tmp_path):
    return Runtime("cpu", 1, tmp_path / "cache", {}, True, TEN, lambda kind, name: None)


@pytest.fixture
def whole():
    torch.manual_seed(0)
    network = AirNet(SMALL)
    for layer in network.R.modules():
        if hasattr(layer, "conv_offset_mask"):
            torch.nn.init.normal_(layer.conv_offset_mask.weight, std=0.1)
    return network.eval()


def test_what_restores_images_gives_what_the_whole_network_gives(tmp_path, runtime, whole):
    torch.save(whole.state_dict(), tmp_path / "All.pth")
    part = checkpoint.image_network(tmp_path / "All.pth", runtime)
    images = torch.rand(2, 3, 17, 14)
    with torch.no_grad():
        assert torch.allclose(part(images), whole.restore(images), atol=1e-6)


def test_what_never_reaches_an_image_is_left_out():
    part, whole = (sum(each.numel() for each in kind(Sizes()).parameters()) for kind in (ImageNetwork, AirNet))
    assert (part, whole) == (6_329_609, 8_930_313)


def test_a_file_without_what_restoring_does_not_need_will_do(tmp_path, runtime, whole):
    kept = {
        name: value
        for name, value in whole.state_dict().items()
        if name.startswith(("R.", "E.E.encoder_q.E_pre."))
    }
    torch.save(kept, tmp_path / "small.pth")
    assert checkpoint.image_network(tmp_path / "small.pth", runtime).R.head[0].weight.shape[0] == 8


@pytest.mark.parametrize("length", [16, 48])
def test_the_queue_has_the_length_of_the_file(tmp_path, whole, length):
    torch.save(AirNet(Sizes(8, 2, 1, length)).state_dict(), tmp_path / "net.pth")
    again = checkpoint.whole_network(tmp_path / "net.pth")
    assert again.E.E.queue.shape == (32, length)


COMPACT = [
    Sizes(8, 2, 2, 24, deformable="last"),
    Sizes(8, 1, 1, 24, shuffle=2),
    Sizes(8, 1, 2, 24, shuffle=4, scene=True),
    Sizes(8, 1, 2, 24, "last", 2, residual=True, scene=True),
]


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("sizes", COMPACT, ids=str)
def test_a_file_says_what_network_it_is_of(tmp_path, runtime, sizes, suffix):
    torch.manual_seed(0)
    network = AirNet(sizes).eval()
    for parameter in network.R.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # some are zero at first
    state, path = network.state_dict(), tmp_path / f"net{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state, "notes": sizes.notes()}, path)
    else:
        save_file(checkpoint.needed(state), path, {"notes": json.dumps(sizes.notes())})
    part = checkpoint.image_network(path, runtime)
    images = torch.rand(2, 3, 17, 14)
    with torch.no_grad():
        expected = network.restore(images)
        assert torch.allclose(part(images), expected, atol=1e-5)
    assert expected.shape == images.shape
    if suffix == ".pth":
        assert checkpoint.sizes_of(state, path) == sizes


@pytest.mark.parametrize("times", [1, 2, 4])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 8), (7, 2)])
def test_folding_of_any_size_is_undone(times, height, width):
    images = torch.rand(2, 3, height, width)
    folded = fold(images, times)
    assert folded.shape == (2, 3 * times**2, -(-height // times), -(-width // times))
    assert torch.equal(unfold(folded, times, height, width), images)


def test_what_is_repeated_beyond_the_border_reaches_no_other_place():
    """An image and the same with its last row and column repeated are one to a network that folds by four."""
    torch.manual_seed(0)
    network = ImageNetwork(Sizes(8, 1, 1, 24, shuffle=4)).eval()
    image = torch.rand(1, 3, 7, 6)
    longer = torch.nn.functional.pad(image, (0, 2, 0, 1), mode="replicate")
    with torch.no_grad():
        assert torch.equal(network(image), network(longer)[..., :7, :6])


def test_channels_that_no_folding_gives_are_refused(tmp_path, runtime, whole):
    state = dict(whole.state_dict()) | {"R.head.0.weight": torch.zeros(8, 6, 3, 3)}
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(RestorebenchError, match="this file holds another network"):
        checkpoint.image_network(tmp_path / "net.pth", runtime)


def other_architecture(path, state):
    torch.save(torch.nn.Conv2d(3, 64, 3).state_dict(), path)


def truncated(path, state):
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:5000])


def code(path, state):
    class Planted:
        def __reduce__(self):
            return print, ("this ran",)

    torch.save({**state, "R.tail.0.bias": Planted()}, path)


def a_page(path, state):
    path.write_text("<!DOCTYPE html><title>Quota exceeded</title>")


def a_tensor_too_few(path, state):
    del state["R.tail.0.bias"]
    torch.save(state, path)


def another_shape(path, state):
    state["R.tail.0.bias"] = torch.zeros(4)
    torch.save(state, path)


def no_features(path, state):
    torch.save({**state, "R.head.0.weight": torch.zeros(0, 3, 3, 3)}, path)


def a_tensor_too_many(path, state):
    state["R.extra"] = torch.zeros(4)
    torch.save(state, path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (other_architecture, r"this file holds another network \(bias, weight, \.\.\.\)"),
        (truncated, "truncated, or no checkpoint at all"),
        (code, "might run code; refused"),
        (a_page, "refused|no checkpoint at all"),
        (a_tensor_too_few, r"1 missing \(R\.tail\.0\.bias\)"),
        (another_shape, r"R\.tail\.0\.bias is \[4\], not \[3\]"),
        (no_features, "this file holds another network"),
        (a_tensor_too_many, r"1 unexpected \(R\.extra\)"),
    ],
)
@pytest.mark.parametrize("build", ["image", "whole"])
def test_a_wrong_file_is_refused_in_one_line(tmp_path, runtime, whole, capsys, build, spoil, message):
    path = tmp_path / "All.pth"
    spoil(path, dict(whole.state_dict()))
    with pytest.raises(RestorebenchError, match=message) as caught:
        if build == "image":
            checkpoint.image_network(path, runtime)
        else:
            checkpoint.whole_network(path)
    said = str(caught.value)
    assert str(path) in said
    assert "expected: a state dictionary of AirNet, such as All.pth" in said
    assert "\n" not in said
    assert "this ran" not in capsys.readouterr().out


@pytest.mark.parametrize("weights", ["all", "denoise", "derain", "dehaze"])
def test_published_weights_that_are_not_here_say_where_they_are(runtime, weights):
    with pytest.raises(
        MissingResource, match=rf"(?i)put https://github\.com/.*cache/weights/airnet/{weights}\.pth"
    ):
        checkpoint.image_network(weights, runtime)


def test_published_weights_are_found_where_they_were_put(tmp_path, runtime, whole):
    file = runtime.cache / "weights" / "airnet" / "Derain.pth"
    file.parent.mkdir(parents=True)
    torch.save(whole.state_dict(), file)
    assert isinstance(checkpoint.image_network("derain", runtime), ImageNetwork)


def test_untrained_networks_are_the_same_every_time_and_leave_the_seed_alone(runtime):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two = (checkpoint.image_network("untrained", runtime) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.R.head[0].weight, two.R.head[0].weight)
