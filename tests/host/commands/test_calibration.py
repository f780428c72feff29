"""`calibrate`: the temperature of a detector, fitted on images of known tasks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench import cli
from restorebench.commands.calibration import calibrate, fitted_factor, quality, rescaled
from restorebench.contract.errors import RestorebenchError
from restorebench.records import DetectionRecord
from restorebench.suite.settings import Settings
from restorebench.tables import detector_scores

PLUGIN = Path(__file__).parents[1] / "plugins" / "seeing.py"
COLOURS = ("noisy", "hazy", "rainy")
HERE = Settings(device="cpu", workers=0, plugins=(PLUGIN,))


@pytest.fixture
def folder(tmp_path):
    """Images whose colours are the chances of three tasks, as many of each task as they say."""
    for chances in [(7, 2, 1), (1, 5, 4), (1, 1, 8)]:
        for task, count in zip(COLOURS, chances, strict=True):
            for number in range(count):
                path = tmp_path / "known" / task / f"{''.join(map(str, chances))}-{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (4, 4), tuple(30 * chance for chance in chances)).save(path)
    return tmp_path / "known"


def test_a_known_temperature_is_found(folder):
    found = calibrate(folder, "overconfident", settings=HERE)
    assert found.factor == pytest.approx(3, rel=0.02)  # the plugin triples its logits
    assert (found.images, found.top1, found.temperature) == (30, pytest.approx(2 / 3), 1)
    assert found.after.calibration_error < 0.01 < 0.2 < found.before.calibration_error
    assert found.after.nll < found.before.nll
    assert found.after.brier < found.before.brier


def test_what_was_found_is_right_from_then_on(folder):
    first = calibrate(folder, "overconfident", settings=HERE)
    options = {"temperature": first.factor}
    again = calibrate(folder, "overconfident", options=options, settings=HERE)
    assert again.factor == pytest.approx(1, abs=1e-3)
    assert again.before.nll == pytest.approx(first.after.nll)
    assert again.before.brier == pytest.approx(first.after.brier)
    assert again.before.calibration_error == pytest.approx(first.after.calibration_error)


def test_sampled_truths_give_the_temperature_within_two_percent():
    rng = np.random.default_rng(0)
    chances = rng.dirichlet(np.ones(4), 20_000)
    sharp = chances**2.5 / (chances**2.5).sum(axis=1, keepdims=True)
    heard = {name: [] for name in "abcd"}
    for row, given in zip(chances, sharp.tolist(), strict=True):
        said = dict(zip("abcd", given, strict=True))
        heard["abcd"[rng.choice(4, p=row)]].append(DetectionRecord("d", "a", "ok", probabilities=said))
    factor = fitted_factor(heard)
    assert factor == pytest.approx(2.5, rel=0.02)
    assert quality(rescaled(heard, factor)).calibration_error < 0.02 < quality(heard).calibration_error


@pytest.mark.parametrize("factor", [1e-8, 1.8e-4, 0.3, 40.0])
def test_a_factor_far_from_one_is_found(factor):
    """Two outcomes, of odds 3 to 1: said at another temperature, the odds are raised to a power."""
    given = {"noisy": 1 / (1 + 3.0**-factor), "hazy": 1 / (1 + 3.0**factor)}
    heard = {
        "noisy": [DetectionRecord("d", "a", "ok", probabilities=given)] * 3,
        "hazy": [DetectionRecord("d", "b", "ok", probabilities=given)],
    }
    assert fitted_factor(heard) == pytest.approx(factor, rel=1e-4)


def test_a_factor_beyond_all_that_is_sought_is_refused():
    even = {"noisy": 0.5 + 1e-16, "hazy": 0.5 - 1e-16}
    heard = {
        "noisy": [DetectionRecord("d", "a", "ok", probabilities=even)] * 3,
        "hazy": [DetectionRecord("d", "b", "ok", probabilities=even)],
    }
    with pytest.raises(RestorebenchError, match=r"no temperature is best between 1/1e\+12 and 1e\+12"):
        fitted_factor(heard)


def test_what_the_tasks_lack_to_one_is_scaled_too():
    given = {"noisy": 0.6, "hazy": 0.1}  # and 0.3 of `clean`, which it does not name
    heard = {"noisy": [DetectionRecord("d", "a", "ok", probabilities=given)], "hazy": []}
    (record,) = rescaled(heard, 0.5)["noisy"]
    squares = np.square([0.6, 0.1, 0.3])
    assert record.probabilities == pytest.approx({"noisy": 0.36 / squares.sum(), "hazy": 0.01 / squares.sum()})
    assert rescaled(heard, 1.0)["noisy"][0].probabilities == pytest.approx(given)


def test_the_figures_are_those_of_the_detector_track(folder):
    heard = {
        "noisy": [DetectionRecord("d", "a", "ok", probabilities={"noisy": 0.6, "hazy": 0.4})] * 3,
        "hazy": [DetectionRecord("d", "b", "ok", probabilities={"noisy": 0.7, "hazy": 0.3})],
    }
    pairs = [pair for task, records in heard.items() for pair in detector_scores.confidences(task, records)]
    found = quality(heard)
    assert found.calibration_error == detector_scores.calibration_error(pairs)
    assert found.brier == pytest.approx((3 * 2 * 0.4**2 + 2 * 0.7**2) / 4)
    assert found.nll == pytest.approx(-(3 * np.log(0.6) + np.log(0.3)) / 4)


def test_zero_probabilities_leave_the_loss_finite():
    zero = DetectionRecord("d", "a", "ok", probabilities={"noisy": 1.0, "hazy": 0.0})
    assert np.isfinite(quality({"noisy": [zero], "hazy": [zero]}).nll)


@pytest.mark.parametrize("wrong", [False, True])
def test_a_fit_without_an_end_is_refused(wrong):
    sure = DetectionRecord("d", "a", "ok", probabilities={"noisy": 0.9, "hazy": 0.1})
    other = DetectionRecord("d", "b", "ok", probabilities={"noisy": 0.1, "hazy": 0.9})
    heard = {"noisy": [other if wrong else sure], "hazy": [sure if wrong else other]}
    with pytest.raises(RestorebenchError, match="no more probable" if wrong else "surer is always better"):
        fitted_factor(heard)


# ---------------------------------------------------------------- the command


@pytest.fixture
def call(monkeypatch, capsys, tmp_path, folder):
    monkeypatch.chdir(tmp_path)

    def carry_out(detector, source="known", *arguments):
        given = ["calibrate", detector, source, "--plugin", str(PLUGIN), "--workers", "0", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", ["restorebench", *given, *arguments])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code or 0
        written = capsys.readouterr()
        return code, written.out, written.err

    return carry_out


def test_the_command_prints_what_changes_and_the_option_to_give(call, folder):
    (folder / "clean").mkdir()
    (folder / "noisy" / "LQ").mkdir()
    for path in list((folder / "noisy").glob("*.png")):
        path.rename(folder / "noisy" / "LQ" / path.name)
    code, out, error = call("overconfident", "known", "--option", "temperature=1.5")
    assert code == 0
    assert re.search(r"^temperature: (2\.9\d*|3(\.0\d*)?)$", out, re.MULTILINE)
    assert re.search(r"before +1\.5 +30 +0\.6667 ", out)
    assert "clean: shows no task; left out" in error
    code, out, _ = call("overconfident", "known", "--limit", "8")
    assert re.search(r"before +1 +24 ", out)


@pytest.mark.parametrize(
    ("detector", "source", "message"),
    [
        ("overconfident", "nowhere", "nowhere: no such folder"),
        ("overconfident", "known/noisy", "holds images of no task"),
        ("overconfident", "empty", "holds no image"),
        ("overconfident", "strange", "no task is called fogy, hazzy"),
        ("overconfident", "unpaired", "LQ: no such folder beside GT"),
        ("overconfident", "more", "gives no probability to snowy"),
        ("silent", "known", "gives no probabilities"),
        ("voices", "known", "add up to more than one"),
        ("overconfidant", "known", "nearest: overconfident"),
    ],
)
def test_what_cannot_be_calibrated_is_one_line(call, folder, detector, source, message):
    for name in (
        "empty/noisy",
        "empty/hazy",
        "strange/fogy",
        "strange/hazzy",
        "unpaired/noisy/GT",
        "unpaired/hazy",
    ):
        (folder.parent / name).mkdir(parents=True)
    for task in ("noisy", "snowy"):
        (folder.parent / "more" / task).mkdir(parents=True)
        Image.new("RGB", (4, 4), (90, 60, 30)).save(folder.parent / "more" / task / "a.png")
    code, out, error = call(detector, source)
    assert (code, out) == (2, "")
    assert message in error
    assert error.count("\n") == 1


def test_images_that_cannot_be_judged_are_named_and_left_out(call, folder):
    Image.new("RGB", (4, 4)).save(folder / "noisy" / "black.png")  # whose logarithms are infinite
    code, out, error = call("overconfident")
    assert code == 3
    assert "failed: noisy/black: contract: " in error
    assert re.search(r"before +1 +30 ", out)
