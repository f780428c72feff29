"""Training of the three stages learns, goes on where it stopped, and writes files that the generation reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from restorebench_textualdegrem import checkpoint, cross_attention
from restorebench_textualdegrem.train.config import CleanMapperTraining, GuidedTraining, MapperTraining

from restorebench import MissingResource, RestorebenchError
from restorebench.toolbox import images
from restorebench.training.config import load
from restorebench.training.loop import train
from restorebench.training.optimising import rate

RECIPES = Path(checkpoint.__file__).parent / "train" / "recipes"
FIXTURES = Path(__file__).parents[2] / "parity" / "textualdegrem" / "fixtures"
CPU = torch.device("cpu")
DRAWN = {"backbones": {"stable_diffusion": "untrained"}, "patch": 32}
KINDS = {
    "mapper": (MapperTraining, DRAWN | {"words": 2}),
    "clean-mapper": (CleanMapperTraining, DRAWN),
    "restormer": (GuidedTraining, {"backbone": "restormer"}),
    "nafnet": (GuidedTraining, {"backbone": "nafnet"}),
    "promptir": (GuidedTraining, {"backbone": "promptir"}),
}
LOADERS = {"restormer": checkpoint.restormer, "nafnet": checkpoint.nafnet, "promptir": checkpoint.promptir}


def scene(seed, height=40, width=36):
    """A smooth coloured image."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 40
    waves = [np.sin(6 * rng.random() * rows + 9 * rng.random() * columns + channel) for channel in range(3)]
    return (0.5 + 0.5 * np.stack(waves, axis=-1)).astype(np.float32)


@pytest.fixture
def data(tmp_path):
    """Two pairs, dark and as they are, and their guidance, which is larger."""
    for number, name in enumerate("ab"):
        clean = scene(number)
        for side, shown in (("GT", clean), ("LQ", 0.4 * clean)):
            (tmp_path / "pairs" / "noisy" / side).mkdir(parents=True, exist_ok=True)
            images.write_png(tmp_path / "pairs" / "noisy" / side / f"{name}.png", shown)
        (tmp_path / "guidance").mkdir(exist_ok=True)
        images.write_png(tmp_path / "guidance" / f"{name}.png", scene(number, 24, 24))
    return tmp_path


@pytest.fixture
def options(data):
    """Make options of a stage: two samples a step, nothing but the pairs."""

    def make(kind, output="out", **given):
        model, more = KINDS[kind]
        base = {"output": data / output, "data": {"pairs": data / "pairs"}, "iterations": 4, "batch_size": 2}
        if model is GuidedTraining:
            more = more | {"size": "tiny", "patch": 16, "guidance": data / "guidance", "alike": "pixels"}
        else:
            pytest.importorskip("diffusers")
        return model(**base | {"schedule": "constant", "save_every": 2} | more | given)

    return make


def stage_of(chosen):
    from restorebench_textualdegrem.train.__main__ import STAGES

    (recipe,) = (recipe for recipe in STAGES.values() if recipe.options is type(chosen))
    return recipe.build(chosen, chosen.output)


def go(chosen, change=lambda stage: None):
    stage = stage_of(chosen)
    change(stage)
    return stage, train(stage, chosen, lambda text: None)


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_that_was_stopped_goes_on_bit_for_bit(options, kind):
    go(options(kind, "parts", iterations=2))
    found, entries = go(options(kind, "parts"))
    expected, whole = go(options(kind, "whole"))
    assert [entry["loss"] for entry in entries] == [entry["loss"] for entry in whole]
    one, two = found.module.state_dict(), expected.module.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in two)
    other, _ = go(options(kind, "other", seed=1))
    changed = other.module.state_dict()
    assert not all(torch.equal(changed[name], two[name]) for name in two)


@pytest.mark.parametrize("kind", ["restormer", "nafnet", "promptir"])
@pytest.mark.slow
def test_guided_networks_learn_a_handful_of_images(options, data, kind):
    settings = {"iterations": 20, "batch_size": 4, "learning_rate": 3e-3, "rates": {"masa": 1e-3}}
    chosen = options(kind, validation={"pairs": data / "pairs"}, validation_images=2, **settings)
    _, entries = go(chosen)
    assert entries[-1]["validation/gain"] > 6
    assert images.read_size(chosen.output / "validation" / "20" / "noisy-a.png") == (40, 108)


@pytest.mark.slow
def test_the_mapper_learns_a_handful_of_images(options, data):
    chosen = options(
        "mapper",
        validation={"pairs": data / "pairs"},
        validation_images=16,
        iterations=60,
        batch_size=4,
        learning_rate=1e-2,
    )
    stage = stage_of(chosen)
    start = stage.validate(stage.module, data, CPU)["loss"]
    assert train(stage, chosen, lambda text: None)[-1]["validation/loss"] < start - 0.05


@pytest.mark.slow
def test_the_clean_mapper_learns_a_handful_of_images(options, data):
    """Words hardly move a random Stable Diffusion: they are made to count, and still do little."""

    def louder(stage):
        for name, value in stage.parts.unet.named_parameters():
            if ".attn2.to_out." in name or ".attn2.to_v." in name:
                with torch.no_grad():
                    value.mul_(30)

    settings = {"iterations": 60, "batch_size": 4, "learning_rate": 1e-2, "validation_images": 16}
    chosen = options("clean-mapper", validation={"pairs": data / "pairs"}, **settings)
    stage = stage_of(chosen)
    louder(stage)
    start = stage.validate(stage.module, data, CPU)["loss"]
    _, entries = go(chosen, louder)
    assert entries[-1]["validation/loss"] < start - 0.008


def frozen_state(stage):
    """Return all tensors of the parts that a stage trains around."""
    parts = stage.parts
    held = {
        f"{index} {name}": value
        for index, each in enumerate(parts.networks)
        for name, value in each.state_dict().items()
    }
    return {name: value.clone() for name, value in held.items()}


def test_the_mapper_changes_its_projections_and_nothing_else_of_stable_diffusion(options):
    before = frozen_state(stage_of(options("mapper")))
    stage, _ = go(options("mapper"))
    after = frozen_state(stage)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    projections = {name for name in after if name.endswith(("attn2.to_k.weight", "attn2.to_v.weight"))}
    assert projections
    assert changed == projections
    assert not any("unet" in name or "vae" in name for name in stage.module.state_dict())


def test_the_clean_mapper_alone_learns(options):
    """The published code optimises and saves the Mapper instead."""
    chosen = options("clean-mapper")
    fresh = stage_of(chosen)
    before = frozen_state(fresh) | {f"mapper {name}": v for name, v in fresh.mapper.state_dict().items()}
    stage, _ = go(chosen)
    after = frozen_state(stage) | {f"mapper {name}": v for name, v in stage.mapper.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    start = fresh.module.state_dict()
    assert all(not torch.equal(value, start[name]) for name, value in stage.module.state_dict().items())


def test_a_mapper_that_was_trained_leads_the_generation_as_in_training(options):
    from restorebench_textualdegrem import tiny_diffusion

    stage, _ = go(options("mapper"))
    mapper, projections = checkpoint.mapper(options("mapper").output / "weights.pth")
    parts = tiny_diffusion.backbones().frozen()
    given = torch.rand(2, 3, 32, 32), torch.rand(2, 4, 16, 16), torch.tensor([3, 700])
    with torch.no_grad():
        untouched = parts.noise_in(*given[1:], parts.prompted(mapper(parts.tokens(given[0]))))
        cross_attention.overwrite(parts.unet, projections)
        found = parts.noise_in(*given[1:], parts.prompted(mapper(parts.tokens(given[0]))))
        expected = stage.module(*given[1:], stage.parts.tokens(given[0]))
    assert torch.equal(found, expected)
    assert not torch.equal(found, untouched)


def test_the_stages_read_each_others_files(options, kept):
    """The Mapper's file goes into stage two, and both go into the generation."""
    from restorebench_textualdegrem.guidance_generation import load as load_generation
    from restorebench_textualdegrem.options import Generation
    from restorebench_textualdegrem.train.drawing import runtime

    backbones = {name: kept[name] for name in ("stable_diffusion", "clip")}
    go(options("mapper", "one", backbones=backbones))
    files = {"mapper": options("mapper", "one").output / "weights.pth"}
    stage, _ = go(options("clean-mapper", "two", backbones=backbones, **files))
    assert torch.equal(
        stage.parts.unet.get_parameter("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight"),
        torch.load(files["mapper"])["mid_block_attentions_0_transformer_blocks_0_attn2_to_k.weight"],
    )
    files["clean_mapper"] = options("clean-mapper", "two").output / "weights.pth"
    generator = load_generation(Generation(**backbones, **files, steps=1), runtime(Path()), torch.float32)
    words = torch.rand(1, 2, 8)
    with torch.no_grad():
        assert torch.equal(generator.parts.clean_mapper(words), stage.module(words))


@pytest.mark.parametrize("kind", LOADERS)
def test_weights_of_guided_networks_are_read_by_their_restorer(options, kind):
    chosen = options(kind)
    stage, _ = go(chosen)
    assert list(torch.load(chosen.output / "weights.pth", weights_only=True)) == ["params"]
    network = LOADERS[kind](chosen.output / "weights.pth")
    given, guidance = torch.rand(1, 3, 17, 14), torch.rand(1, 3, 20, 33)
    with torch.no_grad():
        assert torch.equal(network(given, guidance), stage.module(given, guidance))


def shapes(tensors):
    return {name: list(value.shape) for name, value in tensors.items()}


def manifest(name):
    return {
        key: each["shape"] for key, each in json.loads((FIXTURES / f"manifest_{name}.json").read_text()).items()
    }


def test_a_mapper_of_full_size_is_written_in_the_published_layout():
    """592 tensors: twenty words, and the projections of all sixteen layers of Stable Diffusion 2.1."""
    diffusers = pytest.importorskip("diffusers")
    from restorebench_textualdegrem.train import mapper
    from restorebench_textualdegrem.words import Mapper

    with torch.device("meta"):
        unet = diffusers.UNet2DConditionModel(
            sample_size=64,
            cross_attention_dim=1024,
            attention_head_dim=(5, 10, 20, 20),
            use_linear_projection=True,
        )
        stage = SimpleNamespace(module=mapper._Trained(Mapper(), SimpleNamespace(unet=unet)))
    assert sum(value.numel() for value in unet.parameters()) == 865_910_724
    assert shapes(mapper.MapperStage.published(stage, stage.module)) == manifest("mapper")


@pytest.mark.parametrize(
    ("name", "backbone", "offsets"),
    [
        ("restormer_full_withbias", "restormer", True),
        ("restormer_full_biasfree", "restormer", False),
        ("nafnet_full", "nafnet", True),
        ("promptir_full", "promptir", True),
    ],
)
def test_networks_of_full_size_are_written_in_the_published_layout(name, backbone, offsets):
    from restorebench_textualdegrem.train import restorer

    with torch.device("meta"):
        network = restorer._BUILD["published"][backbone](offsets)
    held = restorer.RestorerStage.published(SimpleNamespace(module=network), network)
    assert shapes(held["params"]) == manifest(name)


def test_a_network_starts_as_its_backbone_and_learns_to_fuse(options):
    chosen = options("restormer")
    fresh = stage_of(chosen).module
    given, guidance = torch.rand(1, 3, 17, 14), torch.rand(1, 3, 20, 33)
    with torch.no_grad():
        assert torch.equal(fresh(given, guidance), fresh(given, given))
    trained = go(chosen)[0].module
    with torch.no_grad():
        assert not torch.equal(trained(given, guidance), trained(given, given))


def test_clip_sees_in_training_what_it_sees_in_the_generation(options, monkeypatch):
    """The published code lets it see black."""
    from restorebench_textualdegrem.clip_input import for_encoder

    stage = stage_of(options("mapper"))
    shown = []
    stage.parts.vision.register_forward_pre_hook(
        lambda module, given, named: shown.append(named["pixel_values"]), with_kwargs=True
    )
    batch = next(stage.batches(0, 0, 1))
    stage.loss(stage.module, batch, CPU)
    assert torch.equal(shown[0], for_encoder(batch["degraded"], 32))
    assert float(shown[0].std()) > 0.1


def test_stage_two_draws_the_clean_image_from_the_degraded_one(options):
    stage = stage_of(options("clean-mapper"))
    encoded, seen = [], []
    encode, tokens = stage.parts.vae.encode, stage.parts.vision.forward
    stage.parts.vae.encode = lambda given: encoded.append(given) or encode(given)
    stage.parts.vision.forward = lambda pixel_values: (
        seen.append(pixel_values) or tokens(pixel_values=pixel_values)
    )
    batch = next(stage.batches(0, 0, 1))
    stage.loss(stage.module, batch, CPU)
    assert torch.equal(encoded[0], 2 * batch["clean"] - 1)
    from restorebench_textualdegrem.clip_input import for_encoder

    assert torch.equal(seen[0], for_encoder(batch["degraded"], 32))


def test_noise_is_that_of_the_sample_and_as_strong_as_its_time_says():
    pytest.importorskip("diffusers")
    from restorebench_textualdegrem import tiny_diffusion
    from restorebench_textualdegrem.train.drawing import noisy

    parts = tiny_diffusion.backbones().frozen()
    shown = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        together = noisy(parts, shown, torch.tensor([5, 6, 7]), 0)
        alone = noisy(parts, shown[1:2], torch.tensor([6]), 0)
        mean = parts.vae.encode(2 * shown - 1).latent_dist.mean * parts.vae.config.scaling_factor
    assert torch.equal(together.noise[1:2], alone.noise)
    assert torch.equal(together.times[1:2], alone.times)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    share = (1 - betas).cumprod(0)[together.times][:, None, None, None]
    clean = (together.latents - (1 - share).sqrt() * together.noise) / share.sqrt()
    spread = parts.vae.encode(2 * shown - 1).latent_dist.std * parts.vae.config.scaling_factor
    assert float(((clean - mean) / spread).abs().max()) < 6, (
        "what the encoder says, give or take what it is unsure of"
    )
    many = noisy(parts, shown[:1].expand(400, -1, -1, -1), torch.arange(400), 0)
    assert 0 <= int(many.times.min()) < 25
    assert 975 < int(many.times.max()) < 1000
    assert float(many.noise.mean()) == pytest.approx(0, abs=0.02)
    assert float(many.noise.std()) == pytest.approx(1, abs=0.02)


# ---------------------------------------------------------------- the part of the guidance that a patch sees


def test_windows_lie_a_quarter_of_their_side_apart():
    from restorebench_textualdegrem.train.reference import windows

    image = np.random.default_rng(0).random((512, 520, 3), dtype=np.float32)
    found = windows(image, 384)
    assert found.shape == (4, 384, 384, 3)
    for window, (top, left) in zip(found, [(0, 0), (0, 96), (96, 0), (96, 96)], strict=True):
        assert np.array_equal(window, image[top : top + 384, left : left + 384])


@pytest.mark.parametrize("choice", ["pixels", "untrained"])
def test_the_window_that_looks_like_the_patch_is_chosen(choice):
    if choice == "untrained":
        pytest.importorskip("transformers")
    from restorebench_textualdegrem.train.drawing import runtime
    from restorebench_textualdegrem.train.reference import features_of, most_alike

    generator = torch.Generator().manual_seed(0)
    candidates = torch.rand(2, 5, 3, 32, 32, generator=generator)
    seen = torch.stack((candidates[0, 3], candidates[1, 1])) * 0.9 + 0.02
    found = most_alike(features_of(choice, runtime(Path())), seen, candidates)
    assert torch.equal(found, torch.stack((candidates[0, 3], candidates[1, 1])))


def test_guidance_is_not_turned_with_its_patch(options, data):
    from restorebench_textualdegrem.guidance_folder import GuidanceFolder
    from restorebench_textualdegrem.train.reference import windows

    stage = stage_of(options("restormer", batch_size=16))
    batch = next(stage.batches(0, 0, 1))
    turned = 0
    for index, number in enumerate(batch["number"].tolist()):
        name = stage_pair(stage, number).name
        expected = images.to_tensor(list(windows(GuidanceFolder(data / "guidance").image(name), 16)))
        assert torch.equal(batch["windows"][index], expected)
        views = [batch["seen"][index].rot90(k, (1, 2)) for k in range(4)]
        views += [view.flip(1) for view in views]
        assert any(torch.equal(batch["degraded"][index], view) for view in views)
        turned += not torch.equal(batch["degraded"][index], batch["seen"][index])
    assert turned > 8


def stage_pair(stage, number):
    from restorebench.training.data import Pairs

    return Pairs(stage.source, stage.options)[number]


def test_guidance_that_is_missing_or_does_not_fit_is_named_before_anything_runs(options, data):
    images.write_png(data / "guidance" / "b.png", scene(1, 24, 20))
    with pytest.raises(
        RestorebenchError, match=r"a\.png has 24 x 24 px, b\.png has 24 x 20 px; in training all must"
    ):
        stage_of(options("restormer"))
    with pytest.raises(RestorebenchError, match=r"a\.png has 24 x 24 px, smaller than a patch of 32 px"):
        images.write_png(data / "guidance" / "b.png", scene(1, 24, 24))
        stage_of(options("restormer", patch=32))
    (data / "guidance" / "b.png").unlink()
    with pytest.raises(MissingResource, match=r"no image for noisy/b; expected noisy/b\.png"):
        stage_of(options("restormer"))


def test_a_dinov2_that_is_not_there_is_missing(options, data, monkeypatch):
    pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(MissingResource, match=r"dino: no config\.json; put DINOv2 ViT-B/14 there.*Apache-2\.0"):
        stage_of(options("restormer", alike=data / "dino"))
    with pytest.raises(MissingResource, match=r"dinov2-base/config\.json is not in .*licence Apache-2\.0"):
        stage_of(options("restormer", alike="published"))


def test_without_the_extra_training_says_how_to_install_it(options, monkeypatch):
    for kind, given, what, lacking in (
        ("mapper", {}, "Stable Diffusion", "diffusers"),
        ("restormer", {"alike": "published"}, "DINOv2", "transformers"),
    ):
        chosen = options(kind, **given)
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, lacking, None)
            with pytest.raises(MissingResource, match=rf"{what} needs {lacking}: pip install 'restorebench\[diff"):
                stage_of(chosen)


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("mapper", {"average": {"decay": 0.9}}, "average"),
        ("clean-mapper", {"mapper": "m.pth"}, "the untrained one has its own"),
        ("clean-mapper", {"backbones": {"stable_diffusion": "sd", "clip": "c"}}, "a Stable Diffusion needs one"),
        ("nafnet", {"offsets": False}, "offsets: nafnet always has offsets"),
        ("nafnet", {"guidance": None, "validation_guidance": "x"}, "validation_guidance: give `guidance` too"),
    ],
)
def test_options_of_training_that_do_not_go_together_are_refused(options, kind, given, message):
    with pytest.raises(ValidationError, match=message):
        options(kind, **given)


# ---------------------------------------------------------------- recipes and the command


def test_recipes_say_what_is_published(tmp_path):
    given = [f"output={tmp_path}", "data.pairs=pairs"]
    mapper = load(RECIPES / "mapper.yaml", MapperTraining, given)
    clean = load(RECIPES / "clean-mapper.yaml", CleanMapperTraining, [*given, "mapper=m.pth"])
    for chosen in (mapper, clean):
        assert chosen.learning_rate == pytest.approx(1e-6 * 4 * 4 * 4)  # accumulation, batch, processes
        assert (chosen.batch_size, chosen.accumulate, chosen.iterations, chosen.patch) == (4, 4, 200_000, 512)
        assert (chosen.betas, chosen.epsilon, chosen.weight_decay) == ((0.9, 0.999), 1e-8, 1e-2)
        assert (chosen.clip_norm, chosen.schedule, chosen.warm_up) == (1, "constant", 0)
    guided = load(RECIPES / "restorer.yaml", GuidedTraining, [*given, "guidance=g"])
    assert (guided.batch_size, guided.patch, guided.seed, guided.clip_norm) == (8, 384, 100, 0.01)
    assert guided.iterations == 1_000_000
    for done, main, fusion in (
        (0, 2e-4, 1e-4),
        (306_000, 3e-4, 3e-4),
        (500_000, 1.6403467679e-4, 8.2107703530e-5),
    ):
        assert rate(guided, done + 1) == pytest.approx(main, rel=1e-9)
        assert rate(guided, done + 1, guided.rates["masa"]) == pytest.approx(fusion, rel=1e-9)


@pytest.mark.parametrize("kind", ["mapper", "clean-mapper", "restormer"])
def test_the_command_trains(data, capsys, monkeypatch, kind):
    pytest.importorskip("diffusers")
    from restorebench_textualdegrem.train.__main__ import main

    monkeypatch.chdir(data)
    stage = kind if "mapper" in kind else "restorer"
    given = ["output=out", "data.pairs=pairs", "iterations=2", "batch_size=2", "patch=16", "workers=0"]
    if stage == "restorer":
        given += ["backbone=restormer", "size=tiny", "guidance=guidance", "alike=untrained"]
    else:
        given += ["backbones={stable_diffusion: untrained}", "accumulate=1"]
    main([stage, stage, *(word for each in given for word in ("--set", each))])
    assert "2/2 loss" in capsys.readouterr().out
    assert (data / "out" / "weights.pth").is_file()
    wrong = ["output=x", "data.limit=1", *(["mapper=m"] if stage == "clean-mapper" else [])]
    with pytest.raises(SystemExit, match=r"error: .*data: .*give either"):
        main([stage, stage, *(word for each in wrong for word in ("--set", each))])
