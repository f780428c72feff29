"""Scores by the conventions of published scripts, written with scikit-image, scipy and Pillow, not with our code.

A script takes pairs of (H, W, 3) uint8 images, restored and clean, and returns one number for all of them.
`SCRIPTS` maps the name that `explain` gives a convention to its script.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d
from skimage.color import rgb2gray, rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import resize

WANG = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def mean(score):
    """Average a score of one pair over all pairs."""
    return lambda pairs: float(np.mean([score(restored, clean) for restored, clean in pairs]))


def psnr(prepare=lambda image: image, peak=255):
    def score(restored, clean):
        pair = (np.asarray(prepare(image), dtype=np.float64) for image in (clean, restored))
        return peak_signal_noise_ratio(*pair, data_range=peak)

    return mean(score)


def ssim(prepare=lambda image: image, data_range=255, **keys):
    def score(restored, clean):
        pair = [np.asarray(prepare(image), dtype=np.float64) for image in (restored, clean)]
        axis = 2 if pair[0].ndim == 3 else None
        return structural_similarity(*pair, data_range=data_range, channel_axis=axis, **keys)

    return mean(score)


# ---------------------------------------------------------------- preparation


def y(image):
    return rgb2ycbcr(image)[..., 0]


def y_full(image):
    return image.astype(np.float64) @ [0.299, 0.587, 0.114]


def matlab_y(image):
    return np.floor(y(image) + 0.5)


def pillow_grey(image):
    return np.asarray(Image.fromarray(image).convert("L"))


def swapped(image):
    return np.ascontiguousarray(image[..., ::-1])


def unit(image):
    return image / 255


def signed(image):
    return image / 127.5 - 1


def border(pixels, image):
    return image[pixels:-pixels, pixels:-pixels]


def centred(multiple, image):
    top, left = (side % multiple // 2 for side in image.shape[:2])
    height, width = (side // multiple * multiple for side in image.shape[:2])
    return image[top : top + height, left : left + width]


def from_corner(multiple, image):
    height, width = (side // multiple * multiple for side in image.shape[:2])
    return image[:height, :width]


def pillow(method, image, side=256):
    return np.asarray(Image.fromarray(image).resize((side, side), method))


def after(*steps):
    def prepare(image):
        for step in steps:
            image = step(image)
        return image

    return prepare


def aligned(means, score, finish=lambda image: image.clip(0, 1)):
    """Multiply the restored image so that its mean is the clean one's, and score in [0, 1]."""

    def both(restored, clean):
        restored, clean = restored / 255, clean / 255
        return score(finish(restored * (means(clean) / means(restored))), clean)

    return mean(both)


def psnr_unit(restored, clean):
    return peak_signal_noise_ratio(clean, restored, data_range=1)


def ssim_unit(restored, clean, **keys):
    return structural_similarity(restored, clean, data_range=1, channel_axis=2, **keys)


# ---------------------------------------------------------------- formulas


def pooled(prepare):
    """Compute PSNR once, from the squared errors of all pixels of all images."""

    def score(pairs):
        errors = [(np.asarray(prepare(a), float) - np.asarray(prepare(b), float)) ** 2 for a, b in pairs]
        return 10 * math.log10(255**2 / (sum(e.sum() for e in errors) / sum(e.size for e in errors)))

    return score


def by_channel(restored, clean):
    return np.mean([peak_signal_noise_ratio(clean[..., c], restored[..., c], data_range=255) for c in range(3)])


def overflowing(restored, clean):
    return 10 * math.log10(255**2 / np.mean((restored - clean) ** 2))  # both are uint8, and so are the squares


def filtered_ssim(mode, axes=(0, 1)):
    """Compute SSIM by a Gaussian window over an image that goes on beyond its border; every position counts."""
    offsets = np.arange(-5, 6)
    taps = np.exp(-(offsets**2) / (2 * 1.5**2))
    taps /= taps.sum()

    def smooth(image):
        for axis in axes:
            image = correlate1d(image, taps, axis=axis, mode=mode)
        return image

    def score(restored, clean):
        x, y = restored / 255, clean / 255
        mu_x, mu_y = smooth(x), smooth(y)
        var_x, var_y, cov = smooth(x * x) - mu_x**2, smooth(y * y) - mu_y**2, smooth(x * y) - mu_x * mu_y
        index = (2 * mu_x * mu_y + 1e-4) * (2 * cov + 9e-4)
        return (index / ((mu_x**2 + mu_y**2 + 1e-4) * (var_x + var_y + 9e-4))).mean()

    return mean(score)


BICUBIC, BILINEAR = Image.Resampling.BICUBIC, Image.Resampling.BILINEAR
UNIFORM = "7x7 uniform window"
GREY_709 = "y-full, BT.709 weights (scikit-image's rgb2gray)"

SCRIPTS = {
    "psnr@rgb": psnr(),
    "psnr@y": psnr(y),
    "psnr@y-full": psnr(y_full),
    "psnr@daclip": psnr(partial(border, 4)),
    "psnr@airnet": psnr(partial(centred, 16)),
    "psnr@y, luma rounded to 8 bits": psnr(matlab_y),
    "psnr@y-full, luma rounded to 8 bits": psnr(pillow_grey),
    f"psnr@{GREY_709}": psnr(rgb2gray, peak=1),
    "psnr@y, BGR read as RGB": psnr(after(swapped, y)),
    "psnr@y-full, BGR read as RGB": psnr(after(swapped, y_full)),
    "psnr@rgb, restored image read as BGR, clean as RGB": mean(
        lambda restored, clean: peak_signal_noise_ratio(clean, swapped(restored), data_range=255)
    ),
    "psnr@y, 4 px border": psnr(after(y, partial(border, 4))),
    "psnr@rgb, 8 px border": psnr(partial(border, 8)),
    "psnr@rgb, multiple of 8 from the corner": psnr(partial(from_corner, 8)),
    "psnr@rgb, squared errors pooled over all pixels": pooled(lambda image: image),
    "psnr@y, squared errors pooled over all pixels": pooled(y),
    "psnr@rgb, peak 255 on images in 0..1": psnr(unit, peak=255),
    "psnr@rgb, peak 1 on images in 0..255": psnr(peak=1),
    "psnr@rgb, peak 2 on images in 0..1": psnr(unit, peak=2),
    "psnr@rgb, peak 1 on images in -1..1": psnr(signed, peak=1),
    "psnr@rgb, clean image's maximum as peak": mean(
        lambda restored, clean: peak_signal_noise_ratio(clean, restored, data_range=int(clean.max()))
    ),
    "psnr@rgb, clean image's range as peak": mean(
        lambda restored, clean: peak_signal_noise_ratio(clean, restored, data_range=int(np.ptp(clean)))
    ),
    "psnr@rgb, mean over the PSNR of each channel": mean(by_channel),
    "psnr@rgb, squares overflow 8 bits": mean(overflowing),
    "psnr@rgb, mean-aligned": aligned(lambda image: y_full(image).mean(), psnr_unit),
    "psnr@rgb, mean-aligned over all channels": aligned(np.mean, psnr_unit),
    "psnr@rgb, mean-aligned, then rounded": aligned(
        lambda image: y_full(image).mean(), psnr_unit, lambda image: np.rint(image.clip(0, 1) * 255) / 255
    ),
    "psnr@rgb, both resized to 256 x 256 (Pillow bicubic)": psnr(partial(pillow, BICUBIC)),
    "psnr@rgb, both resized to 256 x 256 (Pillow bilinear)": psnr(partial(pillow, BILINEAR)),
    "psnr@rgb, both resized to 256 x 256 (scikit-image)": psnr(lambda image: resize(image, (256, 256)), peak=1),
    "ssim@rgb": ssim(**WANG),
    "ssim@y": ssim(y, **WANG),
    "ssim@y-full": ssim(y_full, **WANG),
    "ssim@daclip": ssim(partial(border, 4), **WANG),
    "ssim@airnet": ssim(partial(centred, 16)),
    f"ssim@rgb, {UNIFORM}": ssim(),
    f"ssim@y, {UNIFORM}": ssim(y),
    f"ssim@rgb, {UNIFORM}, population covariance": ssim(use_sample_covariance=False),
    f"ssim@y-full, luma rounded to 8 bits, {UNIFORM}": ssim(pillow_grey),
    f"ssim@{GREY_709}, {UNIFORM}": ssim(rgb2gray, data_range=1),
    "ssim@y, luma rounded to 8 bits": ssim(matlab_y, **WANG),
    "ssim@y, BGR read as RGB": ssim(after(swapped, y), **WANG),
    "ssim@y, 4 px border": ssim(after(y, partial(border, 4)), **WANG),
    "ssim@rgb, 11x11 uniform window": ssim(win_size=11),
    "ssim@rgb, sample covariance": ssim(gaussian_weights=True, sigma=1.5),
    "ssim@rgb, data range 255 on images in 0..1": ssim(unit, **WANG),
    "ssim@rgb, data range 1 on images in 0..255": ssim(data_range=1, **WANG),
    f"ssim@rgb, {UNIFORM}, data range 255 on images in 0..1": ssim(unit),
    f"ssim@rgb, {UNIFORM}, data range 2 on images in 0..1": ssim(unit, data_range=2),
    "ssim@rgb, data range 2 on images in -1..1": ssim(signed, data_range=2, **WANG),
    "ssim@rgb, data range 1 on images in -1..1": ssim(signed, data_range=1, **WANG),
    f"ssim@rgb, {UNIFORM}, data range of the clean image": mean(
        lambda restored, clean: structural_similarity(
            restored, clean, data_range=int(np.ptp(clean)), channel_axis=2
        )
    ),
    "ssim@rgb, border padded with zeros": filtered_ssim("constant"),
    "ssim@rgb, border reflected": filtered_ssim("mirror"),
    "ssim@rgb, border pixels repeated": filtered_ssim("nearest"),
    "ssim@rgb, 3-D window across channels": filtered_ssim("nearest", axes=(0, 1, 2)),
    "ssim@rgb, mean-aligned": aligned(lambda image: y_full(image).mean(), partial(ssim_unit, **WANG)),
    f"ssim@rgb, mean-aligned over all channels, {UNIFORM}": aligned(np.mean, ssim_unit),
    "ssim@rgb, both resized to 256 x 256 (Pillow bicubic)": ssim(partial(pillow, BICUBIC), **WANG),
}
