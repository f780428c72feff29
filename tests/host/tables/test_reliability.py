"""The bins of the reliability of detectors, against counts of their own and closed forms of the interval."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta

from restorebench.records import DetectionRecord
from restorebench.tables.board import Board, DetectorCellFacts, SampleFacts
from restorebench.tables.reliability import BINS, reliability_table


def table(images, detector="seer"):
    """Bin (task, scene, probabilities) of images; a status in place of probabilities is of a failed detection."""
    cells, detected = {}, {}
    for number, (task, scene, given) in enumerate(images):
        cell = cells.get(task) or DetectorCellFacts(detector, task, "d", f"{detector}-{task}", ())
        cells[task] = replace(cell, samples=(*cell.samples, SampleFacts(str(number), scene, "synthetic")))
        probabilities, status = (given, "ok") if isinstance(given, dict) else ({}, given)
        record = DetectionRecord(cell.digest, str(number), status, probabilities=probabilities)
        detected.setdefault(cell.digest, {})[str(number)] = record
    tasks = tuple(task for task in cells if task != "clean")
    return reliability_table(Board("s", "1", tasks, (), (), tuple(cells.values())), detected)


def test_bins_hold_what_pandas_counts_of_all_tasks_together():
    rng = np.random.default_rng(0)
    tasks, sure = rng.choice(["hazy", "rainy"], 400), rng.uniform(0.5, 1, 400)
    named = rng.choice(["hazy", "rainy"], 400)
    images = [
        (task, f"scene{n}", {name: p, "snowy": 1 - p})
        for n, (task, name, p) in enumerate(zip(tasks, named, sure, strict=True))
    ]
    found = table(images)
    bins = pd.cut(pd.Series(sure), np.linspace(0, 1, BINS + 1), right=False)
    counted = pd.DataFrame({"p": sure, "right": tasks == named}).groupby(bins, observed=True)
    assert len(found) == 5 and list(found.images) == list(counted.size())
    assert list(found.low) == pytest.approx([each.left for each in counted.groups])
    assert list(found.high) == pytest.approx([each.right for each in counted.groups])
    assert list(found.probability) == pytest.approx(list(counted.p.mean()))
    assert list(found.right) == pytest.approx(list(counted.right.mean()))
    for line in found.itertuples():
        n = line.images - 1  # of images of scenes that are drawn once, one is spent on their mean
        hits = line.right * n
        ends = beta.ppf(0.025, hits, n - hits + 1), beta.ppf(0.975, hits + 1, n - hits)
        assert (line.right_low, line.right_high) == pytest.approx(ends)


@pytest.mark.parametrize("scenes", [1, 3, 8])
def test_where_every_image_is_right_each_scene_counts_once(scenes):
    """The lower end is then 0.025 to the power of one over the number of scenes (Clopper and Pearson, 1934)."""
    (line,) = table([("hazy", f"scene{n % scenes}", {"hazy": 0.95}) for n in range(2 * scenes)]).itertuples()
    assert line.images == 2 * scenes
    assert (line.right, line.right_low, line.right_high) == pytest.approx((1, 0.025 ** (1 / scenes), 1))


def test_the_ends_zero_and_one_and_equal_probabilities_are_in_a_bin():
    found = table([("hazy", "a", {"hazy": 1.0}), ("hazy", "b", {"hazy": 0.0}), ("rainy", "c", {"hazy": 0.1})])
    assert list(zip(found.low, found.high, found.images, found.right, strict=True)) == [
        (0.0, 0.1, 1, 1.0),
        (0.1, 0.2, 1, 0.0),
        (0.9, 1.0, 1, 1.0),
    ]


def test_clean_failed_and_silent_images_are_not_judged_and_a_part_of_a_mixture_is_right():
    found = table(
        [
            ("clean", "a", {"hazy": 0.9}),
            ("hazy", "b", "failed"),
            ("hazy", "c", {}),
            ("hazy+rainy", "d", {"rainy": 0.7, "snowy": 0.2}),
        ]
    )
    assert list(found.images) == [1] and list(found.right) == [1.0] and list(found.probability) == [0.7]
    assert table([("hazy", "c", {}), ("clean", "a", {"hazy": 0.9})]).empty
