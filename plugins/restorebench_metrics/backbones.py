"""The files of LPIPS's ImageNet backbones. The plan uses this module, so it does not import torch."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from restorebench import RestorebenchError


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


def require_genuine(path: Path) -> None:
    """Raise RestorebenchError unless a file has the digest of which its name holds the first digits.

    A method may write into torch.hub's cache, and the scores of all rows would follow.
    """
    told = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(told):
        raise RestorebenchError(
            f"{path}: its sha256 begins with {found[:8]}, not {told}; remove it, and fetch it again"
        )


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
