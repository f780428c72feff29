"""The command explain as a user meets it: what is printed, CSV, JSON, one-line errors."""

from __future__ import annotations

import csv
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from tests.scripts import SCRIPTS


@pytest.fixture
def images(tmp_path):
    """Three pairs in the folders `out` and `gt`."""
    rng = np.random.default_rng(2)
    pairs = []
    for number, size in enumerate(((40, 52), (33, 47), (48, 48))):
        clean = np.asarray(Image.fromarray(rng.integers(0, 255, (7, 9, 3), dtype=np.uint8)).resize(size[::-1]))
        restored = np.clip(clean + rng.normal(0, 12, clean.shape), 0, 255).astype(np.uint8)
        for folder, image in (("out", restored), ("gt", clean)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{number}.png")
        pairs.append((restored, clean))
    return pairs


def tables(out):
    """Return the printed tables as {metric: {name: [mean, difference]}}."""
    found = {}
    for line in out.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if cells[-2:] == ["mean", "difference"]:
            found[cells[0]] = rows = {}
        elif len(cells) in (2, 3) and re.fullmatch(r"-?[0-9.]+", cells[1]):
            rows[cells[0]] = cells[1:]
    return found


def test_the_protocols_and_usual_variants_are_printed_side_by_side(call, images):
    code, out, error = call("explain", "out", "gt")
    assert (code, error) == (0, "")
    assert out.splitlines()[0] == "mean over 3 images"
    assert out.splitlines()[-1].startswith("--paper NUMBER says which of these")
    printed = tables(out)
    assert list(printed) == ["psnr (dB)", "ssim"]
    for convention in (
        *("psnr@rgb", "psnr@y", "psnr@y-full", "psnr@daclip", "psnr@airnet", "psnr@rgb, mean-aligned"),
        *("psnr@y, BGR read as RGB", "psnr@rgb, peak 255 on images in 0..1", "psnr@y, luma rounded to 8 bits"),
        *("ssim@rgb", "ssim@y", "ssim@y-full", "ssim@daclip", "ssim@airnet", "ssim@rgb, 7x7 uniform window"),
    ):
        metric, _, name = convention.partition("@")
        rows = printed["psnr (dB)" if metric == "psnr" else metric]
        mean, standard = (SCRIPTS[each](images) for each in (convention, f"{metric}@rgb"))
        assert rows[name] == [f"{mean:.4f}", *([] if name == "rgb" else [f"{mean - standard:+.4f}"])], convention


def test_a_number_is_explained_and_its_rows_are_marked(call, images):
    number = f"{SCRIPTS['psnr@y, BGR read as RGB'](images):.4f}"
    _, out, _ = call("explain", "out", "gt", "--paper", number)
    assert f"{number} is explained by psnr@y, BGR read as RGB: {number}" in out
    (marked,) = [line for line in out.splitlines() if line.rstrip().endswith(f"= {number}")]
    assert marked.startswith("y, BGR read as RGB ")
    assert "ssim" not in out  # a number above one is no SSIM
    assert "different numbers were tried" in out.splitlines()[-1]


def test_a_number_that_nothing_gives_is_told_plainly(call, images):
    code, out, _ = call("explain", "out", "gt", "--paper", "61.2345")
    assert code == 0
    assert "Nothing that was tried gives 61.2345." in out
    assert "= 61.2345" not in out


def test_two_numbers_are_explained_together(call, images):
    texts = [f"{SCRIPTS[f'{metric}@y'](images):.4f}" for metric in ("psnr", "ssim")]
    _, out, _ = call("explain", "out", "gt", "--paper", "/".join(texts))
    for metric, text in zip(("psnr", "ssim"), texts, strict=True):
        assert f"{text} is explained by {metric}@y: " in out
    assert "One preparation of the images goes with all these numbers: y" in out.splitlines()[-1]


def test_csv_and_json_hold_every_convention(call, images, tmp_path):
    number = f"{SCRIPTS['psnr@y-full'](images):.4f}"
    assert call("explain", "out", "gt", "--paper", number, "--csv", "all.csv")[1].strip() == "all.csv"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    held = json.loads(call("explain", "out", "gt", "--paper", number, "--json")[1])
    assert len(rows) == len(held["conventions"]) > 200
    for row, each in zip(rows, held["conventions"], strict=True):
        assert row["mean"] == f"{each['mean']:.6f}"
        assert (row["protocol"], row["departures"]) == (each["protocol"], ", ".join(each["departures"]))
    assert {row["protocol"] for row in rows if row["explains"] == number and not row["departures"]} == {"y-full"}
    (claim,) = held["paper"]
    assert claim["matches"][0]["name"] == "psnr@y-full"
    assert claim["tried"] == len({row["mean"] for row in rows})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none", "gt"], "none is not a folder"),
        (["none"], "none holds no run"),
        (["out", "gt", "--paper", "31,2"], "'31,2' is not a number as papers print it; give for example 31.24"),
        (["out", "gt", "--metric", "pnsr"], "no metric called 'pnsr' (nearest: psnr"),
        (["out", "gt", "--metrics", ","], "--metrics: names none"),
        (["out", "gt", "--task", "noisy"], "name a row of a run; two folders have none"),
        (["out", "--pairing", "stem"], "a run has its pairs already"),
        (["out", "gt", "--csv", "x.csv", "--json"], "--csv and --json are both given"),
        (["out", "gt", "--csv", "out"], "--csv out: exists and is not a .csv file"),
        (["out", "gt", "--pairing", "sots"], "do not match under pairing rule 'sots'"),
        (["out", "gt", "--plugin", "none.py"], "none.py"),
    ],
)
def test_a_mistake_is_named_in_a_line(call, images, arguments, message):
    code, _, error = call("explain", *arguments)
    assert code == 2
    assert message in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_names_from_a_run_are_printed_without_control_characters(call, images, tmp_path):
    hostile = tmp_path / "o\x1b[31mut"
    (tmp_path / "out").rename(hostile)
    (hostile / "2.png").unlink()
    code, _, error = call("explain", hostile, "gt")
    assert code == 2
    assert "\x1b" not in error
