"""Each recipe against its closed form, or against another implementation of it."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image as Pillow
from restorebench_degradations import fields, restorebench_degradations
from restorebench_degradations.light import read_variance
from restorebench_degradations.motion_blurry import LENGTHS_PX
from restorebench_degradations.uncompleted import AREAS
from scipy.ndimage import convolve

from restorebench import Degraded
from restorebench.contract.cards import resolve
from restorebench.toolbox import seeding
from restorebench.toolbox.filters import guided_filter

CARDS = {card.name: card for card in restorebench_degradations()}


def degrade(task: str, clean: np.ndarray, severity: int = 3, seed: int = 0, **options: object) -> Degraded:
    card = CARDS[task]
    degradation = resolve(card.load)(resolve(card.options)(**options), None)
    return degradation.degrade(clean, severity, seeding.generator(seed))


def waves(height: int = 120, width: int = 160) -> np.ndarray:
    """Return smooth coloured waves, (H, W, 3) float32 in [0.1, 0.9]."""
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(rows / 9 + shift) * np.cos(columns / 7 - shift) for shift in (0, 1, 2)]
    return (0.5 + 0.4 * np.stack(planes, -1)).astype(np.float32)


def grey(level: float = 0.5, side: int = 200) -> np.ndarray:
    return np.full((side, side, 3), level, dtype=np.float32)


# ---------------------------------------------------------------- shared maths


def test_splat_keeps_mass_and_centre_of_mass():
    rng = np.random.default_rng(0)
    rows, columns, weights = 2 + 10 * rng.random(50), 3 + 20 * rng.random(50), rng.random(50)
    canvas = fields.splat(rows, columns, weights, 16, 30)
    assert canvas.sum() == pytest.approx(weights.sum())
    assert (canvas.sum(1) @ np.arange(16)) == pytest.approx(weights @ rows)
    assert (canvas.sum(0) @ np.arange(30)) == pytest.approx(weights @ columns)


def test_splat_loses_only_what_falls_outside():
    canvas = fields.splat(np.array([-0.5, -5.0, 3.25]), np.zeros(3), np.ones(3), 4, 4)
    assert canvas.sum() == pytest.approx(0.5 + 0 + 0.75)


def test_guided_filter_of_itself_keeps_edges_and_of_a_flat_guide_is_a_box_mean():
    step = np.zeros((30, 30))
    step[:, 15:] = 1
    assert np.abs(guided_filter(step, step, 4, 1e-6) - step).max() < 1e-4
    noise = np.random.default_rng(0).random((30, 30))
    box = np.full((9, 9), 1 / 81)
    twice = convolve(convolve(noise, box, mode="reflect"), box, mode="reflect")
    assert np.allclose(guided_filter(np.zeros((30, 30)), noise, 4, 1e-3), twice)


def test_smooth_noise_of_an_enlarged_image_is_the_same_field():
    small = fields.smooth_noise(seeding.generator(0), 50, 70, 1 / 8)
    large = fields.smooth_noise(seeding.generator(0), 150, 210, 1 / 8)
    assert np.abs(large[1::3, 1::3] - small).max() < 0.02


# ---------------------------------------------------------------- one by one


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_blur_kernel_sums_to_one_is_centred_and_as_long_as_said(severity):
    degraded = degrade("motion-blurry", waves(480, 480), severity)
    kernel = degraded.maps["kernel"].astype(np.float64)
    offsets = np.arange(kernel.shape[0]) - kernel.shape[0] // 2
    assert kernel.shape[0] == kernel.shape[1] and kernel.shape[0] % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert abs(kernel.sum(1) @ offsets) < 1e-4 and abs(kernel.sum(0) @ offsets) < 1e-4
    assert degraded.parameters["length_px"] == LENGTHS_PX[severity - 1]


def test_straight_blur_is_as_wide_as_its_length():
    degraded = degrade("motion-blurry", waves(480, 480), length=21, bend=0, heading=0)
    kernel = degraded.maps["kernel"].astype(np.float64)
    offsets = np.arange(kernel.shape[1]) - kernel.shape[1] // 2
    assert kernel.sum(0) @ offsets**2 == pytest.approx(21**2 / 12, rel=0.02)  # the variance of a box


def test_blur_is_the_convolution_of_linear_light_with_the_returned_kernel():
    clean = waves()
    degraded = degrade("motion-blurry", clean, 5)
    kernel = degraded.maps["kernel"]
    expected = np.stack([convolve(clean[..., c] ** 2.2, kernel, mode="mirror") for c in range(3)], -1)
    assert np.abs(degraded.image - expected ** (1 / 2.2)).max() < 1e-4


def test_haze_equation_holds_with_the_returned_transmission():
    clean = waves()
    degraded = degrade("hazy", clean, 4)
    t, airlight = degraded.maps["transmission"][..., None], np.array(degraded.parameters["airlight"])
    assert np.abs(degraded.image - (clean * t + airlight * (1 - t))).max() < 1e-6
    assert t.max() <= 1 and t.min() >= np.exp(-degraded.parameters["beta"]) - 1e-6


def test_explicit_haze_is_used_as_given():
    parameters = degrade("hazy", waves(), 1, beta=1.7, airlight=0.9).parameters
    assert parameters == {"beta": 1.7, "airlight": [0.9] * 3}


@pytest.mark.parametrize(("severity", "quality"), [(1, 40), (2, 30), (3, 20), (4, 10), (5, 5)])
def test_jpeg_pixels_are_those_of_pillow(severity, quality):
    clean = waves()
    encoded = io.BytesIO()
    pixels = np.rint(clean * 255).astype(np.uint8)
    Pillow.fromarray(pixels).save(encoded, "JPEG", quality=quality, subsampling=2)
    degraded = degrade("jpeg-compressed", clean, severity)
    assert np.array_equal(np.rint(degraded.image * 255), np.array(Pillow.open(encoded)))
    assert degraded.parameters["quality"] == quality


def test_double_jpeg_is_a_second_pass_on_a_shifted_block_grid():
    def passed(pixels: np.ndarray, quality: int) -> np.ndarray:
        encoded = io.BytesIO()
        Pillow.fromarray(pixels).save(encoded, "JPEG", quality=quality, subsampling=2)
        return np.array(Pillow.open(encoded))

    degraded = degrade("jpeg-compressed", waves(), quality=10, first_quality=50, variant="double-jpeg")
    down, right = degraded.parameters["shift_px"]
    assert 1 <= down <= 7 and 1 <= right <= 7
    first = passed(np.rint(waves() * 255).astype(np.uint8), 50)
    again = passed(np.pad(first, ((down, 0), (right, 0), (0, 0)), mode="edge"), 10)
    assert np.array_equal(np.rint(degraded.image * 255), again[down:, right:])


@pytest.mark.parametrize("level", [0.3, 0.8])
def test_low_light_has_the_exposure_and_the_variance_it_records(level):
    exposure, shot = 0.25, 2e-4
    image = degrade("low-light", grey(level), exposure=exposure, shot=shot).image.astype(np.float64)
    light, expected = image**2.2, exposure * level**2.2
    assert light.mean() == pytest.approx(expected, rel=0.01)
    assert light.var() == pytest.approx(shot * expected + read_variance(shot), rel=0.05)


@pytest.mark.parametrize(("severity", "sigma"), [(1, 15), (2, 25), (3, 35), (4, 50), (5, 75)])
def test_noise_is_white_gaussian_of_the_severity_s_sigma(severity, sigma):
    noise = (degrade("noisy", grey(), severity, clip=False).image - 0.5).astype(np.float64) * 255
    assert noise.std() == pytest.approx(sigma, rel=0.02) and abs(noise.mean()) < sigma / 50
    assert (noise**4).mean() / noise.var() ** 2 == pytest.approx(3, abs=0.15)
    neighbours = (noise[1:] * noise[:-1]).mean(), (noise[..., 0] * noise[..., 1]).mean()
    assert np.abs(neighbours).max() < 0.02 * sigma**2


def test_only_unclipped_noise_leaves_the_range():
    assert degrade("noisy", grey(1.0), sigma=50, clip=False).image.max() > 1.2
    assert degrade("noisy", grey(1.0), sigma=50).image.max() == 1


def test_poisson_gaussian_noise_is_stronger_in_the_light():
    def light_variance(level: float) -> float:
        image = degrade("noisy", grey(level), variant="poisson-gaussian", shot=1e-3).image
        return float((image.astype(np.float64) ** 2.2).var())

    assert light_variance(0.8) / light_variance(0.4) == pytest.approx(2**2.2, rel=0.1)


def test_raindrops_change_nothing_where_alpha_is_zero_and_cover_more_with_severity():
    clean, wet = waves(240, 320), []
    for severity in (1, 3, 5):
        degraded = degrade("raindrop", clean, severity)
        dry = degraded.maps["alpha"] == 0
        assert np.array_equal(degraded.image[dry], clean[dry])
        wet.append(degraded.maps["alpha"].mean())
    assert wet == sorted(wet) and wet[0] > 0


def test_raindrop_shows_the_scene_upside_down():
    clean = np.repeat(np.linspace(0, 1, 480, dtype=np.float32)[:, None, None], 480, 1).repeat(3, 2)
    degraded = degrade("raindrop", clean, count=1, radius=15, seed=5)
    rows, columns = np.nonzero(degraded.maps["alpha"] > 0.999)
    assert 120 < rows.mean() < 360  # so that it does not see beyond the border
    column = int(np.median(columns))
    seen = degraded.image[np.sort(rows[columns == column]), column, 0]
    assert seen[len(seen) // 4] > seen[3 * len(seen) // 4]  # brighter above, though the scene is brighter below


def test_no_raindrop_leaves_the_image_alone():
    assert np.array_equal(degrade("raindrop", waves(), count=0).image, waves())


def test_rain_is_the_clipped_sum_of_image_and_streaks():
    clean = waves()
    degraded = degrade("rainy", clean, 4)
    streaks = degraded.maps["streaks"][..., None]
    assert np.allclose(degraded.image, np.clip(clean + degraded.parameters["strength"] * streaks, 0, 1), atol=1e-6)
    assert streaks.min() >= 0 and streaks.max() <= 1 and len(degraded.parameters["angles"]) == 3


@pytest.mark.parametrize("angle", [70, 90, 110])
def test_rain_falls_in_the_direction_given(angle):
    degraded = degrade("rainy", grey(0.2, 480), layers=1, angle=angle, density=0.002, length=40, width=2)
    rows, columns = np.gradient(degraded.maps["streaks"].astype(np.float64))
    # Gradients stand across the streaks: the structure tensor's weak axis runs along them.
    tensor = np.array(
        [[(columns**2).mean(), (rows * columns).mean()], [(rows * columns).mean(), (rows**2).mean()]]
    )
    along = np.linalg.eigh(tensor)[1][:, 0]
    assert np.degrees(np.arctan2(along[1], along[0])) % 180 == pytest.approx(angle, abs=3)


def test_shadow_darkens_by_the_matte_and_leaves_the_light_alone():
    clean = waves(240, 320)
    degraded = degrade("shadowed", clean, 3)
    matte, umbra = degraded.maps["matte"][..., None], np.array(degraded.parameters["attenuation"])
    assert np.abs(degraded.image - clean * (1 - matte * (1 - umbra))).max() < 1e-6
    assert umbra[0] < umbra[1] < umbra[2]  # bluish
    assert matte.mean() == pytest.approx(degraded.parameters["area"], abs=0.03)
    assert matte.min() < 0.01 and matte.max() > 0.99


def test_physical_shadow_has_the_same_umbra_and_another_penumbra():
    clean = grey(0.6, 300)
    plain, physical = (degrade("shadowed", clean, 4, physical=flag) for flag in (False, True))
    matte = plain.maps["matte"]
    umbra, penumbra = matte > 0.9999, np.abs(matte - 0.5) < 0.2
    assert np.abs(plain.image - physical.image)[umbra].max() < 1e-3
    assert np.abs(plain.image - physical.image)[penumbra].min() > 0.01


def test_snow_is_the_blend_with_its_opacity():
    clean = waves(240, 320)
    degraded = degrade("snowy", clean, 4)
    alpha, colour = degraded.maps["alpha"][..., None], np.array(degraded.parameters["colour"])
    assert np.abs(degraded.image - (alpha * colour + clean * (1 - alpha))).max() < 1e-6
    assert alpha.max() <= 0.95 + 1e-6 and ((colour >= 0.95) & (colour <= 1)).all()


def test_flakes_given_by_hand_are_used_and_none_at_all_is_no_snow():
    flakes = [{"density": 0.001, "radius": 3, "opacity": 0.5}]
    degraded = degrade("snowy", grey(0.0), 5, flakes=flakes)
    assert degraded.parameters["flakes"] == flakes
    assert degraded.maps["alpha"].max() == pytest.approx(0.5)
    assert np.array_equal(degrade("snowy", waves(), flakes=[]).image, waves())


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_hole_has_the_area_asked_for_and_is_exactly_white(severity):
    clean = waves(256, 256)
    for seed in range(5):
        degraded = degrade("uncompleted", clean, severity, seed)
        mask, (low, high) = degraded.maps["mask"], AREAS[severity - 1]
        assert set(np.unique(mask)) == {0, 1}
        assert mask.mean() == pytest.approx(degraded.parameters["area"], abs=0.02)
        assert low <= degraded.parameters["area"] <= high
        assert (degraded.image[mask == 1] == 1).all()
        assert np.array_equal(degraded.image[mask == 0], clean[mask == 0])


def test_holes_of_higher_severity_contain_those_of_lower():
    masks = [degrade("uncompleted", waves(), severity).maps["mask"] for severity in (1, 2, 3, 4, 5)]
    for small, large in pairwise(masks):
        assert (small > large).mean() < 0.002  # the end of a cut stroke is rasterised anew


def test_long_streaks_reach_in_from_outside_as_often_as_they_lie_inside():
    options = {"length": 200, "angle": 90, "density": 0.001, "layers": 1, "strength": 0.3}
    maps = [degrade("rainy", grey(side=240), seed=seed, **options).maps["streaks"] for seed in range(12)]
    rows = np.mean(maps, axis=(0, 2))
    assert rows[:8].mean() == pytest.approx(rows[100:140].mean(), rel=0.2)
