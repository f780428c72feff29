"""Networks with weights by rule, like those that computed the arrays."""

from __future__ import annotations

import hashlib
import re

import torch
from restorebench_airnet.network import AirNet, ImageNetwork, Sizes
from torch import nn

from tests.parity import rule_weights

_GAINS = {
    r"conv_offset_mask\.weight$": 0.75,
    r"dcn\.weight$": 0.25,
    r"sft\.conv_(gamma|beta)\.2\.weight$": 0.25,
    r"^R\.body\.\d\.body\.\d\.conv2\.weight$": 0.25,
    r"^R\.body\.\d\.body\.5\.weight$": 0.5,
}
"""Factors of tensors by name; without them, fifty modulations in a row would be chaotic."""


def gain(name: str) -> float:
    """Return the factor that a tensor is multiplied by."""
    return next((value for pattern, value in _GAINS.items() if re.search(pattern, name)), 1.0)


def whole(queue: int = 1280) -> AirNet:
    """Return the whole network in full size."""
    network = AirNet(Sizes(queue=queue))
    rule_weights.fill(network, gain=gain)
    return network


def for_images(network: AirNet) -> ImageNetwork:
    """Return the part of a whole network that restores images, in the memory layout of the restorer."""
    part = ImageNetwork(Sizes()).eval()
    part.R.load_state_dict(network.R.state_dict())
    part.E_pre.load_state_dict(network.E.E.encoder_q.E_pre.state_dict())
    return part.to(memory_format=torch.channels_last)


def digest(network: nn.Module) -> str:
    """Return sixteen digits of the sha256 of all names and values."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(name.encode() + value.numpy().tobytes())
    return total.hexdigest()[:16]
