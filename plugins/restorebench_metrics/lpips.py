"""LPIPS 0.1 (Zhang et al., CVPR 2018), by the authors' `lpips` package."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import lpips
import torch

from restorebench import MissingResource
from restorebench.toolbox import weights
from restorebench_metrics.backbones import BACKBONES, checkpoints, require_genuine, unavailable

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Runtime, ScoringProtocol


def build(net: str) -> Any:
    """Build LPIPS on `alex`, `vgg` or `squeeze` with the backbone in torch.hub's cache; nothing is downloaded.

    Raises:
        MissingResource: the backbone is not in the cache.
        RestorebenchError: its file is broken, or holds other weights.
    """
    if reason := unavailable(net):
        raise MissingResource(reason)
    path = checkpoints() / BACKBONES[net].file
    state = weights.read(path)
    require_genuine(path)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", module="torchvision")  # the package says `pretrained=False`
        # torchvision itself would unpickle any object in its cached file, and so might run code.
        model = lpips.LPIPS(net=net, version="0.1", verbose=False, pnet_rand=True).requires_grad_(False)
    layers = {name: "features." + name.partition(".")[2] for name in model.net.state_dict()}  # slice2.3.bias
    found = {ours: state[theirs] for ours, theirs in layers.items() if theirs in state}
    weights.load(model.net, found, path, f"expected: torchvision's {BACKBONES[net].title}")
    return model


def distance(model: Any, restored: Tensor, clean: Tensor) -> Tensor:
    """Return the (B,) float64 LPIPS of (B, 3, H, W) float32 images in [0, 1]; the model expects [-1, 1]."""
    distances: Tensor = model(2 * restored - 1, 2 * clean - 1)  # (B, 1, 1, 1)
    return distances.flatten().double()


def load(options: None, runtime: Runtime, protocol: ScoringProtocol) -> Any:
    """Return the metric with the backbone that the protocol's options name."""
    model = build(protocol.options["net"]).to(runtime.device)
    return lambda restored, clean, map=None: distance(model, restored, clean)
