from __future__ import annotations

import math
import random

import pytest

from restorebench.leaderboard import build, printed
from restorebench.records import (
    Board,
    CellFacts,
    Column,
    DetectionRecord,
    DetectorCellFacts,
    Execution,
    Record,
    SampleFacts,
)

PSNR = Column("psnr@rgb", True, 2, "dB")


def samples(count, kind="published", per_scene=1):
    return tuple(SampleFacts(f"s{n:02}", f"scene{n // per_scene}", kind) for n in range(count))


def cell(restorer, task="noisy", count=12, **facts):
    values = {"tell": "nothing", "dataset": "d", "training": "untrained", "yardstick": False, **facts}
    given = values.pop("samples", samples(count))
    name = f"{restorer}-{task}-{values['tell']}"
    return CellFacts(restorer, task=task, digest=name, row_digest=f"row-{name}", samples=given, **values)


def record(facts, number, value, **extra):
    given = {"status": "ok", "scores": {"psnr@rgb": value}, "execution": Execution("cpu", 1, 1), **extra}
    return Record(facts.digest, facts.samples[number].id, 0, **given)


def records(facts, base):
    return [record(facts, n, base + n % 4) for n in range(len(facts.samples))]


def board(*cells, tasks=("noisy",), columns=(PSNR,), detectors=()):
    return Board("mine", "1", 0, tasks, columns, tuple(cells), tuple(detectors))


def row(tables, restorer, task="noisy"):
    frame = tables.leaderboard
    return frame[(frame.restorer == restorer) & (frame.task == task)].iloc[0]


def test_gain_and_rank_are_against_identity_and_rivals():
    cells = [cell("identity"), cell("good"), cell("bad"), cell("oracle", yardstick=True)]
    found = [r for c, base in zip(cells, (20, 25, 15, 40), strict=True) for r in records(c, base)]
    tables = build(board(*cells), found)
    assert row(tables, "good")["gain"] == 5
    assert [row(tables, name)["rank"] for name in ("good", "identity", "bad")] == [1, 2, 3]
    assert math.isnan(row(tables, "oracle")["rank"])
    assert row(tables, "oracle")["status"] == "yardstick"


def test_equal_rivals_share_the_better_rank():
    cells = [cell("a"), cell("b"), cell("c")]
    found = [r for c, base in zip(cells, (25, 25, 20), strict=True) for r in records(c, base)]
    tables = build(board(*cells), found)
    assert [row(tables, name)["rank"] for name in "abc"] == [1, 1, 3]


def test_there_is_no_rank_below_ten_scenes():
    many = cell("a", samples=samples(27, per_scene=3))
    tables = build(board(many), records(many, 20))
    assert row(tables, "a")["n_images"] == 27
    assert row(tables, "a")["n_scenes"] == 9
    assert math.isnan(row(tables, "a")["rank"])


def test_a_failure_keeps_the_value_but_loses_rank_and_average():
    whole, broken = cell("whole"), cell("broken")
    found = records(whole, 20) + records(broken, 30)[1:]
    found.append(Record(broken.digest, "s00", 0, "failed", "crash: SIGSEGV"))
    tables = build(board(whole, broken), found)
    hurt = row(tables, "broken")
    assert hurt["status"] == "incomplete: 1 of 12 failed"
    assert hurt["psnr@rgb"] > 30
    assert math.isnan(hurt["rank"])
    assert math.isnan(row(tables, "broken", "average")["psnr@rgb"])
    assert row(tables, "broken", "average")["status"] == "incomplete: noisy"
    assert row(tables, "whole")["rank"] == 1
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


def test_captured_images_have_an_average_of_their_own():
    mixed = samples(6, "captured") + tuple(SampleFacts(f"d{n}", f"d{n}", "derived") for n in range(6))
    both = cell("a", samples=mixed)
    found = [record(both, n, 20 if n < 6 else 40) for n in range(12)]
    tables = build(board(both), found)
    assert row(tables, "a", "average")["psnr@rgb"] == 30
    assert row(tables, "a", "average-captured")["psnr@rgb"] == 20
    assert row(tables, "a", "average-captured")["status"] == "1 of 1 tasks"


def test_a_lower_is_better_metric_ranks_the_other_way():
    lpips = Column("lpips@rgb", False)
    cells = [cell("a"), cell("b")]
    found = [
        record(c, n, None, scores={"lpips@rgb": value})
        for c, value in zip(cells, (0.1, 0.2), strict=True)
        for n in range(12)
    ]
    tables = build(board(*cells, columns=(lpips,)), found)
    assert [row(tables, name)["rank"] for name in "ab"] == [1, 2]


def test_repetitions_are_averaged_per_image_first():
    twice = cell("a", count=10, repetitions=2)
    found = [
        Record(twice.digest, s.id, r, "ok", scores={"psnr@rgb": 20.0 + r}) for s in twice.samples for r in (0, 1)
    ]
    tables = build(board(twice), found)
    assert row(tables, "a")["psnr@rgb"] == 20.5
    assert len(tables.records) == 20


def test_skips_fallbacks_and_missing_metrics_are_said_in_the_status():
    lpips = Column("lpips@rgb", False, unavailable="no backbone")
    skipped, tiled = cell("a", skipped="needs a task"), cell("b")
    slow = Execution("cpu", 1, 1, fallback="tile 512")
    found = [record(tiled, n, 20, execution=slow) for n in range(12)]
    tables = build(board(skipped, tiled, columns=(PSNR, lpips)), found)
    assert row(tables, "a")["status"] == "skipped: needs a task"
    assert row(tables, "b")["status"] == "fallback: tile 512; no lpips@rgb: no backbone"


def test_the_order_of_records_changes_no_table():
    cells = [cell("a", count=40), cell("b", count=40)]
    found = [r for c, base in zip(cells, (20.3, 21.1), strict=True) for r in records(c, base)]
    straight = build(board(*cells), found)
    random.Random(0).shuffle(found)
    mixed = build(board(*cells), found)
    assert straight.leaderboard.equals(mixed.leaderboard)
    assert straight.records.equals(mixed.records)


def test_detectors_are_scored_per_task_with_an_average():
    cells = [
        DetectorCellFacts("d", task, "data", ("noisy", "hazy"), f"d-{task}", samples(2))
        for task in ("noisy", "hazy", "clean")
    ]
    said = [DetectionRecord(f"d-{task}", f"s{n:02}", "ok", labels=("noisy",)) for task in ("noisy", "hazy", "clean") for n in (0, 1)]  # fmt: skip # noqa: E501
    tables = build(board(cell("a", count=2), detectors=cells), [], said)
    scores = tables.detectors.set_index("task")
    assert scores.loc["noisy", "accuracy"] == 1
    assert scores.loc["average", "accuracy"] == 0.5
    assert scores.loc["clean", "false_alarm"] == 1
    assert list(tables.confusion.images) == [2, 2, 2]


def test_the_printed_table_has_a_row_per_task_and_a_column_per_restorer():
    cells = [cell("identity"), cell("good", tell="task")]
    found = [r for c, base in zip(cells, (20, 25), strict=True) for r in records(c, base)]
    lines = printed(build(board(*cells), found), board(*cells))
    assert lines[0] == ["task (psnr@rgb)", "identity", "good [task]"]
    assert lines[1] == ["noisy", "21.50", "26.50"]
    assert lines[-1][0] == "average"


@pytest.mark.parametrize("count", [0, 1])
def test_tables_of_nothing_are_still_tables(count):
    empty = cell("a", count=count)
    tables = build(board(empty), [])
    assert len(tables.leaderboard) == 2
