"""The restorers as the host sees them, with tiny random networks in every stage."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="stage 2 is of networks of the extra [diffbir]")
pytest.importorskip("spandrel", reason="stage 1 is of networks of the extra [diffbir]")

from restorebench_diffbir import colour, restorers, text
from restorebench_diffbir.options import Restoration, Stage1
from restorebench_diffbir.versions import VERSIONS, Sampler

from restorebench.testing import checks
from restorebench.toolbox import images
from restorebench.toolbox.seeding import normal
from tests.parity.comparing import Fixtures

NAMES = ("diffbir", "diffbir-stage1")
CHEAP = {"weights": "untrained", "short_edge": 64}


@pytest.mark.parametrize("check", [check for name in NAMES for check in checks("restorer", name)], ids=str)
def test_conformance(check):
    check()


@pytest.fixture
def build(runtime):
    """Build both stages, tiny and random, with two steps where nothing else is said."""

    def built(**options):
        return restorers.DiffBIR(Restoration(**{**CHEAP, "steps": 2, **options}), runtime)

    return built


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (17, 23), (64, 65), (130, 50)])
def test_odd_and_tiny_images_keep_their_size(build, batch, size):
    given = batch(1, *size)
    restored = build().restore(given)
    assert restored.shape == given.degraded.shape
    assert restored.isfinite().all()


@pytest.mark.parametrize("version", list(VERSIONS))
@pytest.mark.parametrize("task", ["bsr", "bfr", "bid"])
def test_stage_1_of_every_version_and_task_keeps_sizes(runtime, batch, version, task):
    given = batch(2, 17, 23)
    restorer = restorers.DiffBIRStage1(Stage1(**CHEAP, version=version, task=task), runtime)
    restored = restorer.restore(given)
    assert restored.shape == given.degraded.shape
    assert not torch.equal(restored[0], restored[1])


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_every_sampler_restores(build, batch, sampler):
    given = batch()
    restored = build(sampler=sampler, steps=4).restore(given)
    assert restored.isfinite().all()
    assert restored.std() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"strength": 0.0},
        {"cfg": 1.0},
        {"cfg_ramp": True},
        {"caption": "a dog"},
        {"negative": "dark"},
        {"start": "condition"},
        {"noise_augmentation": 200},
        {"colour": "adain"},
        {"colour": "none"},
        {"guidance": {"scale": 300.0}},
        {"guidance": {"scale": 300.0, "space": "latent"}},
        {"guidance": {"scale": 300.0, "loss": "mse"}},
        {"sampler": "euler-a", "steps": 4},
        {"version": "v2.1"},
        {"task": "bid"},
    ],
    ids=str,
)
def test_an_option_changes_the_result(build, batch, options):
    # a cleaner that is no constant, and colours that do not hide what stage 2 does
    common = {"version": "v2", "task": "bfr", "colour": "none"}
    given = batch(1, 64, 64)
    if "colour" in options:
        common["colour"] = "wavelet"
    plain, other = build(**common).restore(given), build(**{**common, **options}).restore(given)
    assert (plain - other).abs().max() > 1e-5


@pytest.mark.parametrize(("option", "value"), [("eta", 0.0), ("churn", 5.0), ("noise_scale", 0.5), ("order", 2)])
def test_an_option_of_some_samplers_changes_their_result(build, batch, option, value):
    sampler = {"eta": "euler-a", "churn": "euler", "noise_scale": "euler-a", "order": "lms"}[option]
    common = {"task": "bfr", "colour": "none", "sampler": sampler, "steps": 4}
    given = batch(1, 64, 64)
    one, other = build(**common).restore(given), build(**common, **{option: value}).restore(given)
    assert not torch.equal(one, other)


def test_guided_restoration_needs_no_gradients_outside(build, batch):
    given = batch(2, 64, 64)
    restorer = build(guidance={"scale": 10.0}, task="bfr")
    with torch.no_grad():
        restored = restorer.restore(given)
    assert not restored.requires_grad
    alone = restorer.restore(replace(given, degraded=given.degraded[1:], told=(None,), keys=given.keys[1:]))
    assert torch.allclose(restored[1:], alone, atol=1e-5)


@pytest.mark.parametrize(
    "tiles",
    [{"cleaner_tile": 64}, {"diffusion_tile": 64}, {"vae_tile": 64}, {"diffusion_tile": 128, "vae_tile": 64}],
)
def test_tiles_change_large_images_alone(build, batch, tiles):
    plain, tiled = build(task="bfr"), build(task="bfr", **tiles)
    small, large = batch(1, 64, 64), batch(1, 150, 200)
    assert torch.equal(plain.restore(small), tiled.restore(small))
    restored = tiled.restore(large)
    assert restored.shape == large.degraded.shape
    assert not torch.equal(plain.restore(large), restored)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_low_precision_is_near_fp32(build, batch, precision):
    given = batch(1, 64, 64)
    exact, low = (build(precision=each, task="bfr").restore(given) for each in ("fp32", precision))
    assert not torch.equal(exact, low)
    assert (exact - low).abs().mean() < 0.02


def test_noise_belongs_to_an_image_and_not_to_its_position_in_a_batch(build, batch):
    restorer, given = build(task="bfr"), batch(2, 40, 24)
    turned = replace(given, degraded=given.degraded.flip(0), keys=given.keys[::-1])
    assert torch.allclose(restorer.restore(given), restorer.restore(turned).flip(0), atol=1e-5)


def test_grey_images_are_restored_on_the_command_line(call, tmp_path):
    pixels = np.random.default_rng(0).random((17, 23, 1), dtype=np.float32).repeat(3, axis=2)
    images.write_png(tmp_path / "a.png", pixels)
    options = ("--weights", "untrained", "--option", "short_edge=64", "--option", "steps=2", "--workers", "0")
    code, _, err = call("restore", "a.png", "-m", "diffbir", "-o", "out", *options)
    assert code == 0, err
    assert images.read_size(tmp_path / "out" / "a.png") == (17, 23)


def test_a_file_of_something_else_is_named_on_the_command_line(call, tmp_path):
    images.write_png(tmp_path / "a.png", np.zeros((8, 8, 3), np.float32))
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pth")
    options = ("--option", "cleaner=other.pth", "--workers", "0")
    code, _, err = call("restore", "a.png", "-m", "diffbir-stage1", "-o", "out", *options)
    assert code != 0
    assert "other.pth: this is another network (bias, weight, ...); this version and task take BSRNet" in err


# ---------------------------------------------------------------- texts


def test_default_prompts_are_the_published_tokens(shared):
    if not (shared / "parity" / "diffbir").is_dir():
        pytest.skip("the arrays of this method are not there")
    stored = Fixtures(shared / "parity" / "diffbir").arrays("text_tiny")["tokens"]
    facts = VERSIONS["v2"], VERSIONS["v2.1"]
    prompts = ["", facts[0].negative, facts[1].positive, facts[1].negative]
    assert np.array_equal(text.tokens(prompts).numpy(), stored)


def test_long_prompts_keep_their_end():
    (ids,) = text.tokens(["word " * 200]).tolist()
    assert (len(ids), ids[0], ids[-1]) == (77, 49406, 49407)
    (short,) = text.tokens(["word"]).tolist()
    assert short[3:] == [0] * 74


def test_a_restoration_is_what_the_parts_give_one_after_the_other(build, batch):
    """The stages put together by hand, as the complete runs of the published code are compared."""
    restorer, given = build(task="bfr"), batch(1, 70, 100)
    draws = [normal(given.keys, 0, draw, (4, 16, 16)) for draw in range(3)]
    with torch.no_grad():
        clean = restorer.cleaner(given.degraded)
        latent = restorer.pipeline.sampled(clean, lambda height, width: iter(draws))
        expected = colour.wavelet(restorer.pipeline.shown(latent)[..., :70, :100], clean).clamp(0, 1)
    assert torch.equal(restorer.restore(given), expected)
