"""Guidance that is generated for a folder is the guidance that a restorer would generate itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from restorebench_textualdegrem import restorers
from restorebench_textualdegrem.options import GuidedRestoration

from restorebench import TEN, Batch, Runtime
from restorebench.toolbox import images

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

from restorebench_textualdegrem.generate import main

BRIEF = {"stable_diffusion": "untrained", "steps": 2}
GIVEN = ["--stable-diffusion", "untrained", "--steps", "2"]


@pytest.fixture
def folder(tmp_path):
    """Two images of different sizes."""
    rng = np.random.default_rng(0)
    (tmp_path / "LQ").mkdir()
    for name, size in (("a", (17, 23)), ("b", (30, 20))):
        images.write_png(tmp_path / "LQ" / f"{name}.png", rng.random((*size, 3), dtype=np.float32))
    return tmp_path


def test_a_folder_restores_as_generation_does(folder, capsys):
    main([str(folder / "LQ"), str(folder / "guidance" / "noisy"), *GIVEN])
    assert capsys.readouterr().out == f"2 images in {folder / 'guidance' / 'noisy'}\n"
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, lambda kind, name: None)
    generating, reading = (
        restorers.TextualNAFNet(GuidedRestoration(weights="untrained", **each), runtime)
        for each in (
            {"guidance": "stable-diffusion", "generation": BRIEF},
            {"guidance": "folder", "guidance_folder": folder / "guidance"},
        )
    )
    for name in "ab":
        given = images.to_tensor([images.read(folder / "LQ" / f"{name}.png")])
        batch = Batch(given, (None,), (0,), tuple(given.shape[-2:]), samples=(f"noisy/{name}",))
        assert torch.equal(generating.restore(batch), reading.restore(batch))


def test_what_is_there_stays_and_the_rest_is_made(folder, capsys):
    kept = np.zeros((4, 4, 3), np.float32)
    (folder / "out").mkdir()
    images.write_png(folder / "out" / "a.png", kept)
    main([str(folder / "LQ"), str(folder / "out"), *GIVEN])
    assert capsys.readouterr().out.startswith("1 image")
    assert np.array_equal(images.read(folder / "out" / "a.png"), kept)
    assert images.read_size(folder / "out" / "b.png") == (32, 32)
    main([str(folder / "LQ"), str(folder / "out"), *GIVEN])
    assert capsys.readouterr().out.startswith("0 images")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["LQ", "out"], "error: --stable-diffusion: Field required"),
        (["LQ", "out", *GIVEN, "--steps", "many"], "error: --steps: .*valid integer"),
        (["LQ", "out", *GIVEN, "--mapper", "m"], "error: .*`mapper` does not fit `stable_diffusion: untrained`"),
        (["gone", "out", *GIVEN], "error: gone: no such folder"),
        (["LQ", "LQ/a.png", *GIVEN], r"error: LQ/a\.png: this folder cannot be created \(File exists\)"),
        (["LQ", "out", *GIVEN, "--device", "moon"], "error: --device moon: .*; try cpu"),
        (["LQ", "out", *GIVEN, "--steps", "1000"], "error: --steps: .*less than 1000"),
        (["LQ", "out", *GIVEN, "--seed", str(2**64)], "error: --seed: .*less than"),
    ],
)
def test_what_is_wrong_is_one_line(folder, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit, match=message):
        main(arguments)


def test_a_full_disk_is_one_line(folder, monkeypatch):
    def refuse(path, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "write_png", refuse)
    with pytest.raises(
        SystemExit, match=r"error: .*a\.png: cannot be written \(No space left on device\); free disk space"
    ):
        main([str(folder / "LQ"), str(folder / "out"), *GIVEN])
