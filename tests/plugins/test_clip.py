"""The CLIP zero-shot detector and the linear probe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image as Pillow
from restorebench_clip import probe, published
from restorebench_clip.backbone import ClipBackbone
from restorebench_clip.detectors import Probe, ZeroShot
from restorebench_clip.options import Backbone, ProbeOptions, ZeroShotOptions

from restorebench import TEN, TEN_NAMES, MissingResource, RestorebenchError, Runtime, UnknownName
from restorebench.testing import checks
from restorebench.toolbox import linear
from restorebench.toolbox.clip_images import for_clip
from restorebench.toolbox.files import file_digest


@pytest.fixture
def runtime(tmp_path):
    return Runtime("cpu", 1, tmp_path / "cache", {}, True, TEN, lambda kind, name: None)


@pytest.mark.parametrize("check", checks("detector", "clip-zero-shot"), ids=str)
def test_conformance(check):
    check()


def pictures(count=3):
    return torch.rand(count, 3, 40, 56, generator=torch.Generator().manual_seed(0))


def untrained(**given):
    return ZeroShotOptions(weights="untrained", **given)


def test_one_template_is_open_clips_own_recipe(runtime):
    detector = ZeroShot(untrained(templates=("a {} photo",)), runtime)
    clip, tokenizer = detector.backbone.clip, open_clip.get_tokenizer("ViT-B-32")
    with torch.no_grad():
        image = clip.encode_image(for_clip(pictures(), 224), normalize=True)
        text = clip.encode_text(tokenizer([f"a {task.prompt} photo" for task in TEN]), normalize=True)
        expected = (100 * image @ text.T).softmax(-1)
    for verdict, row in zip(detector.detect(pictures()), expected, strict=True):
        assert list(verdict.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-5)
        assert verdict.labels == {TEN_NAMES[int(row.argmax())]}


def test_the_temperature_divides_the_logits(runtime):
    def rows(**given):
        said = ZeroShot(untrained(**given), runtime).detect(pictures())
        return torch.tensor([list(verdict.probabilities.values()) for verdict in said]).double()

    usual, cooler = rows(), rows(temperature=0.005)
    assert torch.allclose(cooler, usual.square() / usual.square().sum(-1, keepdim=True), atol=1e-5)
    assert torch.equal(rows(temperature=0.01), usual)


def test_an_ensemble_is_the_mean_of_its_sentences(runtime):
    detector = ZeroShot(untrained(templates=("{}", "a {} photo"), prompts={"hazy": ("fog", "haze")}), runtime)
    sentences = ["fog", "a fog photo", "haze", "a haze photo"]
    assert torch.allclose(detector.texts[1], detector.backbone.ensemble(sentences))
    assert torch.linalg.vector_norm(detector.texts, dim=1) == pytest.approx(torch.ones(10))


def test_it_abstains_below_the_least_probability(runtime):
    verdict = ZeroShot(untrained(least=1.0), runtime).detect(pictures(1))[0]
    assert verdict.labels == frozenset()
    assert sum(verdict.probabilities.values()) == pytest.approx(1)


def test_weights_come_from_a_file_and_must_fit(runtime, tmp_path):
    clip = open_clip.create_model("ViT-B-32", load_weights=False)
    torch.save({"state_dict": clip.state_dict()}, tmp_path / "clip.pt")
    backbone = ClipBackbone(Backbone(weights=tmp_path / "clip.pt"), runtime)
    assert torch.equal(backbone.clip.visual.proj, clip.visual.proj)
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(RestorebenchError, match=r"other\.pt do not fit CLIP.*are these weights of ViT-B-32"):
        ClipBackbone(Backbone(weights=tmp_path / "other.pt"), runtime)


def test_a_tag_says_how_the_network_of_a_file_works(runtime, tmp_path):
    clip = open_clip.create_model("ViT-B-32", load_weights=False)
    torch.save(clip.state_dict(), tmp_path / "clip.pt")

    def activation(tag):
        backbone = ClipBackbone(Backbone(weights=tmp_path / "clip.pt", pretrained=tag), runtime)
        return type(backbone.clip.visual.transformer.resblocks[0].mlp.gelu).__name__

    assert (activation("openai"), activation("laion2b_s34b_b79k")) == ("QuickGELU", "GELU")


def test_a_tokenizer_that_cannot_be_had_stops_words_alone(runtime, monkeypatch):
    def absent(model):
        raise ModuleNotFoundError("No module named 'transformers'")

    monkeypatch.setattr(open_clip, "get_tokenizer", absent)
    backbone = ClipBackbone(Backbone(weights="untrained"), runtime)
    assert backbone.images(pictures(1)).shape == (1, 64)
    with pytest.raises(MissingResource, match=r"tokenizer of ViT-B-32 needs .* 'restorebench\[captions\]'"):
        backbone.ensemble(["noise"])


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"model": "ViT-B-33"}, UnknownName, "knows no 'ViT-B-33'"),
        (
            {"pretrained": "laion2b"},
            UnknownName,
            r"'laion2b' is not a tag of ViT-B-32 \(nearest: laion2b_.*; tags are",
        ),
        (
            {"pretrained": "opnai", "weights": "x.pt"},
            UnknownName,
            "nearest: openai.*the one that fits the file",
        ),
        ({"model": "ViT-B-16", "weights": "x.pt"}, UnknownName, r"is not a tag of ViT-B-16 .*\(15 in all\)"),
        ({"model": "ViT-M-16", "weights": "x.pt"}, MissingResource, r"x\.pt: no such file"),  # it has no tags
        ({"model": "ViT-M-16", "weights": "x.pt", "pretrained": "openai"}, UnknownName, "has no tags of ViT-M-16"),
        ({"model": "ViT-M-16"}, MissingResource, "no published weights of ViT-M-16; give a file"),
        ({"model": "nllb-clip-base", "weights": "untrained"}, RestorebenchError, "no small version"),
        ({"model": "ViT-bigG-14", "weights": "untrained"}, RestorebenchError, "no small version"),
        ({}, MissingResource, r"offline.*huggingface\.co/laion/CLIP-ViT-B-32.*put it at"),
        ({"prompts": {"fog": ("x",)}}, RestorebenchError, "no task called 'fog'"),
        ({"templates": ("no place",)}, RestorebenchError, "has no {} for the words"),
    ],
)
def test_what_cannot_be_had_is_one_line(runtime, given, error, message):
    with pytest.raises(error, match=message) as caught:
        ZeroShot(ZeroShotOptions(**given), runtime)
    assert "\n" not in str(caught.value)


def test_a_tag_that_a_user_names_is_no_path(call, tmp_path):
    Pillow.new("RGB", (40, 30)).save(tmp_path / "a.png")
    code, _, error = call(
        "detect", "a.png", "-m", "clip-zero-shot", "--option", "pretrained=openai", "--workers", "0"
    )
    assert code == 3
    assert "ViT-B-32-openai.safetensors" in error
    assert call("detect", "a.png", "-m", "clip-zero-shot", "--weights", "untrained", "--workers", "0")[0] == 0


# ---------------------------------------------------------------- probe


def examples(folder, count):
    """Write pictures of two classes that differ in colour alone."""
    rng = np.random.default_rng(0)
    for name, tint in (("hazy", (200, 200, 200)), ("clean", (20, 90, 30))):
        (folder / name).mkdir(parents=True)
        for place in range(count):
            noise = rng.integers(-20, 20, (48, 48, 3))
            Pillow.fromarray((np.array(tint) + noise).clip(0, 255).astype("uint8")).save(
                folder / name / f"{place}.png"
            )
    return folder


def test_a_probe_is_fitted_on_a_folder_and_detects(runtime, tmp_path, capsys):
    folder, output = examples(tmp_path / "examples", 6), tmp_path / "probe.npz"
    probe.main([str(folder), "--output", str(output), "--weights", "untrained", "--limit", "4"])
    assert "8 images of 2 classes; 100.0 % of them right" in capsys.readouterr().out
    detector = Probe(ProbeOptions(weights="untrained", probe=output), runtime)
    hazy, clean = (
        torch.from_numpy(np.array(Pillow.open(folder / name / "5.png"))).permute(2, 0, 1)[None] / 255
        for name in ("hazy", "clean")
    )
    assert detector.detect(hazy)[0].labels == {"hazy"}
    assert detector.detect(clean)[0].labels == frozenset()
    assert "clean" not in detector.detect(clean)[0].probabilities
    warm = Probe(ProbeOptions(weights="untrained", probe=output, temperature=2), runtime)
    odds = [d.detect(hazy)[0].probabilities["hazy"] for d in (detector, warm)]
    usual, warmer = (chance / (1 - chance) for chance in odds)
    assert warmer == pytest.approx(usual**0.5, rel=1e-4)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"model": "ViT-B-16"}, "model ViT-B-32, not ViT-B-16"),  # whose features are as many
        ({"crop": "whole"}, "crop center, not whole"),
    ],
)
def test_a_probe_of_another_clip_is_refused(runtime, tmp_path, other, message):
    output = tmp_path / "probe.npz"
    arguments = ["--output", str(output), "--weights", "untrained"]
    probe.main([str(examples(tmp_path / "examples", 2)), *arguments])
    with pytest.raises(RestorebenchError, match=rf"another CLIP \({message}\).*fit it anew"):
        Probe(ProbeOptions(weights="untrained", probe=output, **other), runtime)
    replace(linear.read(output), about={}).save(output)
    with pytest.raises(RestorebenchError, match="does not say which CLIP"):
        Probe(ProbeOptions(weights="untrained", probe=output), runtime)


def test_other_weights_of_a_model_are_another_clip(runtime, tmp_path):
    for name in ("a.pt", "b.pt"):
        torch.save(open_clip.create_model("ViT-S-32", load_weights=False).state_dict(), tmp_path / name)
    identities = [
        ClipBackbone(Backbone(model="ViT-S-32", weights=tmp_path / n), runtime).identity()
        for n in ("a.pt", "b.pt")
    ]
    assert identities[0]["weights"] == file_digest(tmp_path / "a.pt") != identities[1]["weights"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"\x93NUMPY"])
def test_a_broken_file_of_coefficients_is_named(runtime, tmp_path, content):
    (tmp_path / "probe.npz").write_bytes(content)
    with pytest.raises(RestorebenchError, match=r"probe\.npz: not the coefficients"):
        Probe(ProbeOptions(weights="untrained", probe=tmp_path / "probe.npz"), runtime)


ARRAYS = {"centre": np.zeros(3), "scale": np.ones(3), "weights": np.zeros((2, 3)), "bias": np.zeros(2)}
NAMES = {"names": np.array(["hazy", "noisy"])}


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"weights": np.zeros((3, 3))}, r"weights is \[3, 3\], not \[2, 3\]"),
        ({"bias": np.zeros(())}, r"bias is \[\]"),
        ({"scale": np.zeros(3)}, "scale is not positive"),
        ({"centre": np.full(3, np.nan)}, "centre is not finite"),
        ({"names": np.array(["hazy", "hazy"])}, "with different names"),
        ({"about": np.array("[1]")}, "about is not a mapping"),
        ({"about": np.array("{")}, "not the coefficients"),
    ],
)
def test_coefficients_must_fit_each_other(tmp_path, other, message):
    path = tmp_path / "probe.npz"
    np.savez(path, **(ARRAYS | NAMES))
    assert linear.read(path).names == ("hazy", "noisy")
    np.savez(path, **(ARRAYS | NAMES | other))
    with pytest.raises(RestorebenchError, match=rf"probe\.npz: not the coefficients .*{message}|{message}"):
        linear.read(path)


def test_one_array_is_no_file_of_coefficients(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "one.npy").rename(tmp_path / "one.npz")
    with pytest.raises(RestorebenchError, match=r"one\.npz: not the coefficients"):
        linear.read(tmp_path / "one.npz")


@pytest.mark.parametrize(
    ("folder", "output", "message"),
    [
        ("empty", "x.npz", "needs one per class"),
        ("nowhere", "x.npz", "nowhere: no such folder"),
        ("strange", "x.npz", "no task is called hazzy (nearest: hazy"),
        ("examples", "nowhere/x.npz", "give a file in a folder that exists"),
        ("examples", "empty", "give a file in a folder that exists"),
    ],
)
def test_what_cannot_be_fitted_is_said_before_any_image_is_read(
    tmp_path, capsys, monkeypatch, folder, output, message
):
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "strange/hazzy", "strange/noisy", "examples/hazy", "examples/.hidden", "examples/clean"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setattr(probe, "described", None)
    with pytest.raises(SystemExit):
        probe.main([folder, "--output", output, "--weights", "untrained"])
    assert message in capsys.readouterr().err


def test_downloads_of_a_fit_go_where_those_of_a_run_go(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("RESTOREBENCH_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("RESTOREBENCH_OFFLINE", "1")
    with pytest.raises(SystemExit):
        probe.main([str(examples(tmp_path / "examples", 1)), "--output", str(tmp_path / "x.npz")])
    error = capsys.readouterr().err
    assert f"is not in {tmp_path / 'caches' / 'restorebench'} and cannot be downloaded (offline)" in error


def test_the_default_weights_are_known_as_open_clip_knows_them():
    options = ZeroShotOptions()
    (file,) = published.files(options)
    config = open_clip.get_pretrained_cfg(options.model, options.pretrained)
    assert file == published.weight_file(options.model, options.pretrained, config["hf_hub"].strip("/"))
    assert published.files(ZeroShotOptions(weights="untrained")) == ()
    (other,) = published.files(ZeroShotOptions(pretrained="openai"))
    assert other.url == ""
