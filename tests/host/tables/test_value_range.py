"""What is said of a method whose values leave [0, 1], or that gives other values when it is called again."""

from __future__ import annotations

import re

import numpy as np
import pytest

from restorebench.tables import value_range

PLUGIN = ("ranging.py",)


def images(*made):
    """Return least, greatest, mean and share outside of images."""
    arrays = [np.asarray(each, float) for each in made]
    outside = [((each < 0) | (each > 1)).mean() for each in arrays]
    return np.array(
        [(each.min(), each.max(), each.mean(), share) for each, share in zip(arrays, outside, strict=True)]
    )


def test_a_bright_picture_that_is_coded_as_signed_is_found_beside_others_alone():
    rng = np.random.default_rng(0)
    bright, dark = rng.uniform(0.6, 0.9, (2, 100)) * [[1], [0.2]]
    alone, both = images(2 * bright - 1), images(2 * bright - 1, 2 * dark - 1)
    assert value_range.wrong(alone, np.ones(1)) == ""
    assert "they look like -1 to 1" in value_range.wrong(both, np.ones(2))


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        (np.linspace(0, 1, 101), False),
        (np.r_[np.full(10, 1.01), np.zeros(90)], False),  # a tenth
        (np.r_[np.full(11, 1.01), np.zeros(89)], True),
        (np.r_[np.full(10, 1.2e1), np.zeros(90)], True),  # by its mean
        (np.r_[np.full(10, -1.1), np.zeros(90)], True),
        (np.r_[np.full(10, -0.9), np.zeros(90)], False),
    ],
)
def test_a_tenth_outside_or_a_mean_far_outside_is_wrong(values, wrong):
    assert bool(value_range.wrong(images(values), np.ones(1))) is wrong


def test_images_are_weighed_by_their_pixels():
    both = images(np.full(100, 1.01), np.zeros(100))
    assert value_range.wrong(both, np.array([1, 20])) == ""
    assert value_range.wrong(both, np.array([20, 1])) != ""


def test_nothing_is_said_of_records_that_know_no_values():
    unknown = np.full((2, 4), np.nan)
    assert value_range.clipped(unknown, np.ones(2)) == ""
    assert value_range.wrong(unknown[:0], np.ones(0)) == ""


@pytest.mark.parametrize(("name", "cause"), [("bytes", "0 to 255"), ("signed", "-1 to 1")])
def test_a_method_with_another_range_fails_with_the_likely_cause(run, name, cause):
    result, _ = run([name, "identity"], plugins=PLUGIN, settings={"workers": 0})
    records = result.tables.records.set_index("restorer").loc[name]
    assert set(records.status) == {"failed"} and records["psnr@rgb"].isna().all()
    (reason,) = set(records.reason)
    assert re.fullmatch(
        rf"contract: restore returned values from .* they look like {cause}; .* in \[0, 1\]", reason
    )
    board = result.tables.leaderboard.set_index(["task", "restorer"])
    assert board.loc[("noisy", name), "status"] == "incomplete: 3 of 3 failed"
    assert board.loc[("noisy", "identity"), "status"] == "ok"
    assert result.failed == 3


def test_a_slight_overshoot_is_clipped_and_said(run):
    result, _ = run(["overshooting"], plugins=PLUGIN, settings={"workers": 0})
    board = result.tables.leaderboard.set_index(["task", "restorer"])
    assert board.loc[("noisy", "overshooting"), "status"] == "3.1% of the values clipped"
    assert result.failed == 0


def test_a_method_that_does_not_repeat_itself_is_told_of_unless_it_follows_its_keys(run):
    result, _ = run(["unsteady", "keyed", "identity"], plugins=PLUGIN, settings={"workers": 0})
    board = result.tables.leaderboard.set_index(["task", "restorer"])
    said = re.fullmatch(r"not deterministic: (\d\.\de-\d\d)", board.loc[("noisy", "unsteady"), "status"])
    assert said and 0.005 < float(said[1]) < 0.2  # noise of 0.01 twice, the largest of 768 values
    assert board.loc[("noisy", "keyed"), "status"] == board.loc[("noisy", "identity"), "status"] == "ok"
