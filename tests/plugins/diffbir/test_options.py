"""Options: defaults of the versions, and what does not go together."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from pydantic import ValidationError
from restorebench_diffbir import restorebench_restorers
from restorebench_diffbir.options import Guidance, Restoration, Stage1


def test_the_papers_version_is_the_default():
    chosen = Restoration()
    assert chosen.version == "v2"
    assert (chosen.chosen_sampler, chosen.chosen_steps, chosen.chosen_cfg) == ("spaced", 50, 4)
    assert chosen.cleaner_kind == "bsrnet"
    assert chosen.prompts == ("", "low quality, blurry, low-resolution, noisy, unsharp, weird textures")


@pytest.mark.parametrize(
    ("version", "expected"), [("v1", ("spaced", 50, 1.0)), ("v2.1", ("dpm++-3m-sde", 10, 6.0))]
)
def test_other_versions_bring_their_own_defaults(version, expected):
    chosen = Restoration(version=version)
    assert (chosen.chosen_sampler, chosen.chosen_steps, chosen.chosen_cfg) == expected


@pytest.mark.parametrize(
    ("version", "task", "kind"),
    [("v1", "bid", "swinir"), ("v2", "bid", "scunet"), ("v2", "bfr", "swinir"), ("v2.1", "bsr", "swinir")],
)
def test_version_and_task_decide_which_network_cleans(version, task, kind):
    assert Stage1(version=version, task=task).cleaner_kind == kind


def test_a_caption_comes_before_the_prompt():
    assert Restoration(caption="a dog", positive="sharp").prompts[0] == "a dog, sharp"
    assert Restoration(caption="a dog").prompts[0] == "a dog"
    assert Restoration(negative="").prompts[1] == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "v3"}, "v1"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"sampler": "ddim", "steps": 3}, "DDIM with 3 steps would leave the schedule"),
        ({"sampler": "edm"}, "Input should be 'spaced'"),
        ({"version": "v2.1", "start": "condition"}, "`start: condition` has no effect for v2.1"),
        ({"guidance": {"scale": 0.5}, "sampler": "ddim"}, "`guidance` needs `sampler: spaced`, not ddim"),
        ({"guidance": {"scale": 0.5}, "version": "v2.1"}, "`guidance` needs `sampler: spaced`, not dpm"),
        ({"guidance": {"scale": 0.5}, "vae_tile": 256}, "does not go with `vae_tile`"),
        ({"guidance": {"scale": 0.5}, "diffusion_tile": 512}, "does not go with `diffusion_tile`"),
        ({"diffusion_tile": 500}, "500 is not a multiple of 64"),
        ({"short_edge": 32}, "greater than or equal to 64"),
        ({"weights": "untrained", "control": "x.pth"}, "`control` does not go with `weights: untrained`"),
        ({"control": "DiffBIR_v2.1.pt"}, "has the file name of another version or task; v2 for bsr takes v2.pth"),
        ({"version": "v2.1", "control": "v2.pth"}, r"v2\.1 for bsr takes DiffBIR_v2\.1\.pt"),
        ({"version": "v1", "task": "bfr", "control": "a/v1_general.pth"}, "v1 for bfr takes v1_face.pth"),
        ({"cleaner": "scunet_color_real_psnr.pth"}, r"v2 for bsr takes BSRNet\.pth"),
        ({"base_repository": "not a repository"}, "String should match"),
        ({"base": "a/sd2.1-base-zsnr-laionaes5.ckpt"}, r"v2 for bsr takes v2-1_512-ema-pruned\.ckpt"),
        ({"version": "v2.1", "base": "v2-1_512-ema-pruned.ckpt"}, r"takes sd2\.1-base-zsnr-laionaes5\.ckpt"),
        ({"control": "DiffBIR_v2.1.safetensors"}, "has the file name of another version"),
        ({"sampler": "ddim", "eta": 0.5}, "`eta` has no effect with `sampler: ddim`, only with euler-a"),
        ({"churn": 5}, "`churn` has no effect with `sampler: spaced`"),
        ({"sampler": "dpm++-2m", "noise_scale": 0.5}, r"`noise_scale` has no effect with `sampler: dpm\+\+-2m`"),
        ({"sampler": "euler", "order": 2}, "`order` has no effect with `sampler: euler`, only with lms"),
        ({"upscale": 4}, "Extra inputs are not permitted"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        Restoration.model_validate(options)


def test_files_of_other_names_are_taken_for_what_they_are_said_to_be():
    assert Restoration(control="mine.safetensors").control.name == "mine.safetensors"
    assert Restoration(version="v1", task="bid", control="v1_general.pth").control.name == "v1_general.pth"


def test_guidance_is_off_until_it_has_a_scale():
    assert Guidance().scale == 0
    assert Restoration(sampler="ddim", steps=10, guidance={"repeats": 3}).guidance.repeats == 3


def test_cards_say_which_extra_they_need():
    assert {card.name: [*card.requires] for card in restorebench_restorers()} == {
        "diffbir": ["diffusers", "transformers", "spandrel"],
        "diffbir-stage1": ["spandrel"],
    }


WITHOUT = """
import sys
from importlib import util

HEAVY = ("torch", "diffusers", "transformers", "spandrel")
real = util.find_spec


def find_spec(name, *given):
    return None if name in HEAVY[1:] else real(name, *given)


util.find_spec = find_spec
sys.argv = ["restorebench", "list", "restorers", "--json"]
from restorebench.cli import main
try:
    main()
finally:
    print("imported:", *[name for name in HEAVY if name in sys.modules])
"""


def test_without_the_extra_both_are_listed_with_the_line_that_installs_it():
    answer = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    text, _, imported = answer.stdout.rpartition("imported:")
    assert imported.split() == []
    rows = {row["name"]: row for row in json.loads(text)}
    said = {name: row["unavailable"] for name, row in rows.items() if row.get("unavailable")}
    install = "pip install 'restorebench[diffbir]'"
    assert said["diffbir"] == f"needs diffusers: {install}"
    assert said["diffbir-stage1"] == f"needs spandrel: {install}"
    assert rows["diffbir"]["weights"].startswith("6")  # thousands of MiB
    assert "Open RAIL" in rows["diffbir"]["weights"]
