"""LPIPS: the package's own numbers, and a clear word where the backbone is missing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import lpips
import pytest
import torch
import torchvision
from restorebench_metrics import protocols, restorebench_metrics
from restorebench_metrics.backbones import BACKBONES, checkpoints, unavailable
from restorebench_metrics.lpips import build, distance, load

from restorebench import MissingResource, RestorebenchError
from restorebench.contract.cards import resolve
from restorebench.toolbox.scoring import prepare

CARDS = {card.name: card for card in restorebench_metrics() if card.network}


@pytest.fixture
def backbone_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_distance_is_the_packages_on_its_own_scale(net):
    model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    restored, clean = torch.rand(2, 2, 3, 64, 48)
    before = restored.clone(), clean.clone()
    ours = distance(model, restored, clean)
    assert torch.equal(before[0], restored) and torch.equal(before[1], clean)
    assert ours.dtype == torch.float64
    assert ours.shape == (2,)
    packaged = model(restored, clean, normalize=True).flatten()  # its own scaling of [0, 1]
    assert ours.float().allclose(packaged, atol=1e-7)


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_distance_does_not_depend_on_the_batch_and_is_zero_for_equal_images():
    model = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    restored, clean = torch.rand(2, 3, 3, 64, 64)
    alone = torch.cat([distance(model, restored[i : i + 1], clean[i : i + 1]) for i in range(3)])
    assert distance(model, restored, clean).allclose(alone, atol=1e-6)
    assert distance(model, clean, clean).tolist() == [0, 0, 0]


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.parametrize("name", CARDS)
def test_the_minimum_size_of_the_card_is_enough_and_no_less_is(name):
    card = CARDS[name]
    model = lpips.LPIPS(net=card.protocols[0].options["net"], pnet_rand=True, verbose=False)
    image = torch.rand(1, 3, card.minimum_size, card.minimum_size)
    assert distance(model, image, 1 - image).isfinite().all()
    with pytest.raises(RuntimeError):
        distance(model, image[..., 1:, 1:], image[..., 1:, 1:])


@pytest.mark.parametrize("name", CARDS)
def test_a_missing_backbone_is_reported_with_the_file_and_the_folder(name, backbone_folder):
    card = CARDS[name]
    backbone = BACKBONES[card.protocols[0].options["net"]]
    reason = resolve(card.unavailable)()
    assert str(backbone_folder) in reason
    assert backbone.file in reason
    assert backbone.url in reason
    assert "\n" not in reason


def test_a_missing_backbone_is_never_downloaded(backbone_folder):
    with pytest.raises(MissingResource, match="AlexNet backbone not in"):
        build("alex")


@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
def test_a_cached_backbone_makes_the_metric_available_and_is_the_one_used(backbone_folder, monkeypatch):
    torch.manual_seed(0)
    weights = torchvision.models.squeezenet1_1(weights=None).state_dict()
    torch.save(weights, backbone_folder / BACKBONES["squeeze"].file)
    with pytest.raises(
        RestorebenchError, match=r"b8a52dc0\.pth: its sha256 begins with \w+, not b8a52dc0; remove"
    ):
        build("squeeze")  # random weights are not the published ones
    monkeypatch.setattr("restorebench_metrics.lpips.require_genuine", lambda path: None)
    assert unavailable("squeeze") == ""
    protocol = protocols.lpips("squeeze")[0]
    metric = load(None, SimpleNamespace(device="cpu"), protocol)
    restored, clean = (prepare(image, protocol, network=True) for image in torch.rand(2, 2, 3, 40, 40))
    packaged = lpips.LPIPS(net="squeeze", verbose=False)
    expected = packaged(2 * restored - 1, 2 * clean - 1).flatten()
    assert metric(restored, clean).float().allclose(expected, atol=1e-7)
    assert packaged.net.slice1[0].weight.equal(weights["features.0.weight"])


def test_the_cache_folder_is_the_one_of_torch_hub(monkeypatch, tmp_path):
    # torch takes an empty variable for the working folder; to look elsewhere would be to look beside it
    empty = [{"XDG_CACHE_HOME": ""}, {"TORCH_HOME": ""}]
    for variables in ({}, {"XDG_CACHE_HOME": str(tmp_path)}, {"TORCH_HOME": str(tmp_path / "home")}, *empty):
        for name in ("TORCH_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert checkpoints() == Path(torch.hub.get_dir()) / "checkpoints"


def test_file_names_and_addresses_are_torchvisions():
    weights = torchvision.models
    known = {
        "alex": weights.AlexNet_Weights.IMAGENET1K_V1,
        "vgg": weights.VGG16_Weights.IMAGENET1K_V1,
        "squeeze": weights.SqueezeNet1_1_Weights.IMAGENET1K_V1,
    }
    assert {net: backbone.url for net, backbone in BACKBONES.items()} == {
        net: weight.url for net, weight in known.items()
    }


def test_the_daclip_protocol_sees_unclipped_floats():
    _, daclip = protocols.lpips("alex")
    image = torch.tensor([-0.25, 0.3, 1.25]).expand(1, 3, 1, 3)
    assert prepare(image, daclip, network=True).equal(image)


@pytest.mark.weights
@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_the_linear_heads_of_the_wheel_are_the_shared_ones(net, shared):
    theirs = torch.load(shared / "weights" / "lpips_lin" / f"{net}.pth", map_location="cpu", weights_only=True)
    packaged = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    ours = torch.load(packaged, map_location="cpu", weights_only=True)
    assert ours.keys() == theirs.keys()
    assert all(ours[key].equal(theirs[key]) for key in ours)
