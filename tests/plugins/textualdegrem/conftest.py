"""Tiny random parts of the generation, in memory and in files; without the extra, tests of them are skipped."""

from __future__ import annotations

import json

import pytest
import torch

LETTERS = ["a</w>", "photo</w>", "of</w>", "s</w>", "<|startoftext|>", "<|endoftext|>"]


@pytest.fixture
def parts():
    """All parts, with both mappers."""
    pytest.importorskip("diffusers")
    pytest.importorskip("transformers")
    from restorebench_textualdegrem import tiny_diffusion

    return tiny_diffusion.parts()


@pytest.fixture
def kept(parts, tmp_path):
    """Keep the tiny parts as the large ones are kept; returns the options that name them."""
    from restorebench_textualdegrem import cross_attention
    from transformers import CLIPTokenizer

    sd = tmp_path / "sd"
    for name, part in (("unet", parts.unet), ("vae", parts.vae), ("text_encoder", parts.text)):
        part.save_pretrained(sd / name)
    parts.vision.save_pretrained(tmp_path / "clip")
    vocabulary = {letter: number for number, letter in enumerate(LETTERS)}
    CLIPTokenizer(vocabulary, [], model_max_length=77).save_pretrained(sd / "tokenizer")
    (sd / "scheduler").mkdir()
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "num_train_timesteps": 1000}
    (sd / "scheduler" / "scheduler_config.json").write_text(json.dumps(schedule))
    projections = {f"{name}.weight": layer.weight for name, layer in cross_attention.layers(parts.unet).items()}
    torch.save({**parts.mapper.state_dict(), **projections}, tmp_path / "mapper.pt")
    torch.save(parts.clean_mapper.state_dict(), tmp_path / "clean.pt")
    files = {"mapper": tmp_path / "mapper.pt", "clean_mapper": tmp_path / "clean.pt"}
    return {"stable_diffusion": sd, "clip": tmp_path / "clip", **files}
