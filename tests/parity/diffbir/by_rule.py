"""Networks with weights by rule, under the published names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from restorebench_diffbir import checkpoint, key_map
from restorebench_diffbir.networks import Parts, Sizes
from torch import Tensor, nn

from tests.parity import rule_weights

PREFIXES: dict[key_map.Part, str] = {
    "unet": "unet.",
    "control": "controlnet.",
    "vae": "vae.",
    "text": "clip.model.",
}
"""What the names of each part begin with in the manifests."""

_TINY = ((32, 64, 128, 128), (4, 8, 16, 16))
TINY = Sizes(*_TINY, text_width=64, text_heads=4, text_layers=3, vae_widths=(32, 64, 128, 128))
"""The miniature of the complete runs."""
TINY_UNET = Sizes(*_TINY, text_width=16)


def by_rule(names: Iterable[tuple[str, Iterable[int]]], prefix: str) -> dict[str, Tensor]:
    """Make a part's tensors of published names and shapes; the rule sees the whole names."""
    return {
        name.removeprefix(prefix): torch.from_numpy(rule_weights.weight(name, tuple(shape)))
        for name, shape in names
        if name.startswith(prefix)
    }


def part(kind: key_map.Part, manifest: dict[str, list[int]], given: Sizes) -> Any:
    """Build a part and fill it through the map of names."""
    state = by_rule(manifest.items(), PREFIXES[kind])
    return checkpoint.filled(kind, given, dict(key_map.mapped(kind, state, given.text_layers)))


def parts(manifest: dict[str, list[int]], given: Sizes) -> Parts:
    """Build all of stage 2."""
    return Parts(*(part(kind, manifest, given) for kind in PREFIXES))


def fill(network: nn.Module, prefix: str, gain: Callable[[Tensor], float] = lambda value: 1.0) -> nn.Module:
    """Fill a stage-1 network, whose names are the published ones; what it computes itself stays."""
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not name.endswith("attn_mask"):
                filling = torch.from_numpy(rule_weights.weight(prefix + name, tuple(value.shape)))
                value.copy_(filling * gain(value))
    return network.eval()
