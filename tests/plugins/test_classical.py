"""The restorers of the classical plugin: identity, the yardstick, and one method per task."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from restorebench_classical import fit as fitting
from restorebench_classical import measure, restorebench_restorers
from restorebench_classical.fit import CROP_PX
from restorebench_classical.methods import METHODS, plan
from restorebench_classical.noise import estimate_sigma
from restorebench_classical.restorers import Classical
from restorebench_classical.uncompleted import fill
from restorebench_classical.yardsticks import GlobalAffine, Identity
from restorebench_datasets import synthetic
from restorebench_datasets.options import Synthetic

from restorebench import TEN_NAMES, Batch, DataRequest, Detection, RestorebenchError, Training, synthesisers
from restorebench.contract.catalog import discover
from restorebench.toolbox import photographs
from restorebench.toolbox.holes import white_mask
from restorebench.toolbox.images import quantise, read, write_png
from restorebench.toolbox.synthesis import centre_crop, degrade, psnr


def batch(degraded, told=None, clean=None):
    count = len(degraded)
    return Batch(degraded, told or (None,) * count, tuple(range(count)), degraded.shape[-2:], clean=clean)


def told(*labels):
    return Detection(frozenset(labels), dict.fromkeys(labels, 1.0))


def picture(height, width, seed=0):
    return np.random.default_rng(seed).uniform(size=(height, width, 3)).astype(np.float32)


def test_cards_import_neither_torch_nor_numpy():
    code = "import sys, restorebench_classical; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_methods_fitted_to_our_own_synthesis_say_so():
    training = {card.name: card.training for card in restorebench_restorers()}
    assert training["classical"] is Training.SAME_SYNTHESIS
    assert training["identity"] is training["global-affine"] is Training.UNTRAINED


def test_identity_returns_an_equal_copy():
    degraded = torch.rand(2, 3, 5, 7)
    restored = Identity().restore(batch(degraded))
    assert torch.equal(restored, degraded)
    assert restored.data_ptr() != degraded.data_ptr()


def test_yardstick_recovers_an_affine_tone_change():
    clean = torch.rand(2, 3, 16, 12)
    slope = torch.tensor([0.5, 0.25, 0.75]).view(3, 1, 1)
    restored = GlobalAffine().restore(batch(clean * slope + 0.1, clean=clean))
    assert torch.allclose(restored, clean, atol=1e-6)  # float32 rounding of the degraded image, amplified by 4


def test_yardstick_of_a_constant_channel_is_the_clean_mean():
    clean = torch.rand(1, 3, 8, 8)
    restored = GlobalAffine().restore(batch(torch.zeros(1, 3, 8, 8), clean=clean))
    assert torch.allclose(restored, clean.mean((2, 3), keepdim=True).expand_as(clean))


def test_yardstick_without_ground_truth_is_refused():
    with pytest.raises(RestorebenchError, match="paired"):
        GlobalAffine().restore(batch(torch.rand(1, 3, 4, 4)))


@pytest.mark.parametrize("detection", [None, Detection(frozenset()), told("sepia")])
def test_classical_told_nothing_it_knows_returns_the_input(detection):
    degraded = torch.rand(1, 3, 9, 9)
    assert torch.equal(Classical().restore(batch(degraded, (detection,))), degraded)


def test_labels_choose_the_method_of_each_image():
    marks = {"noisy": lambda image: image * 0, "hazy": lambda image: image * 0 + 1}
    degraded = torch.full((3, 3, 4, 4), 0.5)
    restored = Classical(marks).restore(batch(degraded, (told("noisy"), told("hazy"), None)))
    assert restored.mean((1, 2, 3)).tolist() == [0.0, 1.0, 0.5]


def test_mixtures_are_undone_last_stage_first():
    everything = ("uncompleted", "jpeg-compressed", "noisy", "low-light", "motion-blurry", "raindrop", "hazy")
    assert plan(TEN_NAMES)[:7] == everything
    assert plan(TEN_NAMES)[-1] == "shadowed"
    assert plan(["hazy", "noisy"]) == ("noisy", "hazy")


@pytest.mark.parametrize("task", TEN_NAMES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (17, 23), (40, 33)])
def test_any_size_and_flat_images_give_valid_pixels(task, size):
    flats = [np.full((*size, 3), level, np.float32) for level in (0.0, 0.5, 1.0)]
    for image in [*flats, picture(*size)]:
        before = image.copy()
        restored = METHODS[task](image)
        assert restored.shape == image.shape
        assert restored.dtype == np.float32
        assert np.isfinite(restored).all()
        assert np.array_equal(image, before)


def test_restored_batch_keeps_shape_dtype_and_range_and_leaves_its_input():
    degraded = torch.rand(2, 3, 17, 23)
    before = degraded.clone()
    restored = Classical().restore(batch(degraded, (told("noisy", "hazy"), told("rainy"))))
    assert restored.shape == degraded.shape
    assert restored.dtype == degraded.dtype
    assert 0 <= restored.min() <= restored.max() <= 1
    assert torch.equal(degraded, before)


def test_an_image_is_restored_alike_alone_and_in_a_batch():
    degraded = torch.rand(2, 3, 24, 24)
    both = Classical().restore(batch(degraded, (told("noisy"), told("snowy"))))
    alone = Classical().restore(batch(degraded[1:], (told("snowy"),)))
    assert torch.equal(both[1:], alone)


@pytest.mark.parametrize("sigma", [15, 35, 50])
def test_noise_level_is_estimated_within_ten_percent(sigma):
    noise = np.random.default_rng(0).normal(0, sigma / 255, (96, 96, 3))
    assert estimate_sigma((0.5 + noise).astype(np.float32)) == pytest.approx(sigma / 255, rel=0.1)


def test_holes_in_a_linear_ramp_are_filled_exactly():
    rows, columns = np.mgrid[:32, :32] / 80
    clean = np.stack([rows + columns, rows, columns], axis=2).astype(np.float32)  # harmonic
    degraded = clean.copy()
    degraded[10:20, 8:25] = 1
    assert np.abs(fill(degraded) - clean).max() < 1e-3  # the solver stops at a relative residual of 1e-4


def test_white_specks_are_not_holes():
    image = np.full((16, 16, 3), 0.5, np.float32)
    image[3, 3] = image[8, 2:14] = 1
    assert not white_mask(image).any()


def test_photographs_are_degraded_as_the_datasets_show_them(tmp_path):
    clean = quantise(picture(40, 33))
    write_png(tmp_path / "one.png", clean)
    request = DataRequest("noisy", 0, {}, discover().find)
    shown = synthetic.load(Synthetic(clean=tmp_path, severities=3), request)[0].degraded
    assert np.array_equal(degrade(synthesisers()["noisy"], clean, "noisy", 3), shown)


@pytest.mark.parametrize(
    "arguments", [["/nowhere"], ["embedded", "--severity", "9"], ["embedded", "--limit", "0"]]
)
def test_measure_answers_bad_arguments_with_one_line(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        measure.main(arguments)
    assert arguments[-1] in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments", [["/nowhere"], ["embedded", "--photographs", "0"], ["embedded", "--workers", "0"]]
)
def test_fit_answers_bad_arguments_with_one_line(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        fitting.main(arguments)
    assert arguments[-2:][0] in capsys.readouterr().err.splitlines()[-1]


@pytest.fixture(scope="module")
def makers():
    return synthesisers()


@pytest.mark.parametrize("task", TEN_NAMES)
def test_mean_gain_over_the_embedded_photographs_is_positive_for_nine_of_ten(task, makers):
    gains = []
    for path in photographs.listed("embedded"):  # all six, 8-bit in and out, severity 3: as the quickstart scores
        clean = read(path)
        degraded, target = (centre_crop(x, CROP_PX) for x in (degrade(makers[task], clean, task, 3), clean))
        gains.append(psnr(quantise(METHODS[task](degraded)), target) - psnr(degraded, target))
    assert np.mean(gains) > 0.2 or task == "raindrop"  # for which the input is returned
    assert np.mean(gains) >= 0
