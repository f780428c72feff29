"""Comparisons of the layout, one deformable convolution, the parts of a block, and whole restorations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from restorebench_airnet import deformable
from restorebench_airnet.network import AirNet, ImageNetwork

from tests.parity.airnet import by_rule
from tests.parity.comparing import Arrays, Fixtures, Row, distance, hold_to_manifest, tensor
from tests.parity.rule_weights import fill, uniform

OPERATORS = {"torchvision": deformable.by_torchvision, "gathering": deformable.by_gathering}


def layout(fixtures: Fixtures) -> Iterator[Row]:
    """Compare names, shapes, the number of parameters, and a digest of all weights by rule."""
    facts = fixtures.facts("facts")["info"]
    network = by_rule.whole()
    hold_to_manifest(network, fixtures.facts("state_dict_manifest"), "AirNet")
    count = sum(each.numel() for each in network.parameters())
    learned = sum(each.numel() for each in network.parameters() if each.requires_grad)
    yield Row(f"layout of {len(network.state_dict())} tensors", len(network.state_dict()) - facts["n_keys"], 0.0)
    yield Row("number of parameters", abs(count - facts["params_total"]), 0.0)
    yield Row("number of trained parameters", abs(learned - facts["params_trainable"]), 0.0)
    same = by_rule.digest(network) == facts["weights_digest_b5"]
    yield Row("digest of weights by rule", 0.0 if same else math.inf, 0.0)


def deformable_convolution(fixtures: Fixtures) -> Iterator[Row]:
    """Compare one convolution with offsets of up to 6 px, with both operators."""
    stored = fixtures.arrays("dcn_unit")
    images, guide = tensor(stored["x"]), tensor(stored["inter"])
    layer = deformable.Deformable(8)
    layer.weight = torch.nn.Parameter(torch.empty(12, 8, 3, 3))
    fill(layer, lambda name: f"dcn_unit.{name}")
    offset_mask = layer.conv_offset_mask(torch.cat((images, guide), dim=1))
    yield Row("dcn_unit offset_mask_raw", distance(offset_mask, stored["offset_mask_raw"]), 1e-5)
    for name, operator in OPERATORS.items():
        deformable.use(layer, operator)
        yield Row(f"dcn_unit out, {name}", distance(layer(images, guide), stored["out"]), 1e-5)


def block(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the parts of the first block, the block, and the first group."""
    stored = fixtures.arrays("block_unit")
    images, guide = tensor(stored["x"]), tensor(stored["inter"])
    group: Any = by_rule.whole().R.body[0]  # Any: a module list does not declare its items
    first = group.body[0]
    ours = {
        "affine1": first.dgm1.sft(images, guide),
        "deform1": first.dgm1.dcn(images, guide),
        "mod1": first.dgm1(images, guide),
        "block": first(images, guide),
        "group0": group(images, guide),
    }
    for name, value in ours.items():
        yield Row(f"block_unit {name}", distance(value, stored[name]), 1e-5)


def restorations(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare an image restored by the whole network and by the part that restoring needs, and its encoding."""
    stored = fixtures.arrays(name)
    shape = stored["restored"].shape
    drawn = uniform(f"airnet/eval/{name.removeprefix('eval_')}/x", shape)
    images = tensor(stored.get("x", drawn))
    network = by_rule.whole()
    yield from _encoding(name, network, images, stored)
    for title, operator in OPERATORS.items():
        deformable.use(network, operator)
        yield Row(f"{name} restored, whole, {title}", distance(network.restore(images), stored["restored"]), 1e-4)
    part: ImageNetwork = by_rule.for_images(network)
    ours = part(images.contiguous(memory_format=torch.channels_last))
    yield Row(f"{name} restored", distance(ours, stored["restored"]), 1e-4)


def _encoding(name: str, network: AirNet, images: torch.Tensor, stored: Arrays) -> Iterator[Row]:
    encoding = network.encode(images)
    ours = {"fea": encoding.pooled, "mlp_out": encoding.embedding, "inter_ch0_7": encoding.guide[:, :8]}
    for key, value in ours.items():
        if key in stored:
            yield Row(f"{name} {key}", distance(value, stored[key]), 1e-5)
