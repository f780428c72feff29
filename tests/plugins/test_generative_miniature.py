"""The suite that runs every stage of the generative methods, tiny and random, from YAML to the leaderboard."""

from __future__ import annotations

import csv
import importlib.util

import pytest

from restorebench.suite import loading as suites

EXTRA = [name for name in ("diffusers", "transformers", "spandrel") if importlib.util.find_spec(name) is None]
GUIDED = ("textual-restormer", "textual-nafnet", "textual-promptir")


@pytest.mark.slow
@pytest.mark.skipif(bool(EXTRA), reason=f"needs {', '.join(EXTRA)}: pip install 'restorebench[diffbir]'")
def test_every_stage_runs_from_yaml_to_the_leaderboard(call, tmp_path):
    code, out, err = call("run", "generative-miniature", "--out", "run", "--set", "tasks=[noisy]")
    assert code == 0, out + err
    with (tmp_path / "run" / "leaderboard.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["task"] in ("noisy", "clean")]
    suite = suites.load("generative-miniature").suite
    labels = {entry.label or entry.name for entry in suite.restorers}
    assert {row["restorer"] for row in rows} == labels
    assert {row["failed"] for row in rows} == {"0"}
    found = {row["restorer"]: row["psnr@rgb"] for row in rows if row["task"] == "noisy"}
    assert len({found[name] for name in labels}) == len(labels), "every row is another restorer"
    assert labels >= set(GUIDED), "each network is there"


@pytest.mark.parametrize("name", GUIDED)
def test_its_guidance_goes_through_every_stage(name):
    """From CLIP by way of both mappers to Stable Diffusion, and from there into the network."""
    (entry,) = (
        each
        for each in suites.load("generative-miniature").suite.restorers
        if each.name == name and not each.label
    )
    assert entry.options["guidance"] == "stable-diffusion"
    assert entry.options["generation"]["stable_diffusion"] == "untrained"
