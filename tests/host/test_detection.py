from __future__ import annotations

import pytest

from restorebench.detection import by_label, calibration_error, confusion, score
from restorebench.records import DetectionRecord


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
