"""What small models need beside the published ones: a tower without language, words as rows, whole contexts."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import scipy.fft
import torch
from restorebench_daclip import checkpoint
from restorebench_daclip.controller import Controller
from restorebench_daclip.detector import DACLIPDetector
from restorebench_daclip.options import DACLIPDetection, DACLIPRestoration
from restorebench_daclip.restorers import DACLIPIRSDE
from restorebench_daclip.tower import SpectralPatches, Tower, TowerConfig
from restorebench_daclip.train import typical
from restorebench_daclip.train.config import ControllerTraining, RestorerTraining, TowerTraining
from restorebench_daclip.train.controller import ControllerStage
from restorebench_daclip.train.restorer import RestorerStage
from restorebench_daclip.train.tower import TowerStage
from restorebench_daclip.unet import UNet, UNetConfig

from restorebench import CLEAN, TEN, TEN_NAMES, Batch, Detection, RestorebenchError, Runtime
from restorebench.toolbox import images, weights
from restorebench.toolbox.clip_images import MEAN, STD, for_clip
from restorebench.training import packing
from restorebench.training.loop import train
from restorebench.training.losses import spectrum_distance

SMALL = TowerConfig(image_size=32, patch_size=8, width=64, layers=2, embedding=16)


def runtime(tmp_path):
    return Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    for name in range(4):
        image = np.random.default_rng(name).random((48, 56, 3)).astype(np.float32)
        images.write_png(folder / f"{name}.png", image)
    return folder


@pytest.fixture(scope="module")
def tower_file(photographs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tower")
    sizes = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 2, "embedding": 16}
    options = TowerTraining(
        output=folder, data={"clean": photographs, "tasks": ["noisy"]}, iterations=2, batch_size=4, **sizes
    )
    train(TowerStage(options, folder), options, lambda text: None)
    return folder / "weights.pth"


def controller_options(photographs, tower_file, output, **given):
    return ControllerTraining(
        **{
            "output": output,
            "data": {"clean": photographs, "clean_share": 0.5},
            "model": "tower",
            "pretrained": tower_file,
            "loss": "supervised",
            "crop": "native",
            "clean_content": True,
            "iterations": 2,
            "batch_size": 4,
            **given,
        }
    )


@pytest.fixture(scope="module")
def controller_file(photographs, tower_file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("controller")
    options = controller_options(photographs, tower_file, folder, validation={"clean": photographs})
    history = train(ControllerStage(options, folder), options, lambda text: None)
    assert 0 <= history[-1]["validation/false_alarms"] <= 1
    return folder / "weights.pth"


# ---------------------------------------------------------------- the tower


def test_spectral_patches_see_the_cosine_transform_of_blocks():
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    patches = SpectralPatches(8, 4)
    found = torch.nn.functional.conv2d(image, patches.basis, stride=8, groups=3)
    for channel in range(3):
        block = image[0, channel, 8:, :8].numpy()
        expected = scipy.fft.dctn(block, norm="ortho").flatten()
        ours = found[0, 64 * channel : 64 * (channel + 1), 1, 0].numpy()
        assert np.abs(ours - expected).max() < 5e-6


def test_sizes_of_a_tower_are_read_off_its_file(tower_file):
    tower = checkpoint.tower_of(tower_file, ("one", "two"))
    assert tower.config == SMALL
    assert tower.rows.shape == (2, 16)


def test_another_file_is_no_tower(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(RestorebenchError, match=r"x\.pth: no conv1\.mix\.weight"):
        checkpoint.tower_of(tmp_path / "x.pth", ())


def test_words_are_looked_up_and_mixtures_are_their_mean():
    controller = Controller(Tower(SMALL, ("noisy", "hazy", CLEAN)))
    noisy, both = controller.encode_text(["noisy", "hazy, noisy"])
    assert torch.equal(noisy, controller.clip.rows[0])
    assert torch.allclose(both, controller.clip.rows[:2].mean(0))
    with pytest.raises(RestorebenchError, match="'foggy': these weights know no language, only the words noisy"):
        controller.encode_text(["foggy"])


def test_what_is_told_is_a_typical_feature_and_a_mixture_their_mean():
    controller = Controller(Tower(SMALL, ("noisy", "hazy", CLEAN)))
    assert not controller.tellable
    controller.clip.typical = torch.rand(3, 16)
    noisy, both = controller.encode_told(["noisy", "hazy, noisy"])
    assert controller.tellable
    assert torch.equal(noisy, controller.clip.typical[0])
    assert torch.allclose(both, controller.clip.typical[:2].mean(0))


# ---------------------------------------------------------------- the controller


def test_the_native_crop_neither_resizes_nor_rounds():
    image = torch.rand(1, 3, 20, 9).mul(255).round() / 255
    seen = for_clip(image, 12, "native")
    pixels = seen * torch.tensor(STD)[:, None, None] + torch.tensor(MEAN)[:, None, None]
    assert pixels.shape == (1, 3, 12, 12)
    assert torch.allclose(pixels[..., 1:10], image[:, :, 4:16], atol=1e-6)
    assert torch.allclose(pixels[..., 0], image[:, :, 4:16, 0], atol=1e-6), "what is smaller is mirrored"


def test_typical_features_are_measured_into_the_file(photographs, controller_file, tmp_path, capsys):
    path = tmp_path / "c.pth"
    shutil.copy(controller_file, path)
    files = {"weights": unet_file(tmp_path), "controller": path, "contexts": "told"}
    with pytest.raises(RestorebenchError, match=r"c\.pth has no language and no typical features; `python -m"):
        DACLIPIRSDE(DACLIPRestoration(**files), runtime(tmp_path))
    typical.main([str(path), "--clean", str(photographs), "--count", "2"])
    before, after = (checkpoint.controller_of(file) for file in (controller_file, path))
    assert before.clip.typical is None
    state = after.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in before.state_dict().items())
    assert (after.words, after.crop) == (before.words, before.crop)
    again = typical.measure(before, photographs, 2, 0)
    assert torch.equal(after.clip.typical, again)
    single = typical.measure(before, photographs, 1, 0)
    clean = [before.seen(images.to_tensor([images.read(each)])) for each in sorted(photographs.iterdir())]
    with torch.no_grad():
        known = [before.encode_image(each).degradation[0] for each in clean]
    assert min(float((single[-1] - each).abs().max()) for each in known) < 1e-5, "one photograph is its own mean"
    restorer = DACLIPIRSDE(DACLIPRestoration(**files), runtime(tmp_path))
    given = Batch(torch.rand(1, 3, 40, 40), (Detection(frozenset({"hazy"})),), (0,), (40, 40))
    index = after.words.index("hazy")
    assert torch.equal(restorer.contexts(given).degradation[0], after.clip.typical[index])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["missing.pth", "--clean", "."], r"missing\.pth"),
        (["{language}", "--clean", "."], "has language, and needs no typical features"),
        (["{file}", "--clean", "nowhere"], "nowhere: no such folder"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(arguments, complaint, controller_file, tmp_path):
    torch.save(Controller.of(checkpoint.TINY_CONTROLLER).state_dict(), tmp_path / "language.pt")
    shutil.copy(controller_file, tmp_path / "c.pth")
    files = {"language": tmp_path / "language.pt", "file": tmp_path / "c.pth"}
    with pytest.raises(SystemExit, match=f"^error: .*{complaint}"):
        typical.main([each.format(**files) for each in arguments])
    assert (tmp_path / "c.pth").read_bytes() == controller_file.read_bytes()


def test_a_packed_file_is_not_overwritten_by_another_format(controller_file, photographs, tmp_path):
    path = tmp_path / "packed.safetensors"
    packing.pack(controller_file, path, half=False)
    before = path.read_bytes()
    with pytest.raises(
        SystemExit, match=r"^error: .*packed\.safetensors: packed already; run this on the weights"
    ):
        typical.main([str(path), "--clean", str(photographs), "--count", "1"])
    assert path.read_bytes() == before


def unet_file(folder):
    unet = UNet(UNetConfig(features=32, multipliers=(1, 1, 1, 1), context=16))
    torch.save(unet.state_dict(), folder / "unet.pth")
    return folder / "unet.pth"


def test_words_learn_and_the_tower_stays(photographs, tower_file, controller_file, tmp_path):
    controller = checkpoint.controller_from(controller_file, runtime(tmp_path))
    before = checkpoint.tower_of(tower_file, ())
    after = controller.clip.visual.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.visual.state_dict().items())
    untouched = ControllerStage(controller_options(photographs, tower_file, tmp_path), tmp_path).controller
    assert not torch.equal(untouched.clip.rows, controller.clip.rows)
    assert controller.words == (*(task.prompt for task in TEN), CLEAN)
    assert controller.crop == "native"


@pytest.mark.parametrize(("crop", "expected"), [("native", "native"), ("whole", "center")])
@pytest.mark.parametrize("model", ["tower", "ViT-B-32"])
def test_files_say_what_the_controller_looked_at(photographs, tower_file, tmp_path, model, crop, expected):
    how = {"crop": crop, "model": model}
    if model != "tower":
        how["pretrained"] = "untrained"
    options = controller_options(photographs, tower_file, tmp_path, iterations=1, **how)
    train(ControllerStage(options, tmp_path), options, lambda text: None)
    assert checkpoint.controller_from(tmp_path / "weights.pth", runtime(tmp_path)).crop == expected


def test_clean_is_a_word_but_no_task(controller_file, tmp_path):
    detector = DACLIPDetector(DACLIPDetection(weights=controller_file), runtime(tmp_path))
    assert set(detector.names) == {*TEN_NAMES, CLEAN}
    probabilities = {"noisy": 0.2, CLEAN: 0.5, "hazy": 0.3}
    verdict = detector._verdict(probabilities)
    assert verdict.labels == frozenset()
    assert verdict.probabilities == {"noisy": 0.2, "hazy": 0.3}
    assert detector._verdict({"noisy": 0.6, CLEAN: 0.4}).labels == {"noisy"}
    wary = DACLIPDetector(DACLIPDetection(weights=controller_file, against_clean=2), runtime(tmp_path))
    assert wary._verdict({"noisy": 0.6, CLEAN: 0.4}).labels == frozenset()
    assert wary._verdict({"noisy": 0.7, CLEAN: 0.3}).labels == {"noisy"}


def test_all_views_are_parts_that_cover_the_image(controller_file, tmp_path):
    pixels = torch.rand(2, 3, 50, 32, generator=torch.Generator().manual_seed(0))
    parts = (pixels[:, :, :32], pixels[:, :, -32:])
    one = DACLIPDetector(DACLIPDetection(weights=controller_file), runtime(tmp_path))
    logarithms = torch.stack([one.probabilities(part).log() for part in parts])
    every = DACLIPDetector(DACLIPDetection(weights=controller_file, views="all"), runtime(tmp_path))
    assert torch.allclose(every.probabilities(pixels), logarithms.mean(dim=0).softmax(dim=-1), atol=1e-5)
    assert not torch.allclose(one.probabilities(pixels), logarithms.mean(dim=0).softmax(dim=-1), atol=1e-3)
    small = pixels[:, :, :20, :20]
    assert torch.equal(every.probabilities(small), one.probabilities(small))


def test_a_text_that_says_what_the_content_is_excludes_the_clean_image(photographs, tower_file, tmp_path):
    with pytest.raises(ValueError, match="a tower has no language"):
        controller_options(photographs, tower_file, tmp_path, loss="contrastive")
    with pytest.raises(ValueError, match="clean_content: captions say"):
        controller_options(photographs, tower_file, tmp_path, model="ViT-B-32", captions=tmp_path / "x.csv")


# ---------------------------------------------------------------- the restorer


def restorer_options(photographs, controller_file, output, **given):
    return RestorerTraining(
        **{
            "output": output,
            "data": {"clean": photographs, "reuse": {"slots": 10, "uses": 2}, "clean_share": 0.1},
            "controller": controller_file,
            "context": "whole",
            "prediction": "data",
            "features": 16,
            "multipliers": (1, 2, 2),
            "attention_from": 1,
            "spectrum": 0.05,
            "start_share": 0.25,
            "patch": 16,
            "iterations": 4,
            "batch_size": 5,
            **given,
        }
    )


def test_contexts_of_whole_images_survive_an_interruption(photographs, controller_file, tmp_path):
    """Those that are held when it stops are encoded anew after it, and must give the same bits."""
    options = {
        name: restorer_options(photographs, controller_file, tmp_path / name, schedule="constant", **given)
        for name, given in (("once", {}), ("twice", {"iterations": 3}))
    }
    for chosen in (*options.values(), options["twice"].model_copy(update={"iterations": 4})):
        train(RestorerStage(chosen, tmp_path), chosen, lambda text: None)
    one, other = (weights.read(tmp_path / folder / "weights.pth") for folder in options)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_a_share_of_steps_is_the_last_one(photographs, controller_file, tmp_path):
    stage = RestorerStage(restorer_options(photographs, controller_file, tmp_path, start_share=0.5), tmp_path)
    steps, _ = stage._draw(torch.arange(400), torch.zeros(1, 1, 1, 1))
    assert 160 < int((steps == 100).sum()) < 260


@pytest.mark.parametrize("start", [0, 1, 2])
def test_where_attention_begins_is_read_off_the_file(start, tmp_path):
    config = UNetConfig(features=32, multipliers=(1, 1, 1), context=16, attention_from=start)
    path = tmp_path / "unet.pth"
    torch.save(UNet(config).state_dict(), path)
    assert checkpoint.unet_from(path, runtime(tmp_path)).config == config


def test_the_spectrum_loss_is_that_of_numpy():
    given = [torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    difference, degraded, clean = given
    apart = np.fft.rfft2((difference - (clean - degraded)).numpy(), norm="ortho")
    expected = (np.abs(apart.real).mean() + np.abs(apart.imag).mean()) / 2
    assert float(spectrum_distance(difference, clean - degraded)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"multipliers": (1, 1)}, "multipliers: the last two levels are"),
        ({"attention_from": 3}, "attention_from: the last level, 2, always has attention"),
        ({"prediction": "noise"}, "spectrum: only the data head"),
    ],
)
def test_networks_that_cannot_be_are_refused(photographs, tmp_path, given, message):
    with pytest.raises(ValueError, match=message):
        restorer_options(photographs, "untrained", tmp_path, **given)
