from __future__ import annotations

import math
import random

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorebench.cli.summary import grid
from restorebench.records import DetectionRecord, Execution, Record
from restorebench.tables.board import Board, CellFacts, Column, DetectorCellFacts, Family, SampleFacts
from restorebench.tables.build import build
from tests.failing import failure

PSNR = Column("psnr@rgb", True, 2, "dB")


def samples(count, kind="published", per_scene=1):
    return tuple(SampleFacts(f"s{n:02}", f"scene{n // per_scene}", kind) for n in range(count))


def cell(restorer, task="noisy", count=12, **facts):
    values = {
        **{"plugin": restorer, "tell": "nothing", "dataset": "d", "training": "untrained", "family": Family.BLIND},
        **{"columns": ("psnr@rgb",), **facts},
    }
    given = values.pop("samples", samples(count))
    name = f"{restorer}-{task}-{values['tell']}"
    return CellFacts(restorer, task=task, digest=name, row_digest=f"row-{name}", samples=given, **values)


def record(facts, number, value, **extra):
    given = {"status": "ok", "scores": {"psnr@rgb": value}, "execution": Execution("cpu", 1, 1), **extra}
    return Record(facts.digest, facts.samples[number].id, 0, **given)


def records(facts, base):
    return [record(facts, n, base + n % 4) for n in range(len(facts.samples))]


def board(*cells, tasks=("noisy",), columns=(PSNR,), detectors=(), tasks_in_suite=0):
    return Board("mine", "1", tasks, columns, tuple(cells), tuple(detectors), tasks_in_suite)


def row(tables, restorer, task="noisy"):
    frame = tables.leaderboard
    return frame[(frame.restorer == restorer) & (frame.task == task)].iloc[0]


def test_gain_and_rank_are_against_identity_and_rivals():
    cells = [cell("identity"), cell("good"), cell("bad"), cell("oracle", family=Family.YARDSTICK)]
    found = [r for c, base in zip(cells, (20, 25, 15, 40), strict=True) for r in records(c, base)]
    tables = build(board(*cells), found)
    assert row(tables, "good")["gain"] == 5
    assert [row(tables, name)["rank_low"] for name in ("good", "identity", "bad")] == [1, 2, 3]
    assert pd.isna(row(tables, "oracle")["rank_low"])
    assert row(tables, "oracle")["status"] == "yardstick"


def test_equal_rivals_share_the_better_rank():
    cells = [cell("a"), cell("b"), cell("c")]
    found = [r for c, base in zip(cells, (25, 25, 20), strict=True) for r in records(c, base)]
    tables = build(board(*cells), found)
    assert [row(tables, name)["rank_low"] for name in "abc"] == [1, 1, 3]


def test_there_is_no_rank_below_six_scenes():
    many = cell("a", samples=samples(15, per_scene=3))
    tables = build(board(many), records(many, 20))
    assert row(tables, "a")["n_images"] == 15
    assert row(tables, "a")["n_scenes"] == 5
    assert pd.isna(row(tables, "a")["rank_low"])


def test_a_failure_keeps_the_value_but_loses_rank_and_average():
    whole, broken = cell("whole"), cell("broken")
    found = records(whole, 20) + records(broken, 30)[1:]
    found.append(Record(broken.digest, "s00", 0, "failed", failure("crash: SIGSEGV")))
    tables = build(board(whole, broken), found)
    hurt = row(tables, "broken")
    assert hurt["status"] == "incomplete: 1 of 12 failed"
    assert hurt["psnr@rgb"] > 30
    assert pd.isna(hurt["rank_low"])
    assert math.isnan(row(tables, "broken", "average")["psnr@rgb"])
    assert row(tables, "broken", "average")["status"] == "incomplete: noisy"
    assert pd.isna(row(tables, "whole")["rank_low"])  # nobody is left to compare it with
    assert list(tables.failures.reason) == ["crash: SIGSEGV"]


def test_images_that_were_not_run_make_a_row_incomplete():
    partial = cell("a")
    tables = build(board(partial), records(partial, 20)[:5])
    assert row(tables, "a")["status"] == "incomplete: 7 of 12 not run"


def test_the_average_weighs_tasks_equally_and_leaves_clean_out():
    small, large, clean = cell("a", "noisy", 10), cell("a", "hazy", 40), cell("a", "clean", 10)
    found = [record(small, n, 10) for n in range(10)] + [record(large, n, 30) for n in range(40)]
    found += [record(clean, n, float("inf")) for n in range(10)]
    tables = build(board(small, large, clean, tasks=("noisy", "hazy")), found)
    assert row(tables, "a", "average")["psnr@rgb"] == 20
    assert row(tables, "a", "average")["n_images"] == 50
    assert row(tables, "a", "clean")["psnr@rgb"] == 100
    assert row(tables, "a", "clean")["status"] == "capped"
    assert math.isinf(tables.records["psnr@rgb"].iloc[-1])


def test_a_task_without_a_cell_blanks_the_average():
    one = cell("a")
    tables = build(board(one, tasks=("noisy", "hazy")), records(one, 20))
    assert row(tables, "a", "average")["status"] == "incomplete: hazy"


def test_an_average_over_some_of_the_tasks_says_so():
    one = cell("a")
    tables = build(board(one, tasks_in_suite=10), records(one, 20))
    assert row(tables, "a", "average")["status"] == "1 of 10 tasks"
    assert row(tables, "a", "average")["psnr@rgb"] > 0
    assert grid(tables, PSNR).rows[-1] == "average, 1 of 10 tasks"
    missing = build(board(one, tasks=("noisy", "hazy"), tasks_in_suite=10), records(one, 20))
    assert row(missing, "a", "average")["status"] == "2 of 10 tasks; incomplete: hazy"


def test_captured_images_have_an_average_of_their_own():
    mixed = samples(6, "captured") + tuple(SampleFacts(f"d{n}", f"d{n}", "derived") for n in range(6))
    both = cell("a", samples=mixed)
    found = [record(both, n, 20 if n < 6 else 40) for n in range(12)]
    tables = build(board(both), found)
    assert row(tables, "a", "average")["psnr@rgb"] == 30
    assert row(tables, "a", "average-captured")["psnr@rgb"] == 20
    assert row(tables, "a", "average-captured")["status"] == "1 of 1 tasks"


@pytest.mark.parametrize("others", [(PSNR,), ()])
def test_a_metric_that_never_ranks_leaves_the_ranking_to_the_next_one(others):
    aligned = Column("psnr-mean-aligned@rgb", True, 2, "dB", ranks=False)
    cells = [cell("a"), cell("b")]
    found = [
        record(c, n, None, scores={"psnr-mean-aligned@rgb": 40 - value, "psnr@rgb": value})
        for c, value in zip(cells, (20, 30), strict=True)
        for n in range(12)
    ]
    tables = build(board(*cells, columns=(aligned, *others)), found)
    ranks = [row(tables, name)["rank_low"] for name in "ab"]
    assert ranks == [2, 1] if others else all(pd.isna(rank) for rank in ranks)


def test_a_lower_is_better_metric_ranks_the_other_way():
    lpips = Column("lpips@rgb", False)
    cells = [cell("a"), cell("b")]
    found = [
        record(c, n, None, scores={"lpips@rgb": value})
        for c, value in zip(cells, (0.1, 0.2), strict=True)
        for n in range(12)
    ]
    tables = build(board(*cells, columns=(lpips,)), found)
    assert [row(tables, name)["rank_low"] for name in "ab"] == [1, 2]


def test_repetitions_are_averaged_per_image_first():
    twice = cell("a", count=10, repetitions=2)
    found = [
        Record(twice.digest, s.id, r, "ok", scores={"psnr@rgb": 20.0 + r}) for s in twice.samples for r in (0, 1)
    ]
    tables = build(board(twice), found)
    assert row(tables, "a")["psnr@rgb"] == 20.5
    assert len(tables.records) == 20


def without_scores(facts, base, lost, **extra):
    """Make the records of a cell whose lost images have no PSNR."""
    return [
        record(facts, n, None, **extra) if n in lost else record(facts, n, base + n % 4)
        for n in range(len(facts.samples))
    ]


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"scores": {}, "unscored": {"psnr@rgb": failure("error: metric")}}, "psnr@rgb failed on 2 of 12"),
        ({"scores": {"psnr@rgb": None}}, "psnr@rgb of 10 of 12"),
    ],
)
def test_a_score_that_others_have_is_missed_in_gain_rank_and_average(extra, status):
    cells = [cell("identity"), cell("same"), cell("worse")]
    found = records(cells[0], 20) + without_scores(cells[1], 20, {0, 4}, **extra) + records(cells[2], 19)
    tables = build(board(*cells), found)
    easier = row(tables, "same")
    assert (easier["psnr@rgb"] > 21.5, easier["status"]) == (True, status)
    assert math.isnan(easier["gain"])
    assert pd.isna(easier["rank_low"])
    assert [row(tables, name)["rank_low"] for name in ("identity", "worse")] == [1, 2]
    average = row(tables, "same", "average")
    assert (math.isnan(average["psnr@rgb"]), math.isnan(average["gain"]), average["status"]) == (
        True,
        True,
        status,
    )
    assert row(tables, "worse", "average")["gain"] == -1


def test_an_identity_without_some_scores_is_no_floor():
    cells = [cell("identity"), cell("a")]
    failed = {"scores": {}, "unscored": {"psnr@rgb": failure("error: metric")}}
    tables = build(board(*cells), without_scores(cells[0], 20, {0}, **failed) + records(cells[1], 25))
    assert math.isnan(row(tables, "a")["gain"])


def test_a_score_that_failed_in_one_repetition_is_missed_too():
    twice, once = cell("a", count=10, repetitions=2), cell("b", count=10)
    found = [Record(twice.digest, s.id, r, "ok", scores={"psnr@rgb": 20.0}) for s in twice.samples for r in (0, 1)]
    found[1] = Record(twice.digest, "s00", 1, "ok", unscored={"psnr@rgb": failure("error: metric")})
    tables = build(board(twice, once), found + records(once, 15))
    assert pd.isna(row(tables, "a")["rank_low"])
    assert pd.isna(row(tables, "b")["rank_low"])  # nobody is left to compare it with


def test_a_score_that_no_rival_has_is_missed_by_nobody():
    cells = [cell("identity"), cell("a")]
    found = [r for c, base in zip(cells, (20, 25), strict=True) for r in without_scores(c, base, {0, 4})]
    tables = build(board(*cells), found)
    assert [row(tables, name)["rank_low"] for name in ("a", "identity")] == [1, 2]
    assert row(tables, "a", "average")["gain"] == 5


def test_a_score_of_a_derived_image_is_not_missed_in_the_captured_average():
    mixed = samples(6, "captured") + tuple(SampleFacts(f"d{n}", f"d{n}", "derived") for n in range(6))
    only = cell("a", samples=mixed)
    failed = {"scores": {}, "unscored": {"psnr@rgb": failure("error: metric")}}
    tables = build(board(only), without_scores(only, 20, {7}, **failed))
    assert math.isnan(row(tables, "a", "average")["psnr@rgb"])
    assert row(tables, "a", "average-captured")["psnr@rgb"] > 20


def test_skips_fallbacks_and_missing_metrics_are_said_in_the_status():
    lpips = Column("lpips@rgb", False, unavailable="no backbone")
    skipped, tiled = cell("a", skipped="needs a task"), cell("b")
    slow = Execution("cpu", 1, 1, fallback="tile 512")
    found = [record(tiled, n, 20, execution=slow) for n in range(12)]
    tables = build(board(skipped, tiled, columns=(PSNR, lpips)), found)
    assert row(tables, "a")["status"] == "skipped: needs a task"
    assert row(tables, "b")["status"] == "fallback: tile 512; lpips@rgb unavailable"


def test_the_order_of_records_changes_no_table():
    cells = [cell("a", count=40), cell("b", count=40)]
    found = [r for c, base in zip(cells, (20.3, 21.1), strict=True) for r in records(c, base)]
    straight = build(board(*cells), found)
    random.Random(0).shuffle(found)
    mixed = build(board(*cells), found)
    assert straight.leaderboard.equals(mixed.leaderboard)
    assert straight.records.equals(mixed.records)


def test_detectors_are_scored_per_task_with_an_average():
    cells = [DetectorCellFacts("d", task, "data", f"d-{task}", samples(2)) for task in ("noisy", "hazy", "clean")]
    said = [DetectionRecord(f"d-{task}", f"s{n:02}", "ok", labels=("noisy",)) for task in ("noisy", "hazy", "clean") for n in (0, 1)]  # fmt: skip # noqa: E501  # reads best in one line
    tables = build(board(cell("a", count=2), detectors=cells), [], said)
    scores = tables.detectors.set_index("task")
    assert scores.loc["noisy", "accuracy"] == 1
    assert scores.loc["average", "accuracy"] == 0.5
    assert scores.loc["clean", "false_alarm"] == 1
    assert list(tables.confusion.images) == [2, 2, 2]


def detections(facts, *labels):
    return [DetectionRecord(facts.digest, s.id, "ok", labels=labels) for s in facts.samples]


def detecting(task, dataset="data"):
    return DetectorCellFacts("d", task, dataset, f"d-{task}-{dataset}", samples(2))


def detector_average(frame):
    (average,) = frame[frame.task == "average"].to_dict("records")
    return average


def test_an_average_of_a_detector_over_some_of_the_tasks_says_so():
    one = detecting("noisy")
    scores = build(board(detectors=[one], tasks_in_suite=10), [], detections(one, "noisy")).detectors
    assert detector_average(scores)["status"] == "1 of 10 tasks"
    assert detector_average(scores)["accuracy"] == 1
    missing = build(board(detectors=[one], tasks=("noisy", "hazy")), [], detections(one, "noisy")).detectors
    assert detector_average(missing)["status"] == "incomplete: hazy"
    assert math.isnan(detector_average(missing)["accuracy"])


def test_a_detector_has_no_average_of_a_score_that_a_task_lacks():
    named, silent = detecting("noisy"), detecting("hazy")
    said = detections(named, "noisy") + detections(silent)
    scores = build(board(detectors=[named, silent], tasks=("noisy", "hazy")), [], said).detectors
    average = detector_average(scores)
    assert (average["accuracy"], average["recall"]) == (0.5, 0.5)
    assert math.isnan(average["precision"])
    assert average["status"] == "precision of 1 of 2 tasks"


def test_the_average_row_pools_the_images_of_all_tasks_for_the_calibration_error():
    cells = [detecting("noisy"), detecting("hazy")]
    said = [
        DetectionRecord(facts.digest, sample.id, "ok", probabilities={"noisy": 0.5, "hazy": 0.25})
        for facts in cells
        for sample in facts.samples
    ]
    scores = build(board(detectors=cells, tasks=("noisy", "hazy")), [], said).detectors.set_index("task")
    assert list(scores.loc[["noisy", "hazy", "average"], "calibration_error"]) == [0.5, 0.5, 0]
    assert list(scores.loc[["noisy", "hazy"], "brier"]) == [0.3125, 0.8125]
    assert scores.loc["average", "brier"] == 0.5625


def test_a_detector_on_tasks_spread_over_datasets_has_one_average():
    noisy, hazy = detecting("noisy", "one"), detecting("hazy", "two")
    said = detections(noisy, "noisy") + detections(hazy, "noisy")
    scores = build(board(detectors=[noisy, hazy], tasks=("noisy", "hazy")), [], said).detectors
    average = detector_average(scores)
    assert (average["dataset"], average["accuracy"], average["status"]) == ("*", 0.5, "ok")


def test_the_printed_table_has_a_row_per_task_and_a_column_per_restorer():
    cells = [cell("identity"), cell("good", tell="task", family=Family.TOLD)]
    found = [r for c, base in zip(cells, (20, 25), strict=True) for r in records(c, base)]
    printed = grid(build(board(*cells), found), PSNR)
    assert printed.columns == ("identity", "good:task")
    assert printed.rows == ("noisy", "average")
    assert printed.cells[0] == ("21.50", "26.50")


@pytest.mark.parametrize("count", [0, 1])
def test_tables_of_nothing_are_still_tables(count):
    empty = cell("a", count=count)
    tables = build(board(empty), [])
    assert len(tables.leaderboard) == 2


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_order_of_records_or_detections_changes_any_table(shuffler):
    cells = [cell("identity", repetitions=2), cell("a", repetitions=2)]
    found = [
        Record(c.digest, s.id, r, "ok", scores={"psnr@rgb": 20.1 + r / 7 + n / 3}, seconds=n / 9, pixels=100)
        for c in cells
        for n, s in enumerate(c.samples)
        for r in (0, 1)
    ]
    found[3] = Record(found[3].digest, found[3].sample, 1, "failed", failure("crash: SIGSEGV"))
    detector = DetectorCellFacts("d", "noisy", "d", "dd", samples(4))
    said = [DetectionRecord("dd", s.id, "ok", probabilities={"noisy": 0.3}) for s in detector.samples]
    straight = build(board(*cells, detectors=[detector]), found, said)
    shuffler.shuffle(found)
    shuffler.shuffle(said)
    mixed = build(board(*cells, detectors=[detector]), found, said)
    for name in ("leaderboard", "records", "detectors", "labels", "confusion", "cost", "failures"):
        assert getattr(straight, name).equals(getattr(mixed, name)), name


def test_only_decibels_are_capped():
    error = Column("mse@rgb", False)
    large = cell("a")
    found = [record(large, n, None, scores={"mse@rgb": 250.0}) for n in range(12)]
    assert row(build(board(large, columns=(error,)), found), "a")["mse@rgb"] == 250


def test_an_infinite_repetition_is_capped_before_it_is_averaged():
    twice = cell("a", count=10, repetitions=2)
    values = (30.0, math.inf)
    found = [
        Record(twice.digest, s.id, r, "ok", scores={"psnr@rgb": values[r]}) for s in twice.samples for r in (0, 1)
    ]
    tables = build(board(twice), found)
    assert row(tables, "a")["psnr@rgb"] == 65
    assert row(tables, "a")["status"] == "capped"


def test_a_finite_value_above_the_cap_does_not_beat_a_perfect_one_and_says_so():
    near = cell("a")
    found = build(board(near), [record(near, n, 101.0) for n in range(12)])
    assert (row(found, "a")["psnr@rgb"], row(found, "a")["status"]) == (100, "capped")


def test_tasks_spread_over_datasets_share_one_average():
    noisy, hazy = cell("a", "noisy", dataset="one"), cell("a", "hazy", dataset="two")
    tables = build(board(noisy, hazy, tasks=("noisy", "hazy")), records(noisy, 20) + records(hazy, 30))
    assert row(tables, "a", "average")["dataset"] == "*"
    assert row(tables, "a", "average")["psnr@rgb"] == 26.5


def test_datasets_that_hold_the_same_task_are_averaged_apart():
    one, two = cell("a", dataset="one"), cell("a", dataset="two", tell="task")
    tables = build(board(one, two), records(one, 20) + records(two, 30))
    averages = tables.leaderboard[tables.leaderboard.task == "average"]
    assert list(averages.dataset) == ["one", "two"]


def test_the_captured_average_has_a_gain_and_is_blank_when_incomplete():
    mixed = samples(6, "captured") + tuple(SampleFacts(f"d{n}", f"d{n}", "derived") for n in range(6))
    cells = [cell(name, samples=mixed) for name in ("identity", "whole", "broken")]
    found = [record(c, n, base + (n < 6)) for c, base in zip(cells, (10, 15, 40), strict=True) for n in range(12)]
    tables = build(board(*cells), found[:-1])
    assert row(tables, "whole", "average-captured")["gain"] == 5
    assert row(tables, "whole", "average-captured")["n_images"] == 6
    assert math.isnan(row(tables, "broken", "average-captured")["psnr@rgb"])
    assert row(tables, "broken", "average-captured")["status"] == "1 of 1 tasks; incomplete: noisy"


def test_captured_clean_inputs_alone_make_no_captured_average():
    noisy, clean = cell("a"), cell("a", "clean", samples=samples(12, "captured"))
    tables = build(board(noisy, clean), records(noisy, 20) + records(clean, 20))
    assert "average-captured" not in set(tables.leaderboard.task)


def test_a_metric_that_skips_some_images_is_said_in_the_status():
    small = cell("a")
    found = [record(small, n, None if n < 2 else 20.0) for n in range(12)]
    assert row(build(board(small), found), "a")["status"] == "psnr@rgb of 10 of 12"


def test_an_incomplete_yardstick_is_still_one_in_its_average():
    oracle = cell("oracle", family=Family.YARDSTICK)
    tables = build(board(oracle), records(oracle, 20)[1:])
    assert row(tables, "oracle", "average")["status"] == "incomplete: noisy; yardstick"


def test_without_a_complete_identity_there_is_no_gain():
    cells = [cell("identity"), cell("a")]
    tables = build(board(*cells), records(cells[0], 10)[1:] + records(cells[1], 20))
    assert math.isnan(row(tables, "a")["gain"])
    assert row(tables, "a")["psnr@rgb"] == 21.5


def test_failures_say_which_image_of_which_plugin_failed():
    broken = cell("a", tell="d", count=1)
    detector = DetectorCellFacts("d", "noisy", "d", "dd", samples(1))
    failed = Record(broken.digest, "s00", 0, "failed", failure("detector: d failed"))
    said = DetectionRecord("dd", "s00", "failed", failure("error: boom"))
    frame = build(board(broken, detectors=[detector]), [failed], [said]).failures
    assert list(frame.columns[:8]) == [
        *("suite", "suite_version", "task", "dataset", "sample", "scene", "kind", "repetition")
    ]
    assert list(frame.reason) == ["detector: d failed", "error: boom"]
    assert list(frame.scene) == ["scene0", "scene0"]
    assert (frame.restorer[0], frame.detector[1]) == ("a", "d")


def test_cost_leaves_the_first_group_out_unless_there_is_no_other():
    cells = [cell("a", count=3), cell("b", count=3)]
    timing = [
        (cells[0], 0, 9.0, False),
        (cells[0], 1, 1.0, True),
        (cells[0], 2, 2.0, True),
        (cells[1], 0, 7.0, False),
    ]
    found = [record(c, n, 20.0, seconds=seconds, warm=warm, pixels=500_000) for c, n, seconds, warm in timing]
    cost = build(board(*cells), found).cost.set_index("restorer")
    assert list(cost.seconds_per_image) == [1.5, 7.0]
    assert list(cost.seconds_per_megapixel) == [3.0, 14.0]
    assert list(cost.warm) == [True, False]


def test_time_and_memory_change_only_the_cost():
    only = cell("a")
    slow = build(board(only), [record(only, n, 20.0, seconds=9.0, pixels=9, peak_mib=1.0) for n in range(12)])
    other = Execution("cuda:0", 8, 4)
    fast = build(board(only), [record(only, n, 20.0, seconds=1.0, pixels=9, execution=other) for n in range(12)])
    assert slow.leaderboard.equals(fast.leaderboard)
    assert slow.records.equals(fast.records)
    assert not slow.cost.equals(fast.cost)


def test_a_detector_that_was_not_run_to_its_end_has_no_average():
    detector = DetectorCellFacts("d", "noisy", "d", "dd", samples(3))
    said = [DetectionRecord("dd", "s00", "ok", labels=("noisy",))]
    scores = build(board(cell("a"), detectors=[detector]), [], said).detectors.set_index("task")
    assert scores.loc["noisy", "status"] == "incomplete: 2 of 3 not run"
    assert scores.loc["average", "status"] == "incomplete: noisy"
    assert math.isnan(scores.loc["average", "accuracy"])


def test_a_row_computed_in_two_ways_says_so():
    only = cell("a")
    found = records(only, 20)
    found[0] = record(only, 0, 20.0, execution=Execution("cuda:1", 1, 1))
    assert row(build(board(only), found), "a")["status"] == "mixed execution: cpu x1 float32, cuda x1 float32"


def test_a_row_computed_in_batches_of_two_sizes_says_so():
    only = cell("a")
    batched = [Execution("cpu", 1, min(4, 12 - n), batch_limit=4) for n in range(12)]
    found = [record(only, n, 20.0, execution=batched[n]) for n in range(12)]
    assert row(build(board(only), found), "a")["status"] == "ok"
    found[0] = record(only, 0, 20.0, execution=Execution("cpu", 1, 1, batch_limit=1))
    status = row(build(board(only), found), "a")["status"]
    assert status == "mixed execution: cpu x1 float32 batch 1, cpu x1 float32 batch 4"


def test_gain_is_against_the_identity_whatever_it_is_called():
    floor, other = cell("input", plugin="identity"), cell("identity", plugin="mine")
    tables = build(board(floor, other), records(floor, 10) + records(other, 13))
    assert row(tables, "identity")["gain"] == 3
    assert row(tables, "input")["gain"] == 0
