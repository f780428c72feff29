"""The restorers as the host sees them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from restorebench_textualdegrem import restorers
from restorebench_textualdegrem.options import Generation, GuidedRestoration

from restorebench import TEN, Batch, Runtime
from restorebench.testing import checks
from restorebench.toolbox import images

NAMES = {
    "textual-restormer": restorers.TextualRestormer,
    "textual-nafnet": restorers.TextualNAFNet,
    "textual-promptir": restorers.TextualPromptIR,
}


@pytest.mark.parametrize("check", [check for name in NAMES for check in checks("restorer", name)], ids=str)
def test_conformance(check):
    check()


@pytest.fixture(params=NAMES)
def restorer(request):
    """Build a restorer of options, tiny and random."""

    def build(**options):
        runtime = Runtime("cpu", 1, Path(), {}, True, TEN, lambda kind, name: None)
        return NAMES[request.param](GuidedRestoration(weights="untrained", **options), runtime)

    return build


def batch(count=2, height=24, width=20):
    drawn = torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Batch(drawn, (None,) * count, tuple(range(count)), (height, width))


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (17, 23), (64, 65)])
def test_odd_and_tiny_images_keep_their_size(restorer, size):
    given = batch(1, *size)
    restored = restorer().restore(given)
    assert restored.shape == given.degraded.shape
    assert restored.isfinite().all()


def test_a_flat_image_gives_no_nan(restorer):
    for value in (0.0, 1.0):
        given = batch(1)
        flat = replace(given, degraded=torch.full_like(given.degraded, value))
        assert restorer().restore(flat).isfinite().all()


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_is_near_fp32_and_keeps_fine_steps(restorer, precision):
    given = batch()
    expected, found = restorer().restore(given), restorer(precision=precision).restore(given)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=0.03)
    assert not torch.equal(found, found.bfloat16().float()), "the last convolution is in float32"


def test_guidance_is_made_once_for_all_tiles_of_an_image(restorer):
    seen = []

    def guide(degraded, samples):
        seen.append(degraded)
        return [degraded.flip(-1)]

    loaded, given = restorer(), batch(1, 48, 64)
    loaded._guide = guide
    tiles = [
        replace(given, degraded=given.degraded[..., left : left + 32], window=(0, left), whole=given.degraded)
        for left in (0, 32)
    ]
    first, second = (loaded.restore(tile) for tile in tiles)
    assert len(seen) == 1
    assert seen[0] is given.degraded
    with torch.no_grad():
        assert torch.equal(second, loaded.network(tiles[1].degraded, given.degraded.flip(-1)).clamp(0, 1))
    assert first.shape == second.shape == (1, 3, 48, 32)
    loaded.restore(batch(1, 48, 64))
    assert len(seen) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"guidance": "stable-diffusion"}, "needs `generation`"),
        ({"generation": {"stable_diffusion": "untrained"}}, "`generation` has no effect with"),
        (
            {"guidance": "stable-diffusion", "generation": {"stable_diffusion": "untrained", "clip": "x"}},
            "`clip` does not fit",
        ),
        (
            {"guidance": "stable-diffusion", "generation": {"stable_diffusion": "sd", "clip": "x"}},
            "`mapper` is missing: a Stable Diffusion needs clip, mapper, clean_mapper",
        ),
        ({"guidance": "folder"}, "needs `guidance_folder`: where its images are"),
        (
            {"guidance_folder": "x"},
            "`guidance_folder` has no effect with `guidance: degraded`; set `guidance: folder`",
        ),
        ({"guidance": "words"}, "Input should be 'degraded', 'folder' or 'stable-diffusion'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        GuidedRestoration.model_validate({"weights": "untrained", **options})


def test_weights_have_to_be_named():
    with pytest.raises(ValidationError, match="weights"):
        GuidedRestoration()


def test_generation_is_as_published_by_default():
    chosen = Generation(stable_diffusion="untrained")
    assert (chosen.steps, chosen.scale, chosen.seed) == (100, 5.0, 42)


def test_a_grey_image_is_restored_on_the_command_line(call, tmp_path):
    pixels = np.random.default_rng(0).random((17, 23, 1), dtype=np.float32).repeat(3, axis=2)
    images.write_png(tmp_path / "a.png", pixels)
    code, _, err = call(
        "restore", "a.png", "-m", "textual-restormer", "-o", "out", "--weights", "untrained", "--workers", "0"
    )
    assert code == 0, err
    assert images.read_size(tmp_path / "out" / "a.png") == (17, 23)


def test_a_file_of_something_else_is_named_on_the_command_line(call, tmp_path):
    images.write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.float32))
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
    code, _, err = call(
        "restore", "a.png", "-m", "textual-nafnet", "-o", "out", "--weights", "other.pth", "--workers", "0"
    )
    assert code != 0
    assert "other.pth: this is another network" in err
