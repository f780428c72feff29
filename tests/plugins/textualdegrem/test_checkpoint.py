"""Networks are built from files alone, and files of other things are refused in one line."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from restorebench_textualdegrem import checkpoint
from restorebench_textualdegrem.nafnet import GuidedNAFNet, NAFNetSizes
from restorebench_textualdegrem.promptir import GuidedPromptIR, PromptedSizes, PromptSizes
from restorebench_textualdegrem.restormer import GuidedRestormer, Sizes
from restorebench_textualdegrem.words import CleanMapper, Mapper

from restorebench import MissingResource, RestorebenchError

ODD = Sizes(8, (1, 2, 1, 2), 3, (1, 2, 4, 8), (2, 1, 1, 3), (1, 2, 1, 1), centred=False)
NETWORKS = {
    "restormer": (checkpoint.restormer, lambda: GuidedRestormer(ODD)),
    "promptir": (
        checkpoint.promptir,
        lambda: GuidedPromptIR(PromptedSizes(ODD, PromptSizes((4, 8, 12), (6, 3, 2), 4, 8))),
    ),
    "nafnet": (
        checkpoint.nafnet,
        lambda: GuidedNAFNet(NAFNetSizes(4, (1, 2, 1, 3), 2, (2, 1, 1, 1), (1, 2, 1, 1, 3), (1, 2, 1, 1, 3))),
    ),
}


@pytest.fixture(params=NETWORKS)
def kind(request):
    return request.param


@pytest.mark.parametrize("wrapped", [True, False])
def test_sizes_are_read_off_the_file(tmp_path, kind, wrapped):
    build, make = NETWORKS[kind]
    made = checkpoint.untrained(make)
    state = made.state_dict()
    torch.save({"params": state} if wrapped else state, tmp_path / "net.pth")
    found = build(tmp_path / "net.pth")
    assert found.sizes == made.sizes
    images = torch.rand(1, 3, 20, 30), torch.rand(1, 3, 40, 10)
    with torch.no_grad():
        assert torch.equal(found(*images), made(*images))


def other_architecture(path, state):
    torch.save(torch.nn.Conv2d(3, 64, 3).state_dict(), path)


def truncated(path, state):
    torch.save(state, path)
    path.write_bytes(path.read_bytes()[:5000])


def without_guidance(path, state):
    torch.save({name: value for name, value in state.items() if not name.startswith("masa")}, path)


def a_tensor_too_few(path, state):
    del state["masa_enc.conv_L2.bias"]
    torch.save(state, path)


def another_shape(path, state):
    state["masa_enc.conv_L2.bias"] = torch.zeros(7)
    torch.save(state, path)


def a_number_that_is_none(path, state):
    state["masa_enc.conv_L2.bias"] = torch.full_like(state["masa_enc.conv_L2.bias"], torch.nan)
    torch.save(state, path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            other_architecture,
            r"another network \(bias, weight, \.\.\.\); expected: the state dictionary of a guided network",
        ),
        (truncated, "truncated, or no checkpoint at all"),
        (without_guidance, r"this network has no guidance \(no masa_enc\.conv_L1\.weight\)"),
        (a_tensor_too_few, r"1 missing \(masa_enc\.conv_L2\.bias\)"),
        (another_shape, r"masa_enc\.conv_L2\.bias is \[7\]"),
        (a_number_that_is_none, r"masa_enc\.conv_L2\.bias holds NaN"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path, kind, spoil, message):
    build, make = NETWORKS[kind]
    path = tmp_path / "net.pth"
    spoil(path, dict(make().state_dict()))
    with pytest.raises(RestorebenchError, match=message) as caught:
        build(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("kind", "other"), list(permutations(NETWORKS, 2)))
def test_a_file_of_another_backbone_names_the_restorer_for_it(tmp_path, kind, other):
    torch.save(NETWORKS[other][1]().state_dict(), tmp_path / "net.pth")
    with pytest.raises(RestorebenchError, match=f"they are for textual-{other}, not for textual-{kind}"):
        NETWORKS[kind][0](tmp_path / "net.pth")


def test_a_file_that_is_not_there_is_missing(tmp_path, kind):
    with pytest.raises(MissingResource, match=rf"no such file; expected: .* for textual-{kind}"):
        NETWORKS[kind][0](tmp_path / "net.pth")
    with pytest.raises(MissingResource, match="a folder; name the file in it"):
        NETWORKS[kind][0](tmp_path)


@pytest.mark.parametrize("load", [checkpoint.mapper, checkpoint.clean_mapper])
def test_a_mapper_that_is_not_there_or_none_says_what_makes_one(tmp_path, load):
    with pytest.raises(MissingResource, match=r"no such file; expected: .*restorebench_textualdegrem\.train"):
        load(tmp_path / "words.pth")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "words.pth")
    with pytest.raises(
        RestorebenchError, match=r"this is no mapper \(bias, weight, \.\.\.\); expected: a \w*Mapper's"
    ):
        load(tmp_path / "words.pth")


def test_a_dual_pixel_network_is_refused(tmp_path):
    network = GuidedRestormer(Sizes(8, (1,) * 4, 1, (1, 1, 2, 4), (1,) * 4, (1,) * 4, dual_pixel=True))
    assert network(torch.rand(1, 6, 9, 9), torch.rand(1, 6, 9, 9)).shape == (1, 3, 9, 9)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    with pytest.raises(RestorebenchError, match="for images of 6 channels"):
        checkpoint.restormer(tmp_path / "net.pth")


def test_untrained_networks_are_the_same_every_time_leave_the_seed_alone_and_see_guidance(kind):
    build, _ = NETWORKS[kind]
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    one, two = build("untrained"), build("untrained")
    assert torch.equal(torch.rand(1), expected)
    image, guidance = torch.rand(1, 3, 17, 23), torch.rand(1, 3, 30, 11)
    with torch.no_grad():
        assert torch.equal(one(image, guidance), two(image, guidance))
        assert float((one(image, guidance) - one(image, image)).abs().max()) > 1e-4


def test_both_mappers_come_from_their_files(tmp_path):
    words = Mapper(3, 6, 8, 5).state_dict()
    torch.save({**words, "a_attn2_to_k.weight": torch.ones(4, 5)}, tmp_path / "mapper.pth")
    torch.save(CleanMapper(3, 5, 8).state_dict(), tmp_path / "clean.pth")
    mapper, projections = checkpoint.mapper(tmp_path / "mapper.pth")
    assert list(projections) == ["a_attn2_to_k.weight"]
    assert mapper(torch.rand(2, 4, 6)).shape == (2, 3, 5)
    assert checkpoint.clean_mapper(tmp_path / "clean.pth")(torch.rand(2, 3, 5)).shape == (2, 3, 5)
    with pytest.raises(RestorebenchError, match=r"clean\.pth: this is a CleanMapper, because.*expected: a Mapper"):
        checkpoint.mapper(tmp_path / "clean.pth")
    with pytest.raises(RestorebenchError, match=r"mapper\.pth: this is a Mapper; expected: a CleanMapper"):
        checkpoint.clean_mapper(tmp_path / "mapper.pth")
