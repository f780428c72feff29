"""The variants of PSNR and SSIM: equal to scripts of scikit-image and scipy, the same for every pair of images."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from restorebench_metrics import crops, variants
from skimage import data

from tests.scripts import SCRIPTS

RAREST = 1.85


@functools.cache
def photographs():
    """Return pairs of uint8 images: two parts of photographs and of their noisy, tinted, darker copies."""
    rng = np.random.default_rng(5)
    pairs = []
    for clean in (data.astronaut()[60:197, 150:303], data.coffee()[150:301, 200:330]):
        restored = clean * [0.8, 0.9, 0.75] + rng.normal(0, 7, clean.shape)
        pairs.append((np.rint(restored.clip(0, 255)).astype(np.uint8), np.ascontiguousarray(clean)))
    return pairs


def named(metric, restored, clean, rarest=RAREST):
    """Return the scores of a pair of images in [0, 1] by the names of conventions."""
    found = getattr(variants, metric)(restored, clean, rarest)
    return {", ".join((f"{metric}@{v.protocol}", *v.preparation, *v.formula)): value for v, value in found}


@pytest.fixture(scope="module")
def scores():
    """The mean scores of the photographs under every variant."""
    found = {}
    for metric in ("psnr", "ssim"):
        single = [named(metric, *(image.astype(np.float32) / 255 for image in pair)) for pair in photographs()]
        assert single[0].keys() == single[1].keys()
        found |= {name: np.mean([each[name] for each in single]) for name in single[0]}
    return found


VARIANTS = [name for name in SCRIPTS if "," in name and "pooled" not in name]


@pytest.mark.parametrize("name", VARIANTS)
def test_a_variant_equals_the_script_that_has_it(scores, name):
    assert scores[name] == pytest.approx(SCRIPTS[name](photographs()), abs=2e-6)


@pytest.mark.parametrize("metric", ["psnr", "ssim"])
def test_no_variant_comes_twice_or_departs_in_nothing_or_is_rarer_than_asked(metric):
    restored, clean = (image / 255 for image in photographs()[0])
    found = list(getattr(variants, metric)(restored, clean, RAREST))
    names = [(v.protocol, v.preparation, v.formula) for v, _ in found]
    assert len(names) == len(set(names)) > 300
    assert all(v.preparation + v.formula and 0 < v.rarity <= RAREST for v, _ in found)
    fewer = dict(getattr(variants, metric)(restored, clean, 1.0))
    assert fewer == {v: value for v, value in found if v.rarity <= 1}


def test_of_files_with_8_bits_no_step_towards_8_bits_changes_anything():
    found = named("psnr", *(image.astype(np.float32) / 255 for image in photographs()[0]))
    plain = found["psnr@rgb, mean over the PSNR of each channel"]
    for step in ("not rounded", "cut off to 8 bits", "upper 8 of 16 bits"):
        assert found[f"psnr@rgb, {step}, mean over the PSNR of each channel"] == plain


def test_16_bit_files_are_scored_as_they_are_as_rounded_and_as_cut_off():
    rng = np.random.default_rng(0)
    clean = rng.integers(0, 65536, (40, 50, 3)) / 65535
    restored = np.clip(clean + rng.normal(0, 0.01, clean.shape), 0, 1)
    restored = np.rint(restored * 65535) / 65535
    found = named("psnr", restored, clean)

    def decibels(convert):
        return -10 * np.log10(np.mean((convert(restored) - convert(clean)) ** 2))

    levels = {
        "not rounded": lambda image: image,
        "cut off to 8 bits": lambda image: np.floor(image * 255 + 1e-9) / 255,
        "upper 8 of 16 bits": lambda image: (np.rint(image * 65535).astype(np.uint16) >> 8) / 255,
    }
    for words, convert in levels.items():
        assert found[f"psnr@rgb, {words}"] == pytest.approx(decibels(convert), abs=1e-6), words


def test_grey_images_are_not_changed_by_reading_bgr_as_rgb():
    restored, clean = (np.repeat(image[..., :1], 3, axis=2) / 255 for image in photographs()[0])
    found = named("psnr", restored, clean)
    assert found["psnr@y, BGR read as RGB, 4 px border"] == pytest.approx(found["psnr@y, 4 px border"], abs=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (3, 40), (7, 7), (11, 10), (70, 6)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_small_flat_and_equal_images_give_numbers_or_nothing(size, level):
    flat = np.full((*size, 3), level, dtype=np.float32)
    other = flat.copy()
    other[0, 0] = 1 - level
    for pair in ((flat, flat), (other, flat), (flat, other)):
        for metric in ("psnr", "ssim"):
            with np.errstate(all="raise"):
                found = named(metric, *pair, rarest=1.6)
            assert not any(np.isnan(value) for value in found.values())
            assert metric == "psnr" or all(np.isfinite(value) for value in found.values())


def test_parts_with_the_same_pixels_are_listed_once_and_no_part_is_empty():
    for height, width in ((64, 128), (61, 50), (9, 8)):
        found = crops.crops(height, width, RAREST)
        kept = [(crop.rows.start, crop.rows.stop, crop.columns.start, crop.columns.stop) for crop in found]
        assert len(kept) == len(set(kept))
        assert kept[0] == (0, height, 0, width)
        assert all(top < bottom and left < right for top, bottom, left, right in kept)
    whole = crops.crops(64, 128, RAREST)[0]
    assert {step.words for step in whole.steps} >= {(), ("centred multiple of 16",)}
