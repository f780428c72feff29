from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorebench.records import DetectionRecord
from restorebench.tables.detector_scores import brier, by_label, calibration_error, confusion, score


def said(labels, probabilities=None, status="ok"):
    return DetectionRecord("d", str(id(labels)), status, labels=tuple(labels), probabilities=probabilities or {})


def test_a_failed_detection_is_a_wrong_one():
    scores = score("noisy", [said(["noisy"]), said([], status="failed")])
    assert (scores.accuracy, scores.failed, scores.images) == (0.5, 1, 2)


def test_composites_need_the_whole_set():
    records = [said(["hazy", "rainy"]), said(["hazy"]), said(["hazy", "rainy", "noisy"])]
    scores = score("hazy+rainy", records)
    assert scores.accuracy == pytest.approx(1 / 3)
    assert scores.recall == pytest.approx(5 / 6)
    assert scores.precision == pytest.approx(5 / 6)


def test_naming_anything_on_a_clean_image_is_a_false_alarm():
    scores = score("clean", [said([]), said(["noisy"]), said([]), said([])])
    assert scores.false_alarm == 0.25
    assert scores.abstained == 0.75
    assert scores.top1 is None


def test_the_most_probable_task_may_be_right_without_a_verdict():
    scores = score("noisy", [said([], {"noisy": 0.6, "hazy": 0.4}), said([], {"noisy": 0.1, "hazy": 0.9})])
    assert (scores.top1, scores.accuracy, scores.truth_probability) == (0.5, 0.0, pytest.approx(0.35))


def test_confusion_counts_sets_abstentions_and_failures():
    counts = confusion([said(["rainy", "hazy"]), said([]), said([]), said([], status="failed")])
    assert counts == {"hazy+rainy": 1, "none": 2, "failed": 1}


def test_calibration_error_is_the_gap_of_confidence_and_accuracy():
    assert calibration_error([(0.85, True)] * 8 + [(0.85, False)] * 2) == pytest.approx(0.05)
    assert calibration_error([(1.0, True), (1.0, False)]) == pytest.approx(0.5)
    assert calibration_error([]) is None


def equal_mass_error(confidence, right, bins=15):
    """Weigh the gaps of numpy's own near-equal parts of the sorted pairs, ties averaged before."""
    values, inverse, count = np.unique(confidence, return_inverse=True, return_counts=True)
    shared = (np.bincount(inverse, right, len(values)) / count)[inverse]
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [abs(confidence[part].mean() - shared[part].mean()) for part in parts]
    return np.average(gaps, weights=[len(part) for part in parts])


PAIRS = st.lists(st.tuples(st.integers(0, 20).map(lambda n: n / 20) | st.floats(0, 1), st.booleans()), min_size=1)


@given(PAIRS, st.randoms())
def test_calibration_error_is_that_of_equal_bins_in_any_order(pairs, random):
    found = calibration_error(pairs)
    confidence, right = np.array(pairs, dtype=float).T
    assert found == pytest.approx(equal_mass_error(confidence, right), abs=1e-12)
    random.shuffle(pairs)
    assert calibration_error(pairs) == found


@pytest.mark.parametrize("count", [1, 14, 15, 16, 31, 1000])
def test_calibration_error_of_many_images_agrees_with_numpy(count):
    rng = np.random.default_rng(count)
    confidence = rng.uniform(size=count)
    right = rng.uniform(size=count) < confidence**2
    pairs = list(zip(confidence.tolist(), right.tolist(), strict=True))
    assert calibration_error(pairs) == pytest.approx(equal_mass_error(confidence, right), abs=1e-12)


def test_calibration_error_sees_gaps_that_cancel_in_wide_bins():
    pairs = [(0.51, False)] * 50 + [(0.59, True)] * 50  # one bin of ten would hold them all, and a gap of 0.05
    assert calibration_error(pairs) > 0.4


@given(st.lists(st.lists(st.floats(0.01, 1), min_size=3, max_size=3), min_size=1, max_size=20))
def test_brier_score_is_the_squared_distance_to_the_truth(rows):
    chances = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    tasks = ("hazy", "noisy", "rainy")
    records = [said([], dict(zip(tasks, row, strict=True))) for row in chances.tolist()]
    # |p|^2 - 2 p_t + 1 is the same, expanded
    expected = (np.square(chances).sum(axis=1) - 2 * chances[:, 1] + 1).mean()
    assert brier("noisy", records) == pytest.approx(expected)
    assert score("noisy", records).brier == brier("noisy", records)


def test_brier_score_takes_one_degradation_with_probabilities_only():
    sure = said(["noisy"], {"noisy": 1.0})
    assert brier("noisy", [sure, said(["noisy"]), said([], status="failed")]) == 0
    assert brier("hazy", [sure]) == 2
    assert brier("noisy", [said([], {"clean": 0.7, "noisy": 0.3})]) == pytest.approx(0.49)
    assert brier("noisy", [said(["noisy"])]) is None
    assert brier("hazy+noisy", [sure]) is None
    assert brier("clean", [sure]) is None


def test_a_detector_without_probabilities_is_judged_by_its_labels():
    scores = score("noisy", [said(["noisy"]), said(["hazy"])])
    assert (scores.top1, scores.truth_probability, scores.calibration_error) == (0.5, None, None)


def test_only_images_with_probabilities_enter_the_mean_probability():
    scores = score("noisy", [said(["noisy"], {"noisy": 0.8}), said(["noisy"])])
    assert scores.truth_probability == pytest.approx(0.8)
    assert scores.calibration_error == pytest.approx(0.2)


def test_a_task_that_was_not_run_has_no_scores_instead_of_zeros():
    scores = score("noisy", [])
    assert (scores.images, scores.accuracy, scores.top1, scores.recall, scores.abstained) == (
        0,
        None,
        None,
        None,
        None,
    )


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    scores = score("hazy+rainy", [said(["hazy"]), said(["hazy", "noisy"])])
    assert (scores.precision, scores.recall) == (pytest.approx(2 / 3), 0.5)
    assert scores.f1 == pytest.approx(2 / (1 / scores.precision + 1 / scores.recall))


def test_labels_are_scored_over_composites_and_clean_images():
    tasks = [
        ("hazy+rainy", [said(["hazy", "rainy"]), said(["hazy"])]),
        ("clean", [said(["hazy"]), said([])]),
        ("snowy", [said([], status="failed")]),
    ]
    hazy, rainy, snowy = by_label(tasks)
    assert [entry.label for entry in (hazy, rainy, snowy)] == ["hazy", "rainy", "snowy"]
    assert (hazy.present, hazy.named, hazy.precision, hazy.recall, hazy.f1) == (2, 3, pytest.approx(2 / 3), 1, 0.8)
    assert (rainy.precision, rainy.recall) == (1, 0.5)
    assert (snowy.precision, snowy.recall, snowy.f1) == (None, 0, 0)
    assert by_label([("clean", [said([])])]) == []
