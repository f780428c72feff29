"""Motion blur: find the kernel from sharpened edges, coarse to fine, then deconvolve."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import gaussian_filter, label, shift
from scipy.ndimage import sum as sum_over
from skimage.transform import resize

from restorebench_classical.deconvolution import deconvolve

if TYPE_CHECKING:
    from restorebench import Image

    Array = np.ndarray[tuple[int, int], np.dtype[np.float64]]

GAMMA = 2.2  # blur happens in linear light
LUMA = np.array([0.299, 0.587, 0.114])  # BT.601
SMALLEST_PX = 24  # an image with a shorter side is too small to estimate a kernel
REACH = 0.09  # largest kernel side over the short side of the image; 0.06 loses 0.9 dB at severity 3
LARGEST_KERNEL_PX = 151
STRONGEST = 0.2  # share of gradients to which the kernel is fitted; 0.15 and 0.3 are within 0.2 dB
KERNEL_RIDGE = 0.2  # of the mean gradient power; 1.0 loses 0.2 dB
ROUNDS = 3  # of image and kernel at each scale
WEIGHT_INSIDE = 1e-2  # total variation between rounds; 2e-3 loses 0.3 dB
WEIGHT_LAST = 8e-3  # total variation of the result: 4e-3 is sharper and worse at severity 5
SPECK = 0.1  # kernel values below this share of the largest are noise
FRAGMENT = 0.2  # connected parts with less than this share of the largest part's sum are noise too


def deblur(degraded: Image) -> Image:
    """Undo an unknown uniform motion blur of (H, W, 3) float32.

    Gradient prediction by shock filter and kernel fitting in the gradient domain after Cho and Lee, "Fast motion
    deblurring" (SIGGRAPH Asia 2009), from a 5 px kernel up in steps of √2. The kernel is kept centred, as
    otherwise the result would be shifted. About 40 float64 planes of the image's size are in memory.
    """
    side = min(degraded.shape[:2])
    if side < SMALLEST_PX:
        return degraded.copy()
    linear = degraded.astype(np.float64) ** GAMMA
    kernel = estimate_kernel(linear @ LUMA, max(min(int(REACH * side), LARGEST_KERNEL_PX), 5))
    planes = [deconvolve(linear[..., channel], kernel, WEIGHT_LAST, 8) for channel in range(3)]
    return (np.clip(np.stack(planes, axis=2), 0, 1) ** (1 / GAMMA)).astype(np.float32)


def estimate_kernel(blurred: Array, size: int) -> Array:
    """Estimate a centred kernel of odd side, at most `size` px, that sums to one."""
    scales = [1.0]
    while size * scales[-1] / np.sqrt(2) > 4:
        scales.append(scales[-1] / np.sqrt(2))
    latent, kernel = blurred, np.ones((1, 1))
    for scale in reversed(scales):
        shape = [max(round(length * scale), 8) for length in blurred.shape]
        small = resize(blurred, shape, order=1, anti_aliasing=True)
        latent = small if scale == scales[-1] else resize(latent, shape, order=1)
        side = max(2 * int(size * scale / 2) + 1, 3)
        for _ in range(ROUNDS):
            kernel = fit_kernel(shock(latent), small, side)
            latent = deconvolve(small, kernel, WEIGHT_INSIDE, 4)
    return kernel


def shock(image: Array, rounds: int = 3, step: float = 0.3) -> Array:
    """Steepen edges (Osher and Rudin, SIAM J. Numerical Analysis 1990) after a slight smoothing."""
    image = gaussian_filter(image, 1)
    for _ in range(rounds):
        down, right = np.gradient(image)
        second_down, mixed = np.gradient(down)
        second_right = np.gradient(right, axis=1)
        curvature = right**2 * second_right + 2 * right * down * mixed + down**2 * second_down
        image = image - step * np.sign(curvature) * np.hypot(right, down)
    return image


def fit_kernel(sharp: Array, blurred: Array, side: int) -> Array:
    """Fit a kernel from the strongest sharp gradients to blurred ones (ridge regression by FFT); clean it up."""
    shape = sharp.shape
    window = np.outer(*(np.hanning(length + 2)[1:-1] ** 0.25 for length in shape))
    sharp_pair, blurred_pair = _differences(sharp), _differences(blurred)
    strength = np.hypot(*sharp_pair)
    chosen = (strength > np.quantile(strength, 1 - STRONGEST)) * window
    sharp_spectra = [rfft2(part * chosen) for part in sharp_pair]
    blurred_spectra = [rfft2(part * window) for part in blurred_pair]
    power = sum(np.abs(part) ** 2 for part in sharp_spectra)
    cross = sum(np.conj(s) * b for s, b in zip(sharp_spectra, blurred_spectra, strict=True))
    kernel = irfft2(cross / (power + KERNEL_RIDGE * power.mean() + 1e-12), shape)
    side = min(side, 2 * ((min(shape) - 1) // 2) + 1)
    return _cleaned(np.roll(kernel, (side // 2, side // 2), (0, 1))[:side, :side])


def _differences(image: Array) -> tuple[Array, Array]:
    return np.roll(image, -1, 1) - image, np.roll(image, -1, 0) - image


def _cleaned(kernel: Array) -> Array:
    """Drop noise and fragments, move the centroid to the centre, normalise; return a spike if nothing is left."""
    spike = np.zeros_like(kernel)
    spike[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
    if kernel.max() <= 0:
        return spike
    kernel = np.where(kernel < SPECK * kernel.max(), 0, kernel)
    parts, count = label(kernel > 0, np.ones((3, 3)))
    sums = np.asarray(sum_over(kernel, parts, np.arange(count + 1)))
    kernel = np.where(sums[parts] > FRAGMENT * sums.max(), kernel, 0)
    rows, columns = np.indices(kernel.shape)
    centroid = np.array([(rows * kernel).sum(), (columns * kernel).sum()]) / kernel.sum()
    kernel = np.clip(shift(kernel, np.array(kernel.shape) // 2 - centroid, order=1), 0, None)
    return kernel / kernel.sum() if kernel.sum() > 0 else spike
