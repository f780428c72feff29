"""LPIPS 0.1 (Zhang et al., CVPR 2018), by the authors' `lpips` package."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import lpips

from restorebench import MissingResource
from restorebench_metrics.backbones import unavailable

if TYPE_CHECKING:
    from torch import Tensor

    from restorebench import Runtime, ScoringProtocol


def build(net: str) -> Any:
    """Build LPIPS on `alex`, `vgg` or `squeeze` with the backbone in torch.hub's cache; download nothing.

    Raises:
        MissingResource: the backbone is not in the cache.
    """
    if reason := unavailable(net):
        raise MissingResource(reason)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="torchvision")  # the package says `pretrained=True`
        return lpips.LPIPS(net=net, version="0.1", verbose=False).requires_grad_(False)


def distance(model: Any, restored: Tensor, clean: Tensor) -> Tensor:
    """Return the (B,) float64 LPIPS of (B, 3, H, W) float32 images in [0, 1]; the model wants [-1, 1]."""
    distances: Tensor = model(2 * restored - 1, 2 * clean - 1)  # (B, 1, 1, 1)
    return distances.flatten().double()


def load(options: None, runtime: Runtime, protocol: ScoringProtocol) -> Any:
    """Return the metric on the backbone that the protocol's options name."""
    model = build(protocol.options["net"]).to(runtime.device)
    return lambda restored, clean, map=None: distance(model, restored, clean)
