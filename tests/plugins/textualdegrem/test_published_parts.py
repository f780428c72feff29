"""Stable Diffusion and CLIP as published: found in the cache, held to their digests, and never fetched to plan."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from restorebench_textualdegrem import published
from restorebench_textualdegrem.options import Generation, GuidedRestoration

from restorebench import TEN, MissingResource, Runtime
from restorebench.contract.catalog import discover
from restorebench.contract.errors import WeightsMismatch
from restorebench.plan.build import build
from restorebench.schedule.files import announced
from restorebench.suite import loading as suites
from restorebench.toolbox import weights

WORDS = ["a</w>", "photo</w>", "of</w>", "s</w>"]
PIECES = ["p", "h", "o", "t", "o</w>", "f</w>", "ph", "pho", "phot", "-", "<|startoftext|>", "<|endoftext|>"]
MERGES = ["#version: 0.2", "p h", "ph o", "pho t", "phot o</w>", "o f</w>"]


def runtime(cache):
    return Runtime("cpu", 1, cache, {}, True, TEN, lambda kind, name: None)


@pytest.fixture
def cache(parts, kept, tmp_path):
    """A hub's cache folder with tiny parts in place of the published ones, each file where a download puts it."""
    from transformers import CLIPConfig, CLIPModel

    kept["clip"].rename(tmp_path / "image tower")  # the published file holds both
    towers = {"text_config": parts.text.config.to_dict(), "vision_config": parts.vision.config.to_dict()}
    both = CLIPModel(CLIPConfig(**towers, projection_dim=8))
    both.vision_model.load_state_dict(parts.vision.state_dict())
    both.save_pretrained(kept["clip"])
    texts = {
        "vocab.json": json.dumps({word: number for number, word in enumerate(WORDS + PIECES)}),
        "merges.txt": "\n".join(MERGES) + "\n",
        "special_tokens_map.json": json.dumps({"pad_token": "<|endoftext|>"}),
        "tokenizer_config.json": json.dumps({"model_max_length": 77, "tokenizer_class": "CLIPTokenizer"}),
    }
    shutil.rmtree(kept["stable_diffusion"] / "tokenizer")
    (kept["stable_diffusion"] / "tokenizer").mkdir()
    for name, text in texts.items():
        (kept["stable_diffusion"] / "tokenizer" / name).write_text(text)
    for part, files in (("stable_diffusion", published.STABLE_DIFFUSION_FILES), ("clip", published.CLIP_FILES)):
        for file in files:
            owner, name = file.url.removeprefix("https://huggingface.co/").split("/")[:2]
            commit = tmp_path / "cache" / "hub" / f"models--{owner}--{name}"
            (commit / "refs").mkdir(parents=True, exist_ok=True)
            (commit / "refs" / "main").write_text("abc")
            inside = file.name.partition("/")[2]
            path = commit / "snapshots" / "abc" / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            (kept[part] / inside).rename(path)
    return tmp_path / "cache"


def settings(tmp_path):
    given = {"mapper": tmp_path / "mapper.pt", "clean_mapper": tmp_path / "clean.pt", "steps": 2}
    return Generation(stable_diffusion="published", clip="published", **given)


def test_published_parts_generate_what_the_same_parts_in_memory_do(cache, tmp_path):
    from restorebench_textualdegrem import tiny_diffusion
    from restorebench_textualdegrem.guidance_generation import Generator, load

    found = load(settings(tmp_path), runtime(cache), torch.float32)
    given = torch.rand(1, 3, 40, 30, generator=torch.Generator().manual_seed(0))
    brief = Generation(stable_diffusion="untrained", steps=2)
    whole = Generator(tiny_diffusion.parts(), brief, "cpu", torch.float32)
    assert torch.equal(found.parts.tokens(given), whole.parts.tokens(given))
    assert found(given).shape == whole(given).shape
    assert [each[0, :7].tolist() for each in found.parts.ids] == [[14] + [15] * 6, [14, 0, 1, 2, 0, 3, 15]]
    recorded = json.loads((cache / weights.LOCK).read_text())
    assert recorded.keys() == {file.url for file in (*published.STABLE_DIFFUSION_FILES, *published.CLIP_FILES)}


def test_parts_that_changed_since_their_first_use_are_refused(cache, tmp_path):
    from restorebench_textualdegrem.guidance_generation import load

    load(settings(tmp_path), runtime(cache), torch.float32)
    path = next(cache.glob("hub/*/snapshots/abc/vae/config.json"))
    path.write_text(path.read_text() + " ")
    with pytest.raises(WeightsMismatch, match=r"vae/config\.json: sha256 .* recorded at first use"):
        load(settings(tmp_path), runtime(cache), torch.float32)


def test_a_part_that_is_not_there_says_what_to_put_where(cache, tmp_path):
    from restorebench_textualdegrem.guidance_generation import load

    next(cache.glob("hub/*/snapshots/abc/unet/diffusion_pytorch_model.safetensors")).unlink()
    with pytest.raises(MissingResource) as caught:
        load(settings(tmp_path), runtime(cache), torch.float32)
    said, name = str(caught.value), "stable-diffusion-2-1-base/unet/diffusion_pytorch_model.safetensors"
    for part in ("offline", "licence CreativeML Open RAIL++-M, 3464 MB", f"put it at {cache / 'weights' / name}"):
        assert part in said
    assert "\n" not in said


def test_parts_put_there_by_hand_are_taken_all_or_none(cache, tmp_path):
    from restorebench_textualdegrem.guidance_generation import load

    (snapshot,) = cache.glob("hub/models--stabilityai*/snapshots/abc")
    by_hand = cache / "weights" / "stable-diffusion-2-1-base"
    (by_hand / "vae").mkdir(parents=True)
    (snapshot / "vae" / "config.json").rename(by_hand / "vae" / "config.json")
    with pytest.raises(MissingResource, match=r"stable-diffusion-2-1-base: one part is in .*; put all of it in"):
        load(settings(tmp_path), runtime(cache), torch.float32)
    for path in [path for path in snapshot.rglob("*") if path.is_file()]:
        target = by_hand / path.relative_to(snapshot)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)
    load(settings(tmp_path), runtime(cache), torch.float32)


def test_only_what_is_published_is_asked_for(tmp_path):
    def asked(**given):
        return published.guidance_files(GuidedRestoration(weights="untrained", **given))

    files = {"mapper": "m.pt", "clean_mapper": "c.pt"}
    both = {"stable_diffusion": "published", "clip": "published", **files}
    assert not asked()
    assert not asked(guidance="stable-diffusion", generation={"stable_diffusion": "untrained"})
    assert len(asked(guidance="stable-diffusion", generation=both)) == 13
    own = both | {"stable_diffusion": "sd"}
    assert [file.name.split("/")[0] for file in asked(guidance="stable-diffusion", generation=own)] == [
        "CLIP-ViT-H-14-laion2B-s32B-b79K"
    ] * 2


def test_planning_downloads_nothing(call, tmp_path, monkeypatch):
    def refuse(*given, **options):
        raise AssertionError("a download")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    monkeypatch.setenv("RESTOREBENCH_HOME", str(tmp_path / "home"))
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\ndatasets: [{name: synthetic, options: {crop: 32}}]\nrestorers:\n"
        "  - name: textual-nafnet\n    options:\n      weights: untrained\n      guidance: stable-diffusion\n"
        "      generation: {stable_diffusion: published, clip: published, mapper: m.pt, clean_mapper: c.pt}\n"
    )
    code, _, err = call("run", "s.yaml", "--dry-run")
    assert code == 0, err
    assert not Path(tmp_path / "home").exists()


def test_a_run_says_what_it_downloads_and_under_which_licence(tmp_path, monkeypatch):
    """Before anything is fetched; what is there already, and what is not fetched by us, is not counted."""
    cache = tmp_path / "cache"
    (cache / "weights" / "stable-diffusion-2-1-base" / "unet").mkdir(parents=True)
    (cache / "weights" / published.STABLE_DIFFUSION_FILES[1].name).write_bytes(b"")
    files = {"mapper": "m.pt", "clean_mapper": "c.pt"}
    generation = {"stable_diffusion": "published", "clip": "published", **files}
    options = {"weights": "untrained", "guidance": "stable-diffusion", "generation": generation}
    plan = planned(tmp_path, {"name": "textual-nafnet", "options": options}, "identity")
    jobs = [SimpleNamespace(mode="restore", cell=cell) for cell in plan.restorer_cells]
    hub = "https://huggingface.co"
    assert announced(plan, jobs, cache) == [
        f"downloads 10 files, 1698 MB, of {hub}/stabilityai/stable-diffusion-2-1-base (licence: CreativeML Open"
        f" RAIL++-M) to {cache}",
        f"downloads 2 files, 3944 MB, of {hub}/laion/CLIP-ViT-H-14-laion2B-s32B-b79K (licence: MIT) to {cache}",
    ]
    assert not announced(plan, jobs[1:], cache)


def planned(folder, *restorers):
    raw = {"suite": "s", "tasks": ["noisy"], "restorers": list(restorers), "clean_inputs": False}
    made = suites.made({**raw, "datasets": [{"name": "synthetic", "options": {"crop": 32}}]})
    return build(made, discover())
