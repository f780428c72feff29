"""Comparisons of pixels: preprocessing for CLIP, and the metrics and degradations of the host's plugins."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
import torchvision
from torch import Tensor

from restorebench import TEN, MetricInfo, Runtime, ScoringProtocol, Space, discover, synthesisers
from restorebench.toolbox import images
from restorebench.toolbox.clip_images import for_clip
from restorebench.toolbox.options import loaded
from restorebench.toolbox.scoring import luma, prepare
from tests.parity.comparing import Row, distance, tensor
from tests.parity.daclip.fixtures import Fixtures, fill


def preprocessing(fixtures: Fixtures) -> Iterator[Row]:
    """Compare every fourth pixel of images that are prepared for CLIP."""
    stored = fixtures.arrays("clip_preprocess")
    for case in dict.fromkeys(key.split("/")[0] for key in stored):
        image = tensor(stored[f"{case}/rgb"]).permute(2, 0, 1)[None].float() / 255
        ours = for_clip(image, 224)[0, :, ::4, ::4]
        yield Row(f"preprocessing {case}", distance(ours, stored[f"{case}/clip_input_dataset_path"]), 1e-6)


# ---------------------------------------------------------------- metrics

_PUBLISHED = "alexnet-owt-7be5be79.pth"


def metrics(fixtures: Fixtures) -> Iterator[Row]:
    """Compare PSNR and SSIM on RGB and luma with and without a cropped border, LPIPS, rounding and luma itself."""
    stored = fixtures.arrays("metrics")
    values = json.loads((fixtures.folder / "metrics.json").read_text())["values"]
    plugins = discover()
    for name in ("psnr", "ssim"):
        card = plugins.find("metric", name)
        for suffix, protocol in (("", "rgb"), ("_y", "y")):
            for border in (0, 4):
                scored = replace(card.protocol(protocol), crop_border=border)
                key = f"{name}{suffix}_crop{border}"
                worst = max(_difference(_score(card, scored, stored, case), values[case][key]) for case in values)
                yield Row(f"metric {key}", worst, 1e-9)
    with _backbone_by_rule():
        card = plugins.find("metric", "lpips")
        key = "lpips_alex_filled_backbone"
        protocol = card.protocol("rgb")
        worst = max(_difference(_score(card, protocol, stored, case), values[case][key]) for case in values)
        yield Row("metric lpips, AlexNet by rule", worst, 1e-5)
    for case, out in (("in", "out_bgr_uint8"), ("half_in", "half_out")):
        restored = tensor(stored[f"tensor2img/{case}"])[None]
        ours = images.to_8bit(images.from_tensor(restored)[0]).astype(np.int64)
        theirs = stored[f"tensor2img/{out}"].astype(np.int64)
        theirs = theirs[..., ::-1] if theirs.ndim == 3 else theirs.T[None]
        yield Row(f"rounding to 8 bits, {case}", float(np.abs(ours - theirs).max()), 0.0)
    pixels = _unit(stored["ycbcr/bgr_uint8"][..., ::-1])
    ours_y = luma(pixels, Space.Y_STUDIO)[0, 0]
    yield Row("luma", distance(ours_y, stored["ycbcr/y_float"]), 1e-9)
    levels = tensor(stored["ycbcr/y_uint8"]).double()
    yield Row("luma in grey levels", float(((255 * ours_y).round() - levels).abs().max()), 0.0)


def _score(card: MetricInfo, protocol: ScoringProtocol, stored: Any, case: str) -> float:
    """Score one pair as a run does."""
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, lambda kind, name: None)
    metric = loaded(card, {}, runtime, protocol)
    pair = [_unit(stored[f"{case}/{side}_rgb"]).float() for side in ("out", "gt")]
    return float(metric(*(prepare(image, protocol, network=card.network) for image in pair)))


def _difference(ours: float, theirs: float | str) -> float:
    return 0.0 if ours == float(theirs) else abs(ours - float(theirs))  # both may be infinite


@contextmanager
def _backbone_by_rule() -> Iterator[None]:
    """Make LPIPS load an AlexNet with weights by rule in place of the published one."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Path(folder) / "hub" / "checkpoints"
        checkpoints.mkdir(parents=True)
        network = torchvision.models.alexnet(weights=None)
        fill(network)
        torch.save(network.state_dict(), checkpoints / _PUBLISHED)
        before = os.environ.get("TORCH_HOME")
        os.environ["TORCH_HOME"] = folder
        try:
            with mock.patch("restorebench_metrics.lpips.require_genuine"):  # its digest is not the published one
                yield
        finally:
            if before is None:
                del os.environ["TORCH_HOME"]
            else:
                os.environ["TORCH_HOME"] = before


def _unit(pixels: np.ndarray[Any, Any]) -> Tensor:
    """Turn (H, W, 3) grey levels into (1, 3, H, W) float64 in [0, 1]."""
    return tensor(pixels).permute(2, 0, 1)[None].double() / 255


# ---------------------------------------------------------------- degradations

_PUBLISHED_SEVERITY = 4
"""The severity at which our synthesisers have the published noise (sigma 50) and compression (quality 10)."""


def degradations(fixtures: Fixtures) -> Iterator[Row]:
    """Compare noise from the same draws, compression, and white holes; in grey levels.

    The published script truncates noisy values to whole levels, while our code rounds when it writes an image. So
    our values are compared before they are rounded. Our code cannot draw the published masks, so the formula of
    their result is applied to a mask of ours.
    """
    stored = fixtures.arrays("degrade")
    makers = synthesisers(["noisy", "jpeg-compressed", "uncompleted"])
    clean = stored["gt_rgb"].astype(np.float32) / np.float32(255)
    drawn = np.random.RandomState(0).randn(*clean.shape)[..., ::-1]  # drawn for BGR

    def same_draws(shape: tuple[int, ...], dtype: Any) -> np.ndarray[Any, Any]:
        return drawn.astype(dtype)

    rng: Any = SimpleNamespace(standard_normal=same_draws)
    noisy = makers["noisy"].degrade(clean, _PUBLISHED_SEVERITY, rng).image
    yield Row("degradation noisy, levels", _levels(np.floor(255 * noisy), stored["noisy50_rgb"]), 0.0)
    true_rng = np.random.default_rng(0)
    jpeg = makers["jpeg-compressed"].degrade(clean, _PUBLISHED_SEVERITY, true_rng).image
    yield Row("degradation jpeg-compressed, levels", _levels(np.rint(255 * jpeg), stored["jpeg10_rgb"]), 2.0)

    def holes(keep: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return keep * stored["gt_rgb"] + (1.0 - keep) * 255

    yield Row("degradation uncompleted, formula", _levels(holes(stored["mask_half"]), stored["masked_rgb"]), 0.0)
    holed = makers["uncompleted"].degrade(clean, _PUBLISHED_SEVERITY, true_rng)
    ours = np.rint(255 * holed.image)
    yield Row("degradation uncompleted, our mask", _levels(ours, holes(1 - holed.maps["mask"][..., None])), 0.0)


def _levels(ours: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float:
    return float(np.abs(ours.astype(np.float64) - theirs.astype(np.float64)).max())
