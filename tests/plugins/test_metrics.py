"""PSNR, SSIM, MS-SSIM and their siblings, against scikit-image, scipy and numbers of other libraries."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from restorebench_metrics import effects, parity, protocols, restorebench_metrics
from restorebench_metrics.ms_ssim import ms_ssim
from restorebench_metrics.psnr import psnr
from restorebench_metrics.regions import load_marked, load_unmarked, mean_aligned_psnr, region_psnr
from restorebench_metrics.ssim import ssim, uniform
from scipy.ndimage import convolve
from skimage import data
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorebench import Space
from restorebench.contract.cards import resolve

CARDS = {card.name: card for card in restorebench_metrics()}
PIXEL_CARDS = [card for card in CARDS.values() if not card.network]


def noisy_pair(height: int, width: int, sigma: float = 25, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return (restored, clean), (H, W, 3) uint8: smooth waves, and the same with noise."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / 9 + shift) * np.cos(columns / 7 - shift) for shift in (0, 1, 2)]
    clean = np.rint(127 + 100 * np.stack(waves, -1)).astype(np.uint8)
    noise = np.random.default_rng(seed).normal(0, sigma, clean.shape)
    return np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8), clean


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].double() / 255


def scored(name: str, restored: np.ndarray, clean: np.ndarray) -> float:
    return parity.ours(name, restored, clean)


@pytest.mark.parametrize("name", [name for name in parity.PUBLISHED if not name.startswith("ms-ssim")])
def test_scores_equal_scikit_image(name):
    pair = parity.example()
    assert scored(name, *pair) == pytest.approx(parity.scikit_image(name, *pair), abs=1e-8)


@pytest.mark.parametrize(("name", "published"), parity.PUBLISHED.items())
def test_scores_equal_the_figures_of_other_libraries(name, published):
    assert scored(name, *parity.example()) == pytest.approx(published, abs=2e-6)


@pytest.mark.parametrize(("height", "width"), [(11, 11), (12, 19), (33, 74), (75, 11), (141, 90)])
def test_ssim_equals_scikit_image_at_odd_sizes(height, width):
    restored, clean = noisy_pair(height, width)
    expected = structural_similarity(restored, clean, data_range=255, channel_axis=2, **parity.WANG)
    assert ssim(tensor(restored), tensor(clean)).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (8, 23), (73, 131)])
def test_uniform_ssim_equals_scikit_images_default(height, width):
    restored, clean = noisy_pair(height, width)
    expected = structural_similarity(restored, clean, data_range=255, channel_axis=2)
    assert ssim(tensor(restored), tensor(clean), uniform()).item() == pytest.approx(expected, abs=1e-12)


def test_ssim_equals_its_definition_by_direct_convolution():
    restored, clean = (tensor(image)[0, 0].numpy() for image in noisy_pair(30, 41))
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return convolve(image, window)[5:-5, 5:-5]

    mu_x, mu_y = mean(restored), mean(clean)
    var_x, var_y = mean(restored**2) - mu_x**2, mean(clean**2) - mu_y**2
    cov = mean(restored * clean) - mu_x * mu_y
    index = (2 * mu_x * mu_y + 1e-4) * (2 * cov + 9e-4)
    index /= (mu_x**2 + mu_y**2 + 1e-4) * (var_x + var_y + 9e-4)
    ours = ssim(torch.from_numpy(restored)[None, None], torch.from_numpy(clean)[None, None])
    assert ours.item() == pytest.approx(index.mean(), abs=1e-12)


def test_scikit_images_default_ssim_is_another_number():
    restored, clean = parity.example()
    default = structural_similarity(restored, clean, data_range=255, channel_axis=2)
    assert abs(scored("ssim@rgb", restored, clean) - default) > 0.005


def test_psnr_equals_basicsr_on_eight_bits():
    restored, clean = noisy_pair(37, 53)
    squared = (restored.astype(np.float64) - clean.astype(np.float64)) ** 2
    expected = 10 * math.log10(255**2 / squared.mean())  # basicsr.metrics.psnr_ssim.calculate_psnr
    assert scored("psnr@rgb", restored, clean) == pytest.approx(expected, abs=1e-11)


def test_psnr_of_a_known_error_has_a_closed_form():
    clean = torch.full((1, 3, 5, 7), 0.25, dtype=torch.float64)
    assert psnr(clean + 0.1, clean).item() == pytest.approx(20, abs=1e-9)


def test_studio_and_full_range_luma_differ_by_a_constant():
    pair = parity.example()
    difference = scored("psnr@y", *pair) - scored("psnr@y-full", *pair)
    assert difference == pytest.approx(20 * math.log10(255 / 219), abs=1e-5)  # 0.299 is a rounded 65.481 / 219


def test_swapped_colours_change_luma_but_not_rgb_scores():
    restored, clean = parity.example()
    swapped = restored[..., ::-1], clean[..., ::-1]
    assert scored("psnr@rgb", *swapped) == pytest.approx(scored("psnr@rgb", restored, clean), abs=1e-9)
    assert abs(scored("psnr@y", *swapped) - scored("psnr@y", restored, clean)) > 0.1


def test_daclip_protocol_equals_its_script():
    restored, clean = noisy_pair(61, 50)
    pair = restored[4:-4, 4:-4], clean[4:-4, 4:-4]
    assert scored("psnr@daclip", restored, clean) == pytest.approx(
        peak_signal_noise_ratio(*pair, data_range=255), abs=1e-9
    )
    assert scored("ssim@daclip", restored, clean) == pytest.approx(
        structural_similarity(*pair, data_range=255, channel_axis=2, **parity.WANG), abs=1e-9
    )


def test_airnet_protocol_equals_its_script():
    restored, clean = (image.astype(np.float64) / 255 for image in noisy_pair(61, 50))
    rows, columns = slice(13 // 2, 61 - 13 + 13 // 2), slice(2 // 2, 50 - 2 + 2 // 2)  # AirNet's crop_img
    pair = restored[rows, columns], clean[rows, columns]
    assert scored("psnr@airnet", *noisy_pair(61, 50)) == pytest.approx(
        peak_signal_noise_ratio(*pair, data_range=1), abs=1e-5
    )
    assert scored("ssim@airnet", *noisy_pair(61, 50)) == pytest.approx(
        structural_similarity(*pair, data_range=1, channel_axis=2), abs=1e-7
    )


@pytest.mark.parametrize(("rows", "columns", "pytorch_msssim"), [(175, 203, 0.95957272), (161, 163, 0.95963774)])
def test_ms_ssim_equals_pytorch_msssim_at_odd_sizes(rows, columns, pytorch_msssim):
    pixels = data.astronaut()[100 : 100 + rows, 100 : 100 + columns]
    score = ms_ssim(tensor(parity.jpeg(pixels)), tensor(pixels)).item()
    assert score == pytest.approx(pytorch_msssim, abs=2e-6)  # its window is float32


def test_equal_images_have_infinite_psnr_and_similarity_one():
    image = tensor(noisy_pair(170, 165)[0])
    assert psnr(image, image).isposinf().all()
    assert ssim(image, image).item() == 1
    assert ms_ssim(image, image).item() == 1


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_images_are_scored_without_division_by_zero(level):
    image = torch.full((1, 3, 16, 16), level, dtype=torch.float64)
    assert ssim(image, image).item() == 1


def test_grey_images_score_alike_in_colour_and_full_range_luma():
    restored, clean = (np.repeat(image[..., :1], 3, axis=-1) for image in noisy_pair(40, 40))
    for metric in ("psnr", "ssim"):
        assert scored(f"{metric}@rgb", restored, clean) == pytest.approx(
            scored(f"{metric}@y-full", restored, clean), abs=1e-9
        )


@pytest.mark.parametrize("card", PIXEL_CARDS, ids=lambda card: card.name)
def test_a_score_does_not_depend_on_its_batch(card):
    pairs = [noisy_pair(163, 170, sigma=5 + 10 * seed, seed=seed) for seed in range(3)]
    restored, clean = (torch.cat([tensor(pair[side]) for pair in pairs]) for side in (0, 1))
    marks = (torch.arange(170) % 3 == 0).expand(3, 1, 163, 170).double()
    metric = resolve(card.load)(None, None, card.protocols[0])
    together = metric(restored, clean, marks)
    alone = [metric(restored[i : i + 1], clean[i : i + 1], marks[i : i + 1]) for i in range(3)]
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    assert together.equal(torch.cat(alone))


@pytest.mark.parametrize("card", PIXEL_CARDS, ids=lambda card: card.name)
def test_less_noise_scores_better_in_the_direction_the_card_says(card):
    little, clean = noisy_pair(163, 170, sigma=5)
    much, _ = noisy_pair(163, 170, sigma=40)
    marks = (torch.arange(170) % 3 == 0).expand(1, 1, 163, 170).double()
    metric = resolve(card.load)(None, None, card.protocols[0])
    better, worse = (metric(tensor(image), tensor(clean), marks).item() for image in (little, much))
    assert (better > worse) == card.higher_is_better


@given(
    sigmas=st.tuples(st.floats(0.001, 0.3), st.floats(0.001, 0.3)).filter(lambda pair: pair[0] < pair[1] * 0.99)
)
@settings(max_examples=25, deadline=None)
def test_more_of_the_same_noise_scores_worse(sigmas):
    clean = tensor(noisy_pair(24, 24)[1])
    noise = torch.randn(clean.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    less, more = (clean + sigma * noise for sigma in sigmas)
    assert psnr(less, clean) > psnr(more, clean)
    assert ssim(less, clean) > ssim(more, clean)


@pytest.mark.parametrize(("metric", "side"), [(ssim, 10), (lambda x, y: ssim(x, y, uniform()), 6), (ms_ssim, 160)])
def test_images_smaller_than_the_window_are_rejected(metric, side):
    image = torch.rand(1, 3, 200, side, dtype=torch.float64)
    with pytest.raises(ValueError, match=str(side)):
        metric(image, image)


@pytest.mark.parametrize("card", [CARDS["ssim"], CARDS["ms-ssim"]], ids=lambda card: card.name)
def test_the_minimum_size_of_the_card_is_enough(card):
    image = torch.rand(1, 3, card.minimum_size, card.minimum_size, dtype=torch.float64)
    assert resolve(card.load)(None, None, card.protocols[0])(image, image).item() == pytest.approx(1)


def test_nan_reaches_the_score_of_its_own_image_only():
    restored, clean = (torch.cat([tensor(image)] * 2) for image in noisy_pair(90, 90))
    restored[0, 0, 3, 3] = math.nan
    for metric in (psnr, ssim):
        assert metric(restored, clean).isnan().tolist() == [True, False]


def test_region_psnr_sees_its_region_only():
    clean = torch.full((2, 3, 4, 4), 0.5, dtype=torch.float64)
    mask = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    mask[:, :, :2] = 1
    restored = clean + torch.where(mask > 0, 0.1, 0.01)
    assert load_marked(None, None, protocols.RGB)(restored, clean, mask).tolist() == pytest.approx([20, 20])
    assert load_unmarked(None, None, protocols.RGB)(restored, clean, mask).tolist() == pytest.approx([40, 40])


def test_an_empty_region_has_no_psnr():
    image = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    assert region_psnr(image, image + 0.1, torch.zeros(1, 1, 4, 4, dtype=torch.bool)).isnan().all()


def test_mean_alignment_undoes_a_darkening():
    clean = tensor(noisy_pair(20, 20)[1])
    assert psnr(clean * 0.1, clean).item() < 15
    assert mean_aligned_psnr(clean * 0.1, clean).item() > 200


def test_mean_alignment_leaves_a_black_image_black():
    clean = tensor(noisy_pair(20, 20)[1])
    black = torch.zeros_like(clean)
    assert mean_aligned_psnr(black, clean).equal(psnr(black, clean))


def test_altered_counts_the_pixels_that_changed_in_any_channel():
    clean = np.full((4, 5, 3), 100, np.uint8)
    restored = clean.copy()
    restored[0, 0, 1] += 1
    restored[2, 3] += 50
    assert scored("altered@rgb", restored, clean) == 2 / 20
    assert scored("altered@rgb", clean, clean) == 0


def test_every_card_offers_the_default_protocol():
    assert all(card.protocols[0].name == "rgb" for card in CARDS.values())


def test_cards_and_their_availability_need_no_torch():
    program = (
        "import sys; from restorebench_metrics import restorebench_metrics as cards; "
        "[card.unavailable() for card in cards() if card.unavailable]; "
        "print('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.split() == ["False", "False"]


def test_psnr_and_ssim_are_three_times_as_fast_as_scikit_image_on_one_core():
    command = [sys.executable, "-m", "restorebench_metrics.parity", "--sides", "256", "--repeats", "9"]
    ratios = []
    for _ in range(6):  # a busy machine spoils single runs; the habit is 4.4
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        ratios.append(float(re.search(r"256 .* ms +\S+ ms +(\S+) ", printed)[1]))
        if ratios[-1] >= 3:
            return
    pytest.fail(f"ratios to scikit-image: {ratios}")


def test_effects_of_protocols_have_the_constant_that_luma_ranges_imply(capsys):
    effects.main()
    rows = dict(re.findall(r"\| (.+?) \| (\S+ \| \S+) \|", capsys.readouterr().out))
    assert rows["psnr@y-full to psnr@y"] == "+1.3219 | +1.3219"
    assert len(rows) == 1 + len(effects.changes())  # the header too


@pytest.mark.parametrize("card", PIXEL_CARDS, ids=lambda card: card.name)
def test_a_metric_leaves_its_images_as_they_are(card):
    """The host gives all of our metrics the same tensors."""
    pair = [tensor(image) for image in noisy_pair(180, 190)]
    for protocol in card.protocols:
        given = [each[:, :1] if protocol.space is not Space.RGB else each for each in pair]
        marked = torch.zeros(1, 1, 180, 190, dtype=torch.float64)
        marked[..., 40:90, 50:120] = 1
        before = [each.clone() for each in given]
        resolve(card.load)(None, None, protocol)(*given, *([marked] if card.needs_map else []))
        assert all(map(torch.equal, before, given)), protocol.name
