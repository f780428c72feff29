"""Arrays of the published code, and the networks that computed them, with weights by rule."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from restorebench_daclip.nafnet import NAFNet, NAFNetConfig
from restorebench_daclip.unet import UNet, UNetConfig
from torch import nn

from tests.parity import comparing, rule_weights


def fill(network: nn.Module) -> None:
    """Give a network its weights by rule; tensors with two names get those of `clip.visual`."""
    rule_weights.fill(network, lambda name: re.sub(r"^visual\.", "clip.visual.", name))


class Fixtures(comparing.Fixtures):
    """A folder of arrays and manifests."""

    def manifest(self, name: str) -> dict[str, Any]:
        """Read the keys, shapes and sizes of a network."""
        return self.facts(f"manifest_{name}")

    def network(self, name: str, build: Callable[[dict[str, Any]], nn.Module]) -> Any:
        """Build a network, check its keys and shapes against the manifest, and fill it."""
        manifest = self.manifest(name)
        network = build(manifest["config"])
        comparing.hold_to_manifest(network, manifest["state_dict"], name)
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
