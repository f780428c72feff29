"""The ways to resize: equal to the libraries they are named after, or to a direct computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.transform import resize

from restorebench.toolbox.resampling import RESAMPLINGS

WAYS = {way.name: way.resize for way in RESAMPLINGS}
SIZES = [(40, 50), (31, 77), (64, 96), (150, 120)]


@pytest.fixture(scope="module")
def image():
    return data.astronaut()[100:164, 200:296] / 255


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", WAYS)
def test_the_result_has_the_size_asked_for_and_stays_in_range(image, name, size):
    before = image.copy()
    found = WAYS[name](image, *size)
    assert found.shape == (*size, 3)
    assert found.dtype == np.float64
    assert found.min() >= 0 and found.max() <= 1
    assert (image == before).all()
    assert abs(found.mean() - image.mean()) < 0.02


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("name", "method"),
    [("Pillow bicubic", "BICUBIC"), ("Pillow bilinear", "BILINEAR"), ("Pillow Lanczos", "LANCZOS")],
)
def test_pillow_resizes_files_of_8_bits(image, name, method, size):
    stored = Image.fromarray(np.rint(image * 255).astype(np.uint8))
    expected = np.asarray(stored.resize(size[::-1], Image.Resampling[method]))
    assert (np.rint(WAYS[name](image, *size) * 255) == expected).all()


def _linear(image, length):
    """Interpolate along the first axis between the centres of pixels, without smoothing."""
    places = ((np.arange(length) + 0.5) * len(image) / length - 0.5).clip(0, len(image) - 1)
    below = np.floor(places).astype(int)
    share = (places - below)[:, None, None]
    return image[below] * (1 - share) + image[np.minimum(below + 1, len(image) - 1)] * share


@pytest.mark.parametrize("size", SIZES)
def test_bilinear_without_smoothing_interpolates_between_four_pixels(image, size):
    expected = _linear(_linear(image, size[0]).transpose(1, 0, 2), size[1]).transpose(1, 0, 2)
    assert WAYS["PyTorch bilinear"](image, *size) == pytest.approx(expected, abs=1e-12)
    assert np.abs(WAYS["OpenCV bilinear"](image, *size) * 255 - expected * 255).max() <= 0.5 + 1e-9


def test_area_averages_what_a_pixel_covers(image):
    halved = image.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    assert WAYS["area, not rounded"](image, 32, 48) == pytest.approx(halved, abs=1e-12)
    fine = image.repeat(5, axis=0).repeat(5, axis=1)  # 320 x 480, which 40 x 60 divides
    covered = fine.reshape(40, 8, 60, 8, 3).mean(axis=(1, 3))
    assert WAYS["area, not rounded"](image, 40, 60) == pytest.approx(covered, abs=1e-12)


@pytest.mark.parametrize("size", SIZES)
def test_the_other_ways_equal_their_libraries(image, size):
    batch = torch.from_numpy(image).permute(2, 0, 1)[None]

    def interpolated(**keys):
        found = torch.nn.functional.interpolate(batch, size, **keys)
        return found[0].permute(1, 2, 0).numpy().clip(0, 1)

    assert WAYS["PyTorch bicubic"](image, *size) == pytest.approx(interpolated(mode="bicubic"), abs=1e-12)
    assert WAYS["OpenCV nearest"](image, *size) == pytest.approx(interpolated(mode="nearest"), abs=1e-12)
    smooth = interpolated(mode="bilinear", antialias=True)
    assert WAYS["antialiased bilinear, not rounded"](image, *size) == pytest.approx(smooth, abs=1e-5)
    smooth = interpolated(mode="bicubic", antialias=True)
    assert WAYS["antialiased bicubic, not rounded"](image, *size) == pytest.approx(smooth, abs=1e-5)
    assert WAYS["scikit-image"](image, *size) == pytest.approx(resize(image, size), abs=1e-12)
