"""Selection of the part of a guidance image for a training patch: the window with the most similar features."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench import MissingResource, RestorebenchError
from restorebench.toolbox import weights
from restorebench_textualdegrem import backbones, checkpoint, published

if TYPE_CHECKING:
    from restorebench import Image, Runtime

Features = Callable[[Tensor], Tensor]
"""(B, 3, H, W) in [0, 1] -> vectors (B, any), of which only the directions matter."""

_PATCH = 14  # px, of DINOv2
_STRIDES = 4  # strides per side of a window


def windows(image: Image, side: int) -> Image:
    """Cut (H, W, 3) into square windows that are a quarter of their side apart: (n, side, side, 3).

    Pixels beyond the last step are in no window.
    """
    stride = side // _STRIDES
    found = np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(0, 1))[::stride, ::stride]
    return np.ascontiguousarray(found.transpose(0, 1, 3, 4, 2).reshape(-1, side, side, 3))


def most_alike(features: Features, seen: Tensor, candidates: Tensor) -> Tensor:
    """Choose for each image (B, 3, s, s) the candidate (B, n, 3, s, s) with the greatest cosine: (B, 3, s, s)."""
    count, many = candidates.shape[:2]
    with torch.no_grad():
        own = F.normalize(features(seen), dim=-1)
        theirs = F.normalize(features(candidates.flatten(0, 1)), dim=-1).reshape(count, many, -1)
        best = torch.einsum("bc,bnc->bn", own, theirs).argmax(dim=1)
    return candidates[torch.arange(count, device=candidates.device), best]


def pixels(images: Tensor) -> Tensor:
    """Return small images minus their mean as features; this needs no files, but is not as published."""
    small = F.interpolate(images, size=(32, 32), mode="bilinear", align_corners=False, antialias=True)
    return (small - small.mean(dim=(1, 2, 3), keepdim=True)).flatten(1)


class Tokens:
    """Features by a DINOv2: its normalised patch tokens, one after the other."""

    def __init__(self, model: Any) -> None:
        self.model = model.requires_grad_(False).eval()

    def __call__(self, images: Tensor) -> Tensor:
        """Return features of images, resized to whole patches; the description names no other preparation."""
        if self.model.device != images.device:
            self.model.to(images.device)
        sides = [max(side // _PATCH, 1) * _PATCH for side in images.shape[-2:]]
        given = F.interpolate(images, size=sides, mode="bilinear", align_corners=False)
        out: Tensor = self.model(pixel_values=given).last_hidden_state[:, 1:]
        return out.flatten(1)


def features_of(choice: Literal["pixels", "published", "untrained"] | Path, runtime: Runtime) -> Features:
    """Return the function whose features compare windows.

    Raises:
        MissingResource: transformers is not installed, or the folder is missing.
        RestorebenchError: the folder is broken, or holds something else.
    """
    if choice == "pixels":
        return pixels
    backbones.require_extra("DINOv2", ["transformers"])
    from transformers import Dinov2Config, Dinov2Model

    if choice == "untrained":
        tiny = Dinov2Config(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=_PATCH
        )
        return Tokens(checkpoint.untrained(lambda: Dinov2Model(tiny)))
    folder = choice if isinstance(choice, Path) else weights.fetch_folder(published.DINO_FILES, runtime)
    if not (folder / "config.json").is_file():
        raise MissingResource(
            f"{folder}: no config.json; put DINOv2 ViT-B/14 there, in transformers' layout: {published.DINO}, or "
            "set `alike: published`"
        )
    model = backbones.network(Dinov2Model, folder)
    if (found := model.config.patch_size) != _PATCH:
        raise RestorebenchError(f"{folder}: patches of {found} px, not of {_PATCH}; take DINOv2 ViT-B/14")
    return Tokens(model)
