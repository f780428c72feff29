"""The networks of the fixtures, with weights by rule."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from restorebench_textualdegrem.nafnet import GuidedNAFNet, NAFNetSizes
from restorebench_textualdegrem.promptir import GuidedPromptIR, PromptedSizes
from restorebench_textualdegrem.restormer import GuidedRestormer, Sizes
from torch import Tensor, nn

from tests.parity import rule_weights
from tests.parity.rule_weights import uniform

_ONE = (1, 1, 1, 1)


def _small(**others: Any) -> Sizes:
    return Sizes(**{"width": 16, "blocks": _ONE, "refinement": 1, "pyramid": _ONE, "fusion": _ONE, **others})


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "restormer_small_withbias": lambda: GuidedRestormer(_small()),
    "restormer_small_biasfree": lambda: GuidedRestormer(_small(centred=False)),
    "restormer_small_dual_pixel": lambda: GuidedRestormer(_small(dual_pixel=True)),
    "restormer_full_withbias": GuidedRestormer,
    "restormer_full_biasfree": lambda: GuidedRestormer(Sizes(centred=False)),
    "nafnet_small": lambda: GuidedNAFNet(NAFNetSizes(8, (1, 1, 1, 2), 1, _ONE, (*_ONE, 1), (*_ONE, 1))),
    "nafnet_full": GuidedNAFNet,
    "promptir_small": lambda: GuidedPromptIR(PromptedSizes(_small(width=48))),
    "promptir_full": GuidedPromptIR,
}
"""Networks by the name of their manifest."""


def fill(network: nn.Module, rename: Callable[[str], str] = str) -> None:
    """Give a network its weights by rule; the scalars of fusion, which the rule makes small, up to one."""
    rule_weights.fill(network, rename)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith(".alpha"):
                value.copy_(torch.from_numpy(uniform(name, value.shape) * np.float32(2) - np.float32(1)))


def drawn(name: str, shape: Sequence[int], reach: float = 1.0) -> Tensor:
    """Return float32 in [-reach, reach), mapped there in float64."""
    return torch.from_numpy(((uniform(name, shape).astype(np.float64) * 2 - 1) * reach).astype(np.float32))


def digest(network: nn.Module) -> str:
    """Return sixteen digits of the sha256 of all names and values."""
    total = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        total.update(name.encode() + value.numpy().tobytes())
    return total.hexdigest()[:16]
