"""Comparison of everything with arrays that the published code computed; see tests/parity/textualdegrem."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from restorebench_textualdegrem import guidance, sampling, words
from restorebench_textualdegrem.transformer import TransformerBlock

from tests.parity.comparing import Fixtures
from tests.parity.textualdegrem.__main__ import main
from tests.parity.textualdegrem.subjects import SUBJECTS, compare

FIXTURES = Fixtures(Path(__file__).with_name("fixtures"))
SOURCES = {"layout": "facts", "text_model": "text_injection"}  # file names that differ from the subject's name
LARGE = {"mapper_w20_full", "restormer_full_withbias_64x64", "nafnet_full_128x128"}
NEARBY = [
    name for name in SUBJECTS if list(FIXTURES.folder.glob(f"{SOURCES.get(name, name)}.*")) and name not in LARGE
]
ELSEWHERE = [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in SUBJECTS if name not in NEARBY
]


def held(name, fixtures):
    if name == "text_model":
        pytest.importorskip("transformers")
    rows = compare(name, fixtures)
    assert rows
    assert [row for row in rows if not row.holds] == []


@pytest.mark.parametrize("name", NEARBY)
def test_agrees_with_the_published_code(name):
    held(name, FIXTURES)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_agrees_with_the_published_code_where_its_arrays_are(name, shared):
    if not (shared / "parity" / "textual").is_dir():
        pytest.skip("the arrays of this method are not there")
    held(name, Fixtures(shared / "parity" / "textual"))


def failed(name):
    return {row.subject.removeprefix(f"{name} ") for row in compare(name, FIXTURES) if not row.holds}


def test_a_fusion_without_its_outer_residual_is_noticed(monkeypatch):
    """The comparison itself can fail."""
    right = guidance.fused
    monkeypatch.setattr(
        "restorebench_textualdegrem.restormer.fused", lambda blocks, features, transferred: features
    )
    assert failed("restormer_small_withbias_72x56") == {"restored, relative"}
    monkeypatch.setattr("restorebench_textualdegrem.restormer.fused", right)
    monkeypatch.setattr(
        "restorebench_textualdegrem.transformer.FusionBlock.forward",
        lambda self, features: features + self.alpha * (TransformerBlock.forward(self, features) - features),
    )
    assert failed("restormer_small_withbias_72x56") == {"restored, relative"}


def test_prompts_are_seen(monkeypatch):
    """Weights by rule make prompts tiny, so only a tight tolerance shows a wrong one."""
    monkeypatch.setattr(
        "restorebench_textualdegrem.promptir.Prompt.forward",
        lambda self, features: features.new_zeros(
            len(features), self.conv3x3.weight.shape[0], *features.shape[2:]
        ),
    )
    assert failed("promptir_small_64x64") == {"restored, relative"}


def test_guidance_led_the_wrong_way_is_noticed(monkeypatch):
    monkeypatch.setattr(sampling, "guided", lambda empty, text, scale=5.0: text + scale * (empty - text))
    assert failed("ddim_guidance") == {"latent1", "latent2", "latent3"}


def test_patches_that_are_summed_are_noticed(monkeypatch):
    def summed(self, tokens):
        return torch.nn.Sequential.forward(self, tokens).sum(dim=1)

    monkeypatch.setattr(words._WordNetwork, "mean", summed)
    assert {row.subject for row in compare("mapper_w2", FIXTURES) if not row.holds} == {"mapper w2 mapper_out"}


def test_the_command_prints_a_table(capsys):
    assert main([str(FIXTURES.folder), "ddim_guidance", "text_injection"]) == 0
    printed = capsys.readouterr().out
    assert "| ddim_guidance latent3 |" in printed
    assert "TOO FAR" not in printed
