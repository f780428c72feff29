"""Arrays of the published code, and the rule by which it was given weights and inputs to make them."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from restorebench_daclip.nafnet import NAFNet, NAFNetConfig
from restorebench_daclip.unet import UNet, UNetConfig

Arrays = Mapping[str, np.ndarray[Any, Any]]


# ---------------------------------------------------------------- weights and inputs by rule


def _words(name: str, count: int) -> np.ndarray[Any, Any]:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest(), "little")
    return np.random.PCG64(seed).random_raw(count) >> np.uint64(40)


def uniform(name: str, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return float32 in [0, 1) that depends on a name and a shape alone, 24 bits each."""
    return (_words(name, math.prod(shape)).astype(np.float32) * np.float32(2.0**-24)).reshape(shape)


def noise(name: str, shape: Sequence[int]) -> Tensor:
    """Return bell-shaped float32 noise of variance one: twelve uniforms less six."""
    words = _words(f"noise:{name}", 12 * math.prod(shape)).astype(np.float64)
    total = words.reshape(12, -1).sum(axis=0) * 2.0**-24 - 6
    return torch.from_numpy(total.astype(np.float32).reshape(shape))


def weight(name: str, shape: Sequence[int]) -> np.ndarray[Any, Any]:
    """Return the weight of a tensor by its name: spread by fan-in, around 1 for gains, small for offsets."""
    last = name.rpartition(".")[2]
    if last == "logit_scale":
        return np.full(shape, math.log(1 / 0.07), np.float32)
    if not shape:
        return np.ones(shape, np.float32)
    spread, centre = _spread(name, last, shape)
    return (uniform(name, shape) * np.float32(2) - np.float32(1)) * np.float32(spread) + np.float32(centre)


def _spread(name: str, last: str, shape: Sequence[int]) -> tuple[float, float]:
    named = {"prompt": (100.0, 0.0), "g": (0.1, 1.0), "beta": (0.5, 0.0), "gamma": (0.5, 0.0)}
    if last in named:
        return named[last]
    if len(shape) >= 2:
        gain = 0.3 if re.search(r"zero_modules\.\d+\.weight$", name) else 1.0
        return gain * math.sqrt(3 / math.prod(shape[1:])), 0.0
    return (0.1, 1.0) if last.endswith("weight") else (0.05, 0.0)


def fill(network: nn.Module) -> None:
    """Give a network its weights by rule; what has two names gets those of `clip.visual`."""
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            own = re.sub(r"^visual\.", "clip.visual.", name)
            tensor.copy_(torch.from_numpy(weight(own, tuple(tensor.shape))))
    network.eval()


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class Fixtures:
    """A folder of arrays and manifests."""

    folder: Path

    def arrays(self, name: str) -> Arrays:
        """Read one file of arrays."""
        with np.load(self.folder / f"{name}.npz") as stored:
            return dict(stored)

    def manifest(self, name: str) -> dict[str, Any]:
        """Read the keys, shapes and sizes of a network."""
        found: dict[str, Any] = json.loads((self.folder / f"manifest_{name}.json").read_text())
        return found

    def network(self, name: str, build: Callable[[dict[str, Any]], nn.Module]) -> Any:
        """Build a network, hold its keys and shapes to the manifest, and fill it."""
        manifest = self.manifest(name)
        network = build(manifest["config"])
        ours = {key: list(value.shape) for key, value in network.state_dict().items()}
        theirs = {key: value["shape"] for key, value in manifest["state_dict"].items()}
        if ours != theirs:
            odd = sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))
            raise ValueError(f"{name}: {len(odd)} keys differ from the manifest: {', '.join(odd[:4])}")
        fill(network)
        return network


def unet_of(config: dict[str, Any]) -> UNet:
    """Build a U-Net from the published configuration."""
    if "depth" in config:
        return UNet(UNetConfig(config["nf"], (2, 4, 8, 16), context=None, degradation_context=False))
    scale = config.get("scale", 1.0)
    multipliers = tuple(config["ch_mult"])
    return UNet(UNetConfig(config["nf"], multipliers, config["context_dim"], config["use_degra_context"], scale))


def nafnet_of(config: dict[str, Any]) -> NAFNet:
    """Build a NAFNet from the published configuration."""
    encoder, decoder = tuple(config["enc_blk_nums"]), tuple(config["dec_blk_nums"])
    return NAFNet(NAFNetConfig(config["width"], encoder, config["middle_blk_num"], decoder))


def tensor(array: np.ndarray[Any, Any]) -> Tensor:
    """Turn a stored array into a tensor."""
    return torch.from_numpy(np.ascontiguousarray(array))


def distance(ours: Tensor, theirs: np.ndarray[Any, Any], relative: float = 0.0) -> float:
    """Return the greatest absolute difference beyond what `relative` to the value allows."""
    stored = tensor(theirs)
    return float(((ours.detach() - stored).abs() - relative * stored.abs()).clamp(min=0).max())
