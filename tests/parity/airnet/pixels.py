"""Comparisons of turned patches, noise and scores of the published scripts, and of the learning rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from restorebench_airnet import recipe
from skimage.metrics import structural_similarity
from torch import Tensor

from restorebench import TEN, Runtime, discover
from restorebench.toolbox.options import loaded
from restorebench.toolbox.scoring import prepare
from tests.parity.comparing import Fixtures, Row, tensor

_SIGMAS = (15, 25, 50)
_IMAGES = 2


def turns(fixtures: Fixtures) -> Iterator[Row]:
    """Compare all ways to turn a patch."""
    stored = fixtures.arrays("augment_modes")
    for way in recipe.TURNS:
        yield Row(f"turn {way}", _levels(recipe.turned(stored["image"], way), stored[f"mode{way}"]), 0.0)


def learning_rates(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the learning rate of every epoch."""
    facts = fixtures.facts("lr_schedule")
    known = {each["first_epoch"]: each["lr"] for each in facts["lr_in_use"]}
    worst, expected = 0.0, 0.0
    for epoch in range(facts["epochs"]):
        expected = known.get(epoch, expected)
        worst = max(worst, abs(recipe.learning_rate(epoch) / expected - 1))
    yield Row("learning rate of 1000 epochs, relative", worst, 1e-9)


def noise(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the host's noise from the draws of the published script, in grey levels, truncated as there."""
    stored = fixtures.arrays("protocol_noise")
    find = discover().find
    drawn = np.random.RandomState(0)
    for number in range(_IMAGES):
        clean = _cropped(stored[f"img{number}"])
        yield Row(f"crop {number}, levels", _levels(clean, stored[f"clean{number}"]), 0.0)
    for sigma in _SIGMAS:
        noisy = loaded(find("degradation", "noisy"), {"sigma": sigma}, _runtime(find))
        for number in range(_IMAGES):
            clean = stored[f"clean{number}"]
            draws = drawn.randn(*clean.shape)

            def same(shape: tuple[int, ...], dtype: Any, draws: np.ndarray[Any, Any] = draws) -> Any:
                return draws.astype(dtype)

            rng: Any = SimpleNamespace(standard_normal=same)
            image = noisy.degrade(clean.astype(np.float32) / np.float32(255), 1, rng).image
            ours = np.floor(255 * image)
            yield Row(f"noise {sigma}, image {number}", _levels(ours, stored[f"noisy{number}_s{sigma}"]), 0.0)


def scores(fixtures: Fixtures) -> Iterator[Row]:
    """Compare PSNR and SSIM under the protocol `airnet`, on images that leave [0, 1].

    The published SSIM was computed on float32 images, where E[x^2] - E[x]^2 keeps few digits of a small variance.
    So scikit-image is compared with it on float32 images, and ours with scikit-image on float64 images.
    """
    stored = fixtures.arrays("protocol_noise")
    values = fixtures.facts("protocol_metrics")["values"]
    find = discover().find
    psnr, ssim = (_metric(find, name) for name in ("psnr", "ssim"))
    for number in range(_IMAGES):
        clean = _unit(stored[f"clean{number}"])
        for sigma in _SIGMAS:
            noisy = _unit(stored[f"noisy{number}_s{sigma}"]) * 1.05 - 0.02
            published = values[f"img{number}_s{sigma}"]
            case = f"airnet, noise {sigma}, image {number}"
            yield Row(f"psnr@{case}", abs(psnr(noisy, clean) - published["psnr"]), 1e-4)
            single = _similarity(noisy, clean, np.float32)
            yield Row(f"scikit-image's ssim@{case}, float32", abs(single - published["ssim"]), 1e-7)
            apart = abs(ssim(noisy, clean) - _similarity(noisy, clean, np.float64))
            yield Row(f"ssim@{case}, float64", apart, 1e-9)


def _metric(find: Any, name: str) -> Callable[[Tensor, Tensor], float]:
    """Load a metric that scores one image under the protocol `airnet`."""
    card = find("metric", name)
    protocol = card.protocol("airnet")
    metric = loaded(card, {}, _runtime(find), protocol)
    return lambda restored, clean: float(
        metric(*(prepare(each, protocol, network=False) for each in (restored, clean)))
    )


def _similarity(restored: Tensor, clean: Tensor, precision: type[np.floating[Any]]) -> float:
    """Return scikit-image's SSIM with its default window of two images clipped to [0, 1]."""
    pair = (each[0].clamp(0, 1).permute(1, 2, 0).numpy().astype(precision) for each in (restored, clean))
    return float(structural_similarity(*pair, channel_axis=2, data_range=1))


def _runtime(find: Any) -> Runtime:
    return Runtime("cpu", 1, Path(), {}, True, TEN, find)


def _cropped(image: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Crop (H, W, C) around the centre to multiples of 16, as the protocol does before it scores."""
    protocol = discover().find("metric", "psnr").protocol("airnet")
    cut: np.ndarray[Any, Any] = (255 * prepare(_unit(image), protocol, network=False)[0]).round().numpy()
    return cut.transpose(1, 2, 0)


def _unit(pixels: np.ndarray[Any, Any]) -> Tensor:
    """Turn (H, W, 3) grey levels into (1, 3, H, W) float64 in [0, 1]."""
    return tensor(pixels).permute(2, 0, 1)[None].double() / 255


def _levels(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max())
