"""Complete runs of small networks, from 8-bit images to 8-bit images."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import torch
from restorebench_diffbir import colour, sizes, stage1, text
from restorebench_diffbir.pipeline import Pipeline, Settings
from restorebench_diffbir.samplers import Noise
from restorebench_diffbir.sampling import Sampling
from restorebench_diffbir.schedule import Schedule
from restorebench_diffbir.sigma import Stochasticity
from restorebench_diffbir.stage1 import Cleaner
from restorebench_diffbir.versions import VERSIONS
from torch import Tensor

from tests.parity.comparing import Fixtures, Row
from tests.parity.diffbir import by_rule
from tests.parity.diffbir.fixtures import absolute, draws, relative, same, tensors
from tests.parity.diffbir.networks import TINY_SWINIR

NAMES = ("v2_spaced3", "v2_spaced3_condstart", "v2_spaced2_tiled", "v21_3m4", "v21_3m4_aug200_rescale")
_CROP = (..., slice(200, 232), slice(300, 332))


def condition(fixtures: Fixtures) -> Iterator[Row]:
    """Compare the result of stage 1."""
    stored = tensors(fixtures, "e2e_tiny")
    clean = _cleaned(stored)
    yield same("e2e stage 1 size", list(clean.shape) == stored["cond_shape"].tolist())
    yield absolute("e2e stage 1", clean[_CROP], stored["cond_crop"], 5e-5)


def run(fixtures: Fixtures, name: str) -> Iterator[Row]:
    """Compare one run: its last latent, the decoded image, and the final grey levels."""
    stored = tensors(fixtures, "e2e_tiny")
    meta = json.loads(str(fixtures.arrays("e2e_tiny")["meta"]))["runs"][name]
    clean = _cleaned(stored)
    pipeline = _pipeline(fixtures, meta)
    latent = pipeline.sampled(clean, _noise)
    yield relative(f"e2e {name} latent", latent, stored[f"{name}.z"], 5e-5)
    height, width = clean.shape[-2:]
    shown = pipeline.shown(latent)[..., :height, :width]
    yield relative(f"e2e {name} decoded", 2 * shown[_CROP] - 1, stored[f"{name}.decoded_crop"], 1e-4)
    restored = sizes.resized(colour.wavelet(shown, clean), *stored["lq"].shape[1:3])
    levels = (255 * restored).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)  # truncated, as published
    yield absolute(f"e2e {name} grey levels", levels, stored[f"{name}.out"], 1.0)


def _cleaned(stored: dict[str, Tensor]) -> Tensor:
    cleaner = Cleaner("swinir", by_rule.fill(stage1.swinir(TINY_SWINIR), "swinir."))
    return cleaner(stored["lq"].permute(0, 3, 1, 2).float() / 255)


def _noise(height: int, width: int) -> Noise:
    return draws("diffbir.e2e.noise", (1, 4, height, width))


def _pipeline(fixtures: Fixtures, meta: dict[str, Any]) -> Pipeline:
    parts = by_rule.parts(fixtures.facts("manifest_tiny_controlldm"), by_rule.TINY)
    sampler = meta["sampler"].removeprefix("edm_").replace("_", "-")
    settings = Settings(
        Schedule(meta["par"]),
        Sampling(sampler, meta["steps"], Stochasticity()),
        scale=meta["cfg"],
        ramped=meta.get("rescale", False),
        strength=meta["strength"],
        start="condition" if meta["start"] == "cond" else "noise",
        noise_augmentation=meta["aug"],
        tile=64 if meta["tiled"] else None,
    )
    texts = text.encoded(parts.text, text.tokens(["", VERSIONS["v2"].negative]))
    return Pipeline(parts, settings, *texts.split(1))
