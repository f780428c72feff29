"""Guidance by a tiny random Stable Diffusion, and what is said where its parts are missing."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from restorebench_textualdegrem import checkpoint, restorers
from restorebench_textualdegrem.backbones import INSTALL
from restorebench_textualdegrem.guidance_generation import Generator, load
from restorebench_textualdegrem.options import Generation, GuidedRestoration
from restorebench_textualdegrem.sampling import Schedule

from restorebench import TEN, Batch, MissingResource, RestorebenchError, Runtime

BRIEF = Generation(stable_diffusion="untrained", steps=2)


def runtime(cache=Path()):
    return Runtime("cpu", 1, cache, {}, True, TEN, lambda kind, name: None)


def drawn(count=2):
    return torch.rand(count, 3, 17, 23, generator=torch.Generator().manual_seed(0))


def test_guidance_is_an_image_in_steps_of_8_bits(parts):
    found = Generator(parts, BRIEF, "cpu", torch.float32)(drawn())
    assert found.shape == (2, 3, 32, 32)
    assert torch.equal((255 * found).round() / 255, found)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1


def test_as_many_steps_as_may_be_asked_for_stay_within_the_schedule():
    schedule = Schedule()
    assert max(schedule.times(999)) < schedule.trained


def test_the_library_warns_of_nothing(parts, caplog):
    import logging

    logger = logging.getLogger("diffusers")
    logger.addHandler(caplog.handler)
    try:
        Generator(parts, BRIEF, "cpu", torch.float32)
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.messages


def test_guidance_of_an_image_does_not_hang_on_its_batch(parts):
    generator = Generator(parts, BRIEF, "cpu", torch.float32)
    together, alone = generator(drawn()), generator(drawn()[1:])
    assert torch.allclose(together[1:], alone, atol=1.5 / 255)


def test_what_the_image_says_leads_the_guidance(parts):
    generator = Generator(parts, BRIEF, "cpu", torch.float32)
    empty, prompt = generator.texts(drawn())
    assert torch.allclose(empty[0], empty[1])
    assert float((prompt[0] - prompt[1]).abs().max()) > 1e-4
    assert torch.equal(prompt[:, :5], prompt[:1, :5].expand(2, -1, -1)), (
        "what precedes the words sees none of them"
    )


def test_the_noise_is_drawn_from_the_seed(parts):
    one, two = (
        Generator(parts, Generation(stable_diffusion="untrained", seed=seed), "cpu", torch.float32).noise(4, 8)
        for seed in (42, 43)
    )
    expected = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(42))
    assert torch.equal(one, expected)
    assert not torch.equal(one, two)


def test_a_restorer_generates_its_guidance(parts):
    options = GuidedRestoration(weights="untrained", guidance="stable-diffusion", generation=BRIEF)
    here = runtime()
    restorer = restorers.TextualRestormer(options, here)
    given = Batch(drawn(), (None,) * 2, (0, 1), (17, 23))
    restored = restorer.restore(given)
    assert restored.shape == given.degraded.shape
    plain = restorers.TextualRestormer(GuidedRestoration(weights="untrained"), here)
    assert not torch.equal(restored, plain.restore(given))


def test_overwriting_is_what_diffusers_attention_then_uses(parts):
    from restorebench_textualdegrem import cross_attention

    own = {
        f"{path.replace('.', '_')}_{name}.weight": 2 * module.get_parameter(f"{name}.weight").detach()
        for path, module in parts.unet.named_modules()
        if path.endswith("attn2")
        for name in ("to_k", "to_v")
    }
    assert len(own) == 2 * 4  # one down, one in the middle, two up
    given = torch.rand(1, 4, 16, 16), 5
    text = torch.rand(1, 7, 8)
    with torch.no_grad():
        before = parts.unet(*given, encoder_hidden_states=text).sample
        cross_attention.overwrite(parts.unet, own)
        after = parts.unet(*given, encoder_hidden_states=text).sample
    assert float((after - before).abs().max()) > 1e-6


@pytest.fixture
def folder(kept):
    """Options that name the tiny parts by their folders."""
    return Generation(**kept, steps=2)


def test_parts_are_loaded_from_their_folders(folder):
    found = load(folder, runtime(), torch.float32)
    assert [each.shape for each in found.parts.ids] == [(1, 77), (1, 77)]
    assert found(drawn(1)).shape == (1, 3, 32, 32)


def no_vae(folder):
    (folder.stable_diffusion / "vae" / "config.json").unlink()
    (folder.stable_diffusion / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    (folder.stable_diffusion / "vae").rmdir()


def no_clip(folder):
    (folder.clip / "config.json").unlink()


def another_prediction(folder):
    path = folder.stable_diffusion / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({"prediction_type": "v_prediction"}))


def an_empty_schedule(folder):
    (folder.stable_diffusion / "scheduler" / "scheduler_config.json").write_text("{}")


def another_mapper(folder):
    state = torch.load(folder.mapper)
    torch.save({name: value for name, value in state.items() if "mid_block" not in name}, folder.mapper)


def fewer_words(folder):
    torch.save(checkpoint.untrained(lambda: checkpoint.CleanMapper(1, 8, 8)).state_dict(), folder.clean_mapper)


def fewer_tensors(folder):
    from safetensors.torch import load_file, save_file

    path = folder.clip / "model.safetensors"
    kept = {name: value for name, value in load_file(path).items() if "layers.0.mlp" not in name}
    save_file(kept, path, metadata={"format": "pt"})


def empty_weights(folder):
    (folder.stable_diffusion / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")


def kernels(folder):
    """What transformers takes for layers whose code it gets from the hub, where `kernels` is installed."""
    path = folder.stable_diffusion / "text_encoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "attn_implementation": "evil/kernel"}))


def kernels_within(folder):
    path = folder.clip / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "vision_config": {"_attn_implementation": "e/k"}}))


def nested_deeply(folder):
    (folder.clip / "config.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (kernels, RestorebenchError, "text_encoder/config.json: names code for its layers"),
        (kernels_within, RestorebenchError, "config.json: names code for its layers"),
        (nested_deeply, RestorebenchError, "config.json: unreadable"),
        (no_vae, MissingResource, r"sd: no folder `vae`; put Stable Diffusion 2\.1-base there.*licence"),
        (no_clip, MissingResource, r"clip: no config\.json; put CLIP ViT-H/14 there.*licence"),
        (another_prediction, RestorebenchError, "prediction_type is 'v_prediction'"),
        (an_empty_schedule, RestorebenchError, "scheduler: no beta_start; take that of Stable Diffusion"),
        (another_mapper, RestorebenchError, r"mapper\.pt: 2 projections of cross-attention do not fit"),
        (fewer_words, RestorebenchError, r"clean\.pt: 1 words of 8 channels, but the Mapper gives 2 of 8"),
        (fewer_tensors, RestorebenchError, r"clip: no complete CLIPVisionModel: 4 tensors are missing"),
        (empty_weights, RestorebenchError, r"unet: no UNet2DConditionModel can be loaded"),
    ],
)
def test_what_is_missing_or_wrong_is_said_in_one_line(folder, spoil, kind, message):
    spoil(folder)
    with pytest.raises(kind, match=message) as caught:
        load(folder, runtime(), torch.float32)
    assert "\n" not in str(caught.value)


def test_without_the_extra_the_command_that_installs_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(MissingResource, match="Stable Diffusion needs diffusers: pip install") as caught:
        load(BRIEF, runtime(), torch.float32)
    assert str(caught.value).endswith(INSTALL)
