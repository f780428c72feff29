"""Networks are built from files alone, and refuse the files of others."""

from __future__ import annotations

import pytest
import torch
from restorebench_daclip import checkpoint
from restorebench_daclip.controller import Controller
from restorebench_daclip.nafnet import NAFNet, NAFNetConfig
from restorebench_daclip.unet import UNet, UNetConfig
from safetensors.torch import save_file

from restorebench import TEN, MissingResource, RestorebenchError, Runtime

UNETS = {
    "universal": UNetConfig(features=32, multipliers=(1, 1, 2, 1), context=64),
    "wild": UNetConfig(features=32, multipliers=(1, 1, 1, 1), context=96, degradation_context=False, scale=0.5),
    "single": UNetConfig(features=16, multipliers=(2, 4, 8, 16), context=None, degradation_context=False),
}


@pytest.fixture
def runtime(tmp_path):
    return Runtime("cpu", 1, tmp_path / "cache", {}, True, TEN, lambda kind, name: None)


def stored(network, path, wrap=lambda state: state):
    torch.save(wrap(network.state_dict()), path)
    return path


@pytest.mark.parametrize("name", UNETS)
def test_a_unet_is_rebuilt_from_its_file(tmp_path, runtime, name):
    original = UNet(UNETS[name])
    again = checkpoint.unet_from(stored(original, tmp_path / "net.pth"), runtime, contexts=name != "single")
    assert again.config == UNETS[name]
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in original.state_dict().items())


def test_a_nafnet_is_rebuilt_from_its_file(tmp_path):
    config = NAFNetConfig(width=8, encoder=(1, 2, 1), middle=2, decoder=(1, 1, 3))
    again = checkpoint.nafnet_from(stored(NAFNet(config), tmp_path / "net.pth"))
    assert again.config == config


def test_a_controller_is_rebuilt_from_the_published_layout(tmp_path, runtime):
    original = Controller.of(checkpoint.TINY_CONTROLLER)

    def published(state):
        return {"epoch": 3, "name": "x", "state_dict": {f"module.{key}": value for key, value in state.items()}}

    again = checkpoint.controller_from(stored(original, tmp_path / "net.pt", published), runtime)
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in original.state_dict().items())
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(original.eval().encode_image(images).degradation, again.encode_image(images).degradation)


def test_a_controller_needs_the_shared_tower_only_once(tmp_path, runtime):
    state = Controller.of(checkpoint.TINY_CONTROLLER).state_dict()
    once = {key: value.contiguous() for key, value in state.items() if not key.startswith("visual.")}
    save_file(once, tmp_path / "net.safetensors")
    again = checkpoint.controller_from(tmp_path / "net.safetensors", runtime)
    assert again.visual is again.clip.visual


def test_files_of_other_networks_are_refused_in_one_line(tmp_path, runtime):
    unet = stored(UNet(UNETS["universal"]), tmp_path / "unet.pth")
    single = stored(UNet(UNETS["single"]), tmp_path / "single.pth")
    controller = stored(Controller.of(checkpoint.TINY_CONTROLLER), tmp_path / "controller.pt")
    attempts = {
        "this file holds another network": lambda: checkpoint.controller_from(unet, runtime),
        r"no init_conv\.weight": lambda: checkpoint.unet_from(controller, runtime),
        "takes no contexts; use `ir-sde` instead of `daclip-irsde`": lambda: checkpoint.unet_from(single, runtime),
        "takes contexts; use `daclip-irsde` instead": lambda: checkpoint.unet_from(unet, runtime, contexts=False),
        r"no intro\.weight": lambda: checkpoint.nafnet_from(unet),
    }
    for message, attempt in attempts.items():
        with pytest.raises(RestorebenchError, match=message) as caught:
            attempt()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("init_conv.weight", (32,)),
        ("init_conv.weight", (0, 6, 7, 7)),
        ("init_conv.weight", (2, 6, 7, 7)),
        ("init_conv.weight", (32, 1, 7, 7)),
        ("downs.0.3.weight", (31, 32, 4, 4)),
        ("downs.3.3.weight", ()),
        ("mid_attn.fn.fn.transformer_blocks.0.attn2.to_v.weight", (64,)),
        ("clip.visual.conv1.weight", (3,)),
        ("clip.visual.conv1.weight", (32, 3, 16, 16)),
        ("clip.visual.conv1.weight", (64, 3, 16, 0)),
        ("clip.visual.proj", (2,)),
        ("clip.visual.positional_embedding", (1, 64)),
        ("clip.visual.positional_embedding", (16, 64)),
        ("clip.token_embedding.weight", (49408, 200)),
        ("intro.weight", (8,)),
        ("intro.weight", (2, 6, 3, 3)),
        ("intro.weight", (8, 7, 3, 3)),
        ("decoders.4.0.beta", (1,)),
    ],
)
def test_shapes_that_no_network_has_are_refused_in_one_line(tmp_path, runtime, name, shape):
    if name.startswith("clip."):
        original, build = Controller.of(checkpoint.TINY_CONTROLLER), checkpoint.controller_from
    elif name.startswith(("intro", "decoders")):
        original, build = NAFNet(checkpoint.TINY_NAFNET), lambda path, runtime: checkpoint.nafnet_from(path)
    else:
        original, build = UNet(UNETS["universal"]), checkpoint.unet_from
    state = {key: value for key, value in original.state_dict().items() if not key.startswith("visual.")}
    torch.save({**state, name: torch.zeros(shape)}, tmp_path / "net.pth")
    with pytest.raises(RestorebenchError, match=r"net\.pth: .* this file holds another network") as caught:
        build(tmp_path / "net.pth", runtime)
    assert "\n" not in str(caught.value)


def test_networks_without_levels_or_blocks_are_refused(tmp_path, runtime):
    unet, controller = UNet(UNETS["universal"]), Controller.of(checkpoint.TINY_CONTROLLER)
    for original, part, build in (
        (unet, "downs.", checkpoint.unet_from),
        (controller, "clip.transformer.", checkpoint.controller_from),
    ):
        state = {name: value for name, value in original.state_dict().items() if not name.startswith(part)}
        torch.save(state, tmp_path / "net.pth")
        with pytest.raises(RestorebenchError, match=r"no levels|without blocks"):
            build(tmp_path / "net.pth", runtime)


@pytest.mark.parametrize("other", [lambda value: value + 1, lambda value: value.half()])
def test_a_controller_whose_shared_tower_is_two_is_refused(tmp_path, runtime, other):
    state = dict(Controller.of(checkpoint.TINY_CONTROLLER).state_dict())
    torch.save({**state, "visual.proj": state["visual.proj"].clone()}, tmp_path / "net.pt")
    checkpoint.controller_from(tmp_path / "net.pt", runtime)
    torch.save({**state, "visual.proj": other(state["visual.proj"])}, tmp_path / "net.pt")
    with pytest.raises(RestorebenchError, match=r"visual\.proj and clip\.visual\.proj differ"):
        checkpoint.controller_from(tmp_path / "net.pt", runtime)


def test_a_file_with_a_tensor_too_few_is_refused(tmp_path, runtime):
    state = UNet(UNETS["universal"]).state_dict()
    del state["mid_block1.mlp.1.bias"]
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(RestorebenchError, match=r"1 missing \(mid_block1\.mlp\.1\.bias\)"):
        checkpoint.unet_from(tmp_path / "net.pth", runtime)


@pytest.mark.parametrize("weights", ["universal-ir", "universal-ir-mix", "wild-ir"])
def test_published_weights_that_are_not_here_say_where_they_are(runtime, weights):
    with pytest.raises(MissingResource, match=r"huggingface\.co/weblzw.*licence MIT.*put it at"):
        checkpoint.unet_from(weights, runtime)


def test_untrained_networks_are_the_same_every_time_and_leave_the_seed_alone(runtime):
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two = (checkpoint.unet_from("untrained", runtime) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(one.init_conv.weight, two.init_conv.weight)
