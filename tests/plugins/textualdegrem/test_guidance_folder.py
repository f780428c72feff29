"""Guidance from a folder: which file belongs to an image, what is said where there is none, what runs again."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from restorebench_textualdegrem import restorers
from restorebench_textualdegrem.guidance_folder import GuidanceFolder
from restorebench_textualdegrem.options import GuidedRestoration

from restorebench import TEN, Batch, MissingResource, RestorebenchError, Runtime
from restorebench.toolbox import images


def write(path, height=9, width=7, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    images.write_png(path, np.random.default_rng(seed).random((height, width, 3), dtype=np.float32))


def restorer(folder):
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, lambda kind, name: None)
    options = GuidedRestoration(weights="untrained", guidance="folder", guidance_folder=folder)
    return restorers.TextualRestormer(options, runtime)


def batch(*samples):
    drawn = torch.rand(len(samples), 3, 17, 23, generator=torch.Generator().manual_seed(0))
    return Batch(drawn, (None,) * len(samples), tuple(range(len(samples))), (17, 23), samples=samples)


def test_a_file_belongs_to_one_task_or_to_all(tmp_path):
    write(tmp_path / "noisy" / "a@s3.png")
    write(tmp_path / "deep" / "b.JPG")
    folder = GuidanceFolder(tmp_path)
    assert folder.path("noisy/a@s3") == tmp_path / "noisy" / "a@s3.png"
    assert folder.path("hazy+rainy/deep/b") == tmp_path / "deep" / "b.JPG"


@pytest.mark.parametrize("other", ["noisy/a.jpg", "a.png"])
def test_two_files_for_one_image_are_refused(tmp_path, other):
    write(tmp_path / "noisy" / "a.png")
    write(tmp_path / "b.png")
    (tmp_path / "b.png").rename(tmp_path / other)
    with pytest.raises(RestorebenchError, match=r"noisy/a\.png and .*a\.\w+ both fit noisy/a; keep one of them"):
        GuidanceFolder(tmp_path).path("noisy/a")


def test_a_file_or_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(MissingResource, match=r"no image for noisy/a; expected noisy/a\.png, or a\.png for every"):
        GuidanceFolder(tmp_path).path("noisy/a")
    with pytest.raises(MissingResource, match="gone: no such folder of guidance images"):
        GuidanceFolder(tmp_path / "gone")


@pytest.mark.faults
@pytest.mark.parametrize(
    "sample", ["noisy/../secret", "noisy/sub/../../secret", "noisy/{}/secret", "noisy/" + "x/" * 3000]
)
def test_no_name_leads_out_of_the_folder(tmp_path, sample):
    write(tmp_path / "secret.png")
    (tmp_path / "guidance" / "noisy" / "sub").mkdir(parents=True)
    with pytest.raises(MissingResource, match="no image for noisy/"):
        GuidanceFolder(tmp_path / "guidance").path(sample.format(tmp_path))


def test_guidance_of_any_size_is_that_of_its_image(tmp_path):
    write(tmp_path / "noisy" / "a.png", 30, 11, 1)
    write(tmp_path / "b.png", 8, 70, 2)
    loaded, given = restorer(tmp_path), batch("noisy/a", "noisy/b")
    restored = loaded.restore(given)
    assert restored.shape == given.degraded.shape
    for row, path in enumerate((tmp_path / "noisy" / "a.png", tmp_path / "b.png")):
        guidance = images.to_tensor([images.read(path)])
        with torch.no_grad():
            expected = loaded.network(given.degraded[row : row + 1], guidance)
        assert torch.equal(restored[row : row + 1], expected.clamp(0, 1))
    assert not torch.equal(restored, loaded.network(given.degraded, given.degraded).clamp(0, 1))


def test_a_tile_is_matched_with_all_of_its_guidance(tmp_path):
    write(tmp_path / "a.png", 40, 50)
    loaded, given = restorer(tmp_path), batch("noisy/a")
    tile = replace(given, degraded=given.degraded[..., :16, :16], whole=given.degraded)
    with torch.no_grad():
        expected = loaded.network(tile.degraded, images.to_tensor([images.read(tmp_path / "a.png")]))
    assert torch.equal(loaded.restore(tile), expected.clamp(0, 1))


def test_images_without_names_have_no_guidance(tmp_path):
    with pytest.raises(RestorebenchError, match="finds images by name, but this batch has no names"):
        restorer(tmp_path).restore(replace(batch("noisy/a"), samples=()))


SUITE = """
suite: guided
tasks: [noisy]
datasets: [{name: paired-folder, options: {path: pairs}}]
restorers:
  - {name: textual-restormer, options: {weights: untrained, guidance: folder, guidance_folder: guidance}}
  - identity
clean_inputs: false
batch_size: 3
metrics: [psnr]
"""


@pytest.fixture
def suite(call, tmp_path):
    """Three pairs, each with its guidance; returns what runs a suite and gives rows by restorer and image."""
    (tmp_path / "guided.yaml").write_text(SUITE)
    for number, name in enumerate("abc"):
        for side in ("LQ", "GT"):
            write(tmp_path / "pairs" / "noisy" / side / f"{name}.png", 16, 16, 10 * number + (side == "GT"))
        write(tmp_path / "guidance" / "noisy" / f"{name}.png", 20, 24, 100 + number)

    def run():
        code, out, err = call("run", "guided.yaml", "--workers", "0", "--out", "run")
        with (tmp_path / "run" / "records.csv").open(newline="") as file:
            found = {(row["restorer"], row["sample"]): row for row in csv.DictReader(file)}
        return code, out + err, found

    return run


def test_an_image_without_guidance_fails_alone(suite, tmp_path):
    (tmp_path / "guidance" / "noisy" / "b.png").unlink()
    code, _, found = suite()
    assert code == 3
    assert [key for key, row in found.items() if row["status"] != "ok"] == [("textual-restormer", "b")]
    said = found["textual-restormer", "b"]["reason"]
    assert f"guidance folder {tmp_path / 'guidance'}: no image for noisy/b; expected noisy/b.png" in said


def test_a_file_that_is_no_image_fails_alone(suite, tmp_path):
    (tmp_path / "guidance" / "noisy" / "b.png").write_text("no image")
    code, _, found = suite()
    assert code == 3
    assert [key for key, row in found.items() if row["status"] != "ok"] == [("textual-restormer", "b")]
    assert found["textual-restormer", "b"]["reason"].startswith(f"unreadable: {tmp_path / 'guidance'}")


def test_another_guidance_image_is_another_restoration(suite, tmp_path):
    _, _, before = suite()
    write(tmp_path / "guidance" / "noisy" / "c.png", 20, 24, 7)
    code, _, after = suite()
    assert code == 0
    key = ("textual-restormer", "c")
    assert before[key]["digest"] != after[key]["digest"]
    assert before[key]["psnr@rgb"] != after[key]["psnr@rgb"]
    assert before["identity", "c"]["digest"] == after["identity", "c"]["digest"]


def test_a_folder_that_is_not_there_costs_no_other_cell(suite, tmp_path):
    (tmp_path / "guidance").rename(tmp_path / "moved")
    code, _, found = suite()
    assert code == 3
    assert {name for (name, _), row in found.items() if row["status"] == "ok"} == {"identity"}
    assert "no such folder of guidance images" in found["textual-restormer", "a"]["reason"]
    (tmp_path / "moved").rename(tmp_path / "guidance")
    assert suite()[0] == 0
