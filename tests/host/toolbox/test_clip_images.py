"""Images for CLIP are those of its own preprocessing, and thin ones stay cheap."""

from __future__ import annotations

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image as Pillow

from restorebench.toolbox.clip_images import MEAN, STD, THIN, for_clip


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tensor(pixels):
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("shape", [(40, 56), (301, 200), (31, 64 * 31 - 1), (224, 224), (1, 1)])
@pytest.mark.parametrize("crop", ["center", "whole"])
def test_pixels_are_those_of_open_clip(shape, crop):
    mode = {"center": "shortest", "whole": "squash"}[crop]
    transform = open_clip.image_transform(64, is_train=False, mean=MEAN, std=STD, resize_mode=mode)
    pixels = noise(*shape)
    assert torch.allclose(for_clip(tensor(pixels), 64, crop)[0], transform(Pillow.fromarray(pixels)), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 500), (500, 1), (3, 64 * 3), (1000, 2)])
def test_thin_images_are_cropped_as_they_are_resized(shape, monkeypatch):
    sizes = []
    resize = Pillow.Image.resize

    def watched(image, size, *given, **more):
        sizes.append(size)
        return resize(image, size, *given, **more)

    height, width = shape
    smooth = np.linspace(0, 255, max(shape)).astype(np.uint8).reshape(height if width < height else 1, -1, 1)
    pixels = np.ascontiguousarray(np.broadcast_to(smooth, (height, width, 3)))
    transform = open_clip.image_transform(64, is_train=False, mean=MEAN, std=STD)
    expected = transform(Pillow.fromarray(pixels))
    monkeypatch.setattr(Pillow.Image, "resize", watched)
    assert max(shape) >= THIN * min(shape)
    assert torch.allclose(for_clip(tensor(pixels), 64)[0], expected, atol=1.01 / 255 / min(STD))
    assert sizes == [(64, 64)]
