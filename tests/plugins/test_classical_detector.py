"""The statistics detector: its features, its model and how often it is right."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from restorebench_classical.detector import Statistics, load, stored_model
from restorebench_classical.fit import CLASSES, fit
from restorebench_classical.options import ConstantOptions, RandomOptions, StatisticsOptions
from restorebench_classical.statistics import features
from restorebench_classical.yardsticks import load_constant, load_random

from restorebench import CLEAN, TEN, TEN_NAMES, Runtime, UnknownName, synthesisers
from restorebench.testing import checks
from restorebench.toolbox import photographs
from restorebench.toolbox.images import read
from restorebench.toolbox.linear import LinearModel
from restorebench.toolbox.synthesis import centre_crop, degrade

ROOT = Path(__file__).parents[2]
VAL = Path(os.environ.get("RESTOREBENCH_SHARED", ROOT.parent / "shared")) / "data" / "clean" / "val"
EVERY = 16  # of 58 photographs of clean/val: the centres of 4, or 15 where nothing is degraded; the README has all


@pytest.fixture(scope="module")
def detector():
    return Statistics(stored_model())


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (17, 23), (30, 25)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_statistics_are_finite_and_of_one_length(size, level):
    values = features(np.full((*size, 3), level, np.float32))
    assert np.isfinite(values).all()
    assert values.shape == features(np.zeros((64, 64, 3), np.float32)).shape


def test_statistics_leave_the_image_alone():
    image = np.random.default_rng(0).uniform(size=(32, 40, 3)).astype(np.float32)
    before = image.copy()
    assert np.array_equal(features(image), features(image))
    assert np.array_equal(image, before)


def test_class_probabilities_sum_to_one(detector):
    rows = np.stack([features(np.full((20, 20, 3), level, np.float32)) for level in (0.1, 0.9)])
    assert np.allclose(detector.model.probabilities(rows).sum(axis=1), 1)


def test_verdicts_speak_of_the_ten_tasks_alone(detector):
    for verdict in detector.detect(torch.rand(2, 3, 33, 40)):
        assert set(verdict.probabilities) == set(TEN_NAMES)
        assert verdict.labels <= set(TEN_NAMES)
        assert 0 <= sum(verdict.probabilities.values()) <= 1 + 1e-9


def test_most_probable_clean_means_no_label():
    count = len(features(np.zeros((8, 8, 3), np.float32)))
    sure = np.where(np.array(CLASSES) == CLEAN, 9.0, 0.0)
    flat = np.zeros((len(CLASSES), count))
    model = LinearModel(CLASSES, np.zeros(count), np.ones(count), flat, sure)
    assert Statistics(model).detect_one(np.zeros((8, 8, 3), np.float32)).labels == frozenset()


def test_a_close_second_becomes_a_further_label():
    count = len(features(np.zeros((8, 8, 3), np.float32)))
    two = np.where(np.isin(CLASSES, ("hazy", "rainy")), 9.0, 0.0)
    model = LinearModel(CLASSES, np.zeros(count), np.ones(count), np.zeros((len(CLASSES), count)), two)
    assert Statistics(model).detect_one(np.zeros((8, 8, 3), np.float32)).labels == {"hazy", "rainy"}


def test_the_temperature_divides_the_logits(detector):
    image = np.random.default_rng(0).uniform(size=(24, 24, 3)).astype(np.float32)
    usual = detector.model.probabilities(features(image)[None])[0]
    expected = dict(zip(detector.model.names, np.square(usual) / np.square(usual).sum(), strict=True))
    del expected[CLEAN]
    assert Statistics(detector.model, 0.5).detect_one(image).probabilities == pytest.approx(expected)
    assert load(StatisticsOptions(), None).detect_one(image) == detector.detect_one(image)


def test_fit_separates_what_is_separable():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(len(CLASSES)), 20)
    statistics = 4 * np.eye(len(CLASSES))[classes] + rng.normal(0, 0.3, (len(classes), len(CLASSES)))
    model = fit(statistics, classes)
    assert (model.probabilities(statistics).argmax(axis=1) == classes).all()


@pytest.mark.slow
@pytest.mark.skipif(not VAL.is_dir(), reason="needs <shared>/data/clean/val (RESTOREBENCH_SHARED)")
def test_three_of_four_degradations_are_recognised_at_severity_three(detector):
    pictures = [centre_crop(read(path), 256) for path in photographs.listed(VAL)[::EVERY]]
    right = [
        detector.detect_one(degrade(maker, clean, task, 3)).top == task
        for task, maker in synthesisers().items()
        for clean in pictures
    ]
    assert np.mean(right) >= 0.75


@pytest.mark.slow
@pytest.mark.skipif(not VAL.is_dir(), reason="needs <shared>/data/clean/val (RESTOREBENCH_SHARED)")
def test_most_clean_photographs_get_no_label(detector):
    pictures = [read(path) for path in photographs.listed(VAL)[:: EVERY // 4]]
    assert np.mean([not detector.detect_one(clean).labels for clean in pictures]) > 0.5


@pytest.mark.parametrize("name", ["constant", "random"])
def test_the_floors_conform(name):
    for check in checks("detector", name):
        check()


def test_random_labels_are_uniform_and_depend_on_pixels_alone(tmp_path):
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    pictures = torch.rand(400, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = load_random(RandomOptions(), runtime).detect(pictures)
    assert all(sum(each.probabilities.values()) == pytest.approx(1) for each in found)
    said = [next(iter(each.labels)) for each in found]
    counts = [said.count(name) for name in TEN_NAMES]
    assert sum(counts) == 400
    assert min(counts) > 18 and max(counts) < 70  # 40 expected, 6 of standard deviation
    again = load_random(RandomOptions(), runtime).detect(pictures.flip(0))
    assert [next(iter(each.labels)) for each in again] == said[::-1]
    other = load_random(RandomOptions(seed=1), runtime).detect(pictures)
    assert 10 < sum(next(iter(each.labels)) == name for each, name in zip(other, said, strict=True)) < 80


@pytest.mark.parametrize("labels", [[], ["noisy", "hazy"]])
def test_the_floor_says_what_it_was_given(labels, tmp_path):
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    found = load_constant(ConstantOptions(labels=labels), runtime).detect(torch.rand(2, 3, 8, 8))
    assert [detection.labels for detection in found] == [frozenset(labels)] * 2


def test_the_floor_names_tasks_alone(tmp_path):
    runtime = Runtime("cpu", 1, tmp_path, {}, True, TEN, lambda kind, name: None)
    with pytest.raises(UnknownName, match="no task 'fog'; there are motion-blurry"):
        load_constant(ConstantOptions(labels=["fog"]), runtime)
