"""The files of LPIPS's ImageNet backbones. The plan uses this module, so it does not import torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Backbone:
    """A torchvision model with ImageNet weights. file: its name in torchvision's cache."""

    title: str
    file: str
    fetch: str

    @property
    def url(self) -> str:
        """The address from which torchvision downloads it."""
        return f"https://download.pytorch.org/models/{self.file}"


BACKBONES = {
    "alex": Backbone("AlexNet", "alexnet-owt-7be5be79.pth", "alexnet"),
    "vgg": Backbone("VGG-16", "vgg16-397923af.pth", "vgg16"),
    "squeeze": Backbone("SqueezeNet 1.1", "squeezenet1_1-b8a52dc0.pth", "squeezenet1_1"),
}


def checkpoints() -> Path:
    """Return the folder in which torch.hub keeps downloads, by the rule of `torch.hub.get_dir`."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("TORCH_HOME", cache / "torch"))
    return home.expanduser() / "hub" / "checkpoints"


def unavailable(net: str) -> str:
    """Return why LPIPS on this backbone cannot run, and how to fix that; "" if it can run."""
    backbone = BACKBONES[net]
    folder = checkpoints()
    if (folder / backbone.file).is_file():
        return ""
    command = f"import torchvision; torchvision.models.{backbone.fetch}(weights='IMAGENET1K_V1')"
    return (
        f"{backbone.title} backbone not in {folder}: put {backbone.file} there ({backbone.url}), "
        f'or run: python -c "{command}"'
    )
