"""`compare_table` and `rank_table`: what a table of scores of any tool says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from restorebench import RestorebenchError, compare_table, rank_table

NAMES = {"method": "who", "value": "db", "scene": "photo"}
TASKS = {**NAMES, "task": "what"}


def scores(methods=("a", "b", "c"), scenes=12, tasks=("rain",), shift=0.0, seed=0, images=1, alike=True):
    """Lay out scores: shift dB from one method to the next, on tasks with the same scenes or with others."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        [
            (method, f"{'' if alike else task}{scene:03}", f"{image}", task, rng.normal(25 + shift * row, 1))
            for task in tasks
            for row, method in enumerate(methods)
            for scene in range(scenes)
            for image in range(images)
        ],
        columns=["who", "photo", "image", "what", "db"],
    )


def test_figures_of_a_pair_are_those_of_arithmetic():
    frame = scores(("a", "b"), shift=-0.4, images=2)
    (row,) = compare_table(frame, **NAMES, image="image").to_dict("records")
    a, b = (frame[frame.who == name].db.to_numpy() for name in "ab")
    assert (row["a"], row["b"], row["n_images"], row["n_scenes"]) == ("a", "b", 24, 12)
    assert row["difference"] == pytest.approx((a - b).mean(), abs=1e-12)
    assert row["sd"] == pytest.approx((a - b).std(ddof=1), abs=1e-12)
    assert row["win_rate"] == (a > b).mean()
    assert row["low"] < row["difference"] < row["high"]


def test_lower_may_be_better():
    frame = scores(("good", "bad"), shift=2.0)
    (row,) = compare_table(frame, **NAMES, higher_is_better=False).to_dict("records")
    assert (row["a"], row["difference"] > 0, row["win_rate"] < 0.1) == ("bad", True, True)
    ranked = rank_table(frame, **NAMES, higher_is_better=False)
    assert ranked[["method", "rank_low", "rank_high", "group"]].to_numpy().tolist() == [
        ["good", 1, 1, "a"],
        ["bad", 2, 2, "b"],
    ]


def test_scenes_that_are_doubled_change_no_p():
    frame = scores(shift=0.4)
    doubled = pd.concat([frame, frame])
    once, twice = compare_table(frame, **NAMES), compare_table(doubled, **NAMES)
    assert once.p.tolist() == twice.p.tolist()
    assert (2 * once.n_images).tolist() == twice.n_images.tolist()
    np.testing.assert_allclose(once.low, twice.low, rtol=1e-12)


def test_identical_methods_tie_and_no_number_of_scenes_would_decide():
    frame = scores(("a",))
    both = pd.concat([frame, frame.assign(who="b")])
    (row,) = compare_table(both, **NAMES).to_dict("records")
    assert (row["difference"], row["p"], row["win_rate"], row["scenes_needed"]) == (0, 1, 0.5, "")
    assert rank_table(both, **NAMES)[["rank_low", "rank_high", "group"]].to_numpy().tolist() == [[1, 2, "a"]] * 2


def test_below_six_scenes_there_is_a_difference_and_no_verdict():
    frame = scores(scenes=5, shift=3)
    found, ranked = compare_table(frame, **NAMES), rank_table(frame, **NAMES)
    assert found.difference.notna().all()
    assert found[["low", "high", "p", "p_board", "separated"]].isna().all(axis=None)
    assert ranked[["rank_low", "rank_high", "group"]].isna().all(axis=None)


def test_the_order_of_rows_and_columns_does_not_matter():
    frame = scores(shift=0.3, tasks=("rain", "snow"), images=2)
    mixed = frame.sample(frac=1, random_state=1)[["db", "what", "photo", "who", "image"]]
    tell = {**TASKS, "image": "image"}
    pd.testing.assert_frame_equal(
        compare_table(frame, **tell).sort_values(["task", "a", "b"], ignore_index=True),
        compare_table(mixed, **tell).sort_values(["task", "a", "b"], ignore_index=True),
    )


def test_a_claim_over_all_tasks_is_held_to_holm():
    frame = scores(("a", "b"), tasks=("rain", "snow", "haze"), shift=0.5, scenes=20)
    found = compare_table(frame, **TASKS)
    ps = found[found.task != "average"].p.to_numpy()
    order = np.argsort(ps)
    by_holm = np.maximum.accumulate(np.minimum(1, ps[order] * [3, 2, 1]))
    assert found[found.task != "average"].p_board.to_numpy()[order] == pytest.approx(by_holm)
    assert found[found.task == "average"].p_board.isna().all()


def test_the_average_of_tasks_with_the_same_photographs_draws_each_once():
    """The same noise in every task: the average varies as one task does, not less."""
    one = scores(("a", "b"), shift=0.3)
    same = pd.concat([one.assign(what=task) for task in ("rain", "snow", "haze")])
    found = compare_table(same, **TASKS).set_index("task")
    width = found.high - found.low
    assert width["average"] == pytest.approx(width["rain"], rel=0.05)
    assert found.loc["average", "n_scenes"] == 12


@pytest.mark.parametrize("alike", [True, False], ids=["shared photographs", "photographs of their own"])
def test_the_average_of_independent_tasks_varies_less(alike):
    frame = scores(("a", "b"), tasks=("rain", "snow", "haze", "blur"), scenes=500, seed=3, alike=alike)
    found = compare_table(frame, **TASKS).set_index("task")
    width = found.high - found.low
    assert width["average"] == pytest.approx(width.drop("average").mean() / 2, rel=0.1)


def test_a_method_without_a_task_is_left_out_of_the_average():
    frame = scores(tasks=("rain", "snow"))
    part = frame[(frame.who != "c") | (frame.what == "rain")]
    found = compare_table(part, **TASKS)
    assert set(found[found.task == "rain"].b) == {"b", "c"}
    assert found[found.task == "average"][["a", "b"]].to_numpy().tolist() == [["a", "b"]]


def test_the_average_weighs_tasks_equally_in_every_figure():
    small, large = scores(("a", "b"), scenes=10), scores(("a", "b"), scenes=100, tasks=("snow",))
    frame = pd.concat([small, large])
    frame.loc[(frame.who == "a") & (frame.what == "rain"), "db"] = 0.0
    frame.loc[(frame.who == "a") & (frame.what == "snow"), "db"] = 99.0
    found = compare_table(frame, **TASKS).set_index("task")
    assert (found.loc["rain", "win_rate"], found.loc["snow", "win_rate"]) == (0, 1)
    assert found.loc["average", "win_rate"] == 0.5
    assert found.loc["average", "sd"] ** 2 == pytest.approx((found.sd["rain"] ** 2 + found.sd["snow"] ** 2) / 2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.rename(columns={"db": "dB"}), "no column 'db' .value. .nearest: dB.; it has who"),
        (lambda f: f.iloc[:0], "the table has no rows"),
        (lambda f: f.assign(db=f.db.where(f.index != 3)), "row 3, column 'db': nan is no finite number"),
        (lambda f: f.assign(db="high"), "row 0, column 'db': high is no finite number"),
        (lambda f: f.assign(photo=f.photo.where(f.index != 5)), "row 5, column 'photo': is empty"),
        (lambda f: f.assign(what="average"), "a task is called 'average', as is the average over tasks"),
        (lambda f: f.drop(index=14), "method 'b' lacks scores of scene '002', image '0' of task 'rain'"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "method 'a' has several scores of image '0' of task 'rain'"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(change, message):
    with pytest.raises(RestorebenchError, match=message) as caught:
        compare_table(change(scores()), **TASKS, image="image")
    assert "\n" not in str(caught.value)
