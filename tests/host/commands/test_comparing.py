"""`compare`: two rows of one run or of two, read from the tables that anybody may publish."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from restorebench_reports.as_csv import Csv

from restorebench import RestorebenchError, compare
from restorebench.commands.looking import looks
from restorebench.contract.errors import RunFolderError, UnknownName
from restorebench.records import Record
from restorebench.tables.board import Board, CellFacts, Column, Family, SampleFacts
from restorebench.tables.build import build, tables_of
from restorebench.tables.reading import board_facts, read_run
from tests.failing import failure

PSNR, LPIPS = Column("psnr@rgb", True, 2, "dB"), Column("lpips@rgb", False, 4)
TASKS = ("rainy", "snowy")
SHIFTS = {"identity": 0.0, "good": 3.0, "alike": 3.01, "good:task": 4.0}


def facts(name, task, images):
    label, _, tell = name.partition(":")
    count, of = (images, "") if isinstance(images, int) else (images[task], f"{task}-")
    samples = tuple(SampleFacts(f"{n:02}", f"{of}scene{n}", "synthetic") for n in range(count))
    digest = f"{name}-{task}"
    family = Family.TOLD if tell else Family.BLIND
    return CellFacts(
        label, label, tell or "nothing", task, "d", "untrained", family, digest, f"row {digest}", samples
    )


def publish(
    folder,
    shifts=SHIFTS,
    images=14,
    seed=0,
    data="same",
    code="same",
    tasks=TASKS,
    columns=(PSNR, LPIPS),
    change=lambda record: record,
):
    """Write the tables of a made-up run: every row is identity's scores, moved by its shift and some noise.

    images: of each task, of the same scenes; or by task, of scenes of its own.
    """
    rng = np.random.default_rng(seed)
    cells = [facts(name, task, images) for task in (*tasks, "clean") for name in shifts]
    board = Board("made-up", "1", tasks, columns, tuple(cells))
    found = []
    for cell in cells:
        for n, sample in enumerate(cell.samples):
            value = 20 + 3 * math.sin(n) + shifts[cell.name] + rng.normal(0, 0.3)
            scores = {"psnr@rgb": value, "lpips@rgb": 1 / value}
            found.append(change(Record(cell.digest, sample.id, 0, "ok", scores=scores)))
    tables = build(board, found)
    folder.mkdir()
    Csv(None, None).write(tables, folder)
    manifest = {
        "suite": {"suite": "made-up", "version": "1"},
        "board": board_facts(board),
        "data": {f"d/{task}": data for task in (*tasks, "clean")},
        "columns": {"psnr@rgb": code, "lpips@rgb": code},
        "cells": [{"restorer": cell.restorer, "name": cell.plugin} for cell in cells],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return tables


def rows(found):
    return {row["task"]: row for row in found.pairs.to_dict("records")}


def test_a_run_read_back_has_the_comparisons_of_the_run(tmp_path):
    tables = publish(tmp_path / "run")
    again = read_run(tmp_path / "run")
    rebuilt = tables_of(again.board, again.cells)
    assert rebuilt.comparisons.equals(tables.comparisons)
    assert rebuilt.leaderboard.drop(columns="status").equals(tables.leaderboard.drop(columns="status"))


def test_rows_of_one_family_have_the_p_of_their_board(tmp_path):
    tables = publish(tmp_path / "run")
    found = rows(compare("good", "alike", tmp_path / "run"))
    board = tables.comparisons
    for task in (*TASKS, "average"):
        (row,) = board[
            (board.family == "blind") & (board.task == task) & (board.column == "psnr@rgb") & (board.a == "good")
        ].to_dict("records")
        assert row["b"] == "alike"
        for name in ("difference", "low", "high", "p", "win_rate", "separated"):
            assert found[task][name] == row[name], name
        assert ("better" in found[task]["verdict"]) == row["separated"]


def test_turned_round_it_says_the_same(tmp_path):
    publish(tmp_path / "run")
    one, other = (rows(compare(*pair, tmp_path / "run")) for pair in (("good", "identity"), ("identity", "good")))
    for task, row in one.items():
        assert row["verdict"] == other[task]["verdict"] == "good better"
        assert (row["difference"], row["low"], row["high"]) == tuple(
            -other[task][name] for name in ("difference", "high", "low")
        )
        assert row["win_rate"] == pytest.approx(1 - other[task]["win_rate"])


def test_where_lower_is_better_the_verdict_follows(tmp_path):
    publish(tmp_path / "run")
    found = rows(compare("good", "identity", tmp_path / "run", metric="lpips@rgb"))
    assert found["snowy"]["difference"] < 0
    assert found["snowy"]["verdict"] == "good better"


def test_rows_of_two_families_are_a_family_of_their_own_and_it_is_said(tmp_path):
    publish(tmp_path / "run")
    found = compare("good:task", "good", tmp_path / "run")
    assert found.family == ("good", "good:task")
    assert found.notes == ("good:task is told and good is blind: the two are a family of their own",)
    assert set(rows(found)) == {"rainy", "snowy", "average"}


def test_a_margin_is_answered(tmp_path):
    publish(tmp_path / "run")
    near, far = (
        rows(compare("good", "alike", tmp_path / "run", margin=m))["snowy"]["verdict"] for m in (1, 0.001)
    )
    assert near.endswith("good is not worse by more than 1 dB")
    assert far.endswith("good may be worse by more than 0.001 dB")


def test_two_runs_of_the_same_images_are_compared_on_what_both_have(tmp_path):
    publish(tmp_path / "one", {"identity": 0, "mine": 2.0}, images=14)
    publish(tmp_path / "two", {"identity": 0, "theirs": 3.0}, images=10, seed=1)
    found = compare("mine", "theirs", tmp_path / "one", tmp_path / "two")
    assert rows(found)["rainy"]["n_images"] == 10
    assert rows(found)["rainy"]["verdict"] == "theirs better"
    assert "two runs" in found.notes[0]


def test_the_same_row_of_two_runs_is_named_after_its_run(tmp_path):
    publish(tmp_path / "one", {"mine": 2.0})
    publish(tmp_path / "two", {"mine": 3.0}, seed=1)
    found = compare("mine", "mine", tmp_path / "one", tmp_path / "two")
    assert (found.a, found.b) == (f"mine ({tmp_path / 'one'})", f"mine ({tmp_path / 'two'})")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"data": "other"},
            "no task with the same images: rainy of d is left out: the two runs have other images",
        ),
        ({"code": "other"}, "psnr@rgb was computed by other code in .*two"),
    ],
)
def test_runs_that_cannot_be_compared_say_why(tmp_path, other, message):
    publish(tmp_path / "one")
    publish(tmp_path / "two", **other)
    with pytest.raises(RestorebenchError, match=message):
        compare("good", "alike", tmp_path / "one", tmp_path / "two")


def test_a_row_that_failed_on_an_image_is_not_compared_there(tmp_path):
    def fails(record):
        if (record.digest, record.sample) != ("alike-snowy", "03"):
            return record
        return Record(record.digest, record.sample, 0, "failed", failure("crash: SIGSEGV"))

    publish(tmp_path / "run", change=fails)
    found = compare("good", "alike", tmp_path / "run")
    assert set(rows(found)) == {"rainy"}
    assert found.notes == (
        "snowy is not compared: alike: incomplete: 1 of 14 failed",
        "there is no average: not every task is compared",
    )


def test_the_same_row_of_two_runs_one_of_which_failed_on_an_image(tmp_path):
    def fails(record):
        failed = (record.digest, record.sample) == ("good-snowy", "03")
        return Record(record.digest, record.sample, 0, "failed", failure("crash")) if failed else record

    publish(tmp_path / "one")
    publish(tmp_path / "two", change=fails, seed=1)
    found = compare("good", "good", tmp_path / "one", tmp_path / "two")
    assert set(rows(found)) == {"rainy"}
    assert f"good ({tmp_path / 'two'}): incomplete: 1 of 14 failed" in found.notes[1]


def test_a_run_that_is_not_finished_is_not_compared(tmp_path):
    publish(tmp_path / "run")
    path = tmp_path / "run" / "records.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if ",12,scene" not in line and ",13,scene" not in line))
    found = compare("good", "alike", tmp_path / "run")
    assert found.pairs.empty
    assert "good: incomplete: 2 of 14 not run" in found.notes[0]


def test_two_runs_compare_the_same_way_round_and_back(tmp_path):
    publish(tmp_path / "large", {"mine": 2.0})
    publish(tmp_path / "small", {"theirs": 3.0}, seed=1, tasks=("snowy",))
    one = compare("mine", "theirs", tmp_path / "large", tmp_path / "small")
    other = compare("theirs", "mine", tmp_path / "small", tmp_path / "large")
    assert set(rows(one)) == set(rows(other)) == {"snowy", "average"}
    assert "rainy of d is left out: theirs has no row there" in one.notes
    assert "rainy of d is left out: theirs has no row there" in other.notes


def test_a_metric_may_be_named_without_its_protocol_though_it_does_not_rank(tmp_path):
    publish(tmp_path / "run", columns=(PSNR, replace(LPIPS, ranks=False)))
    found = compare("good", "identity", tmp_path / "run", metric="lpips")
    assert rows(found)["snowy"]["verdict"] == "good better"


def test_images_are_named_on_which_each_is_ahead(tmp_path):
    publish(tmp_path / "run")
    found = compare("good", "alike", tmp_path / "run", task="snowy").images
    assert set(found.task) == {"snowy"}
    assert list(np.sign(found.difference)) == [1, 1, 1, -1, -1, -1]
    assert found.difference.iloc[0] == found.difference.max()
    assert found.difference.iloc[3] == found.difference.min()


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("godo", "alike"), UnknownName, "has no row 'godo' .nearest: good"),
        (("good", "good"), RestorebenchError, "'good' is compared with itself"),
    ],
)
def test_wrong_names_are_one_line(tmp_path, arguments, kind, message):
    publish(tmp_path / "run")
    with pytest.raises(kind, match=message):
        compare(*arguments, tmp_path / "run")


def test_an_average_over_a_task_of_few_scenes_says_why_it_is_not_compared(tmp_path):
    publish(tmp_path / "run", images={"rainy": 14, "snowy": 3, "clean": 3})
    told = {task: row["verdict"] for task, row in rows(compare("good", "alike", tmp_path / "run")).items()}
    assert told.pop("rainy").startswith("no difference shown")
    assert told == {
        "snowy": "too few scenes: 3, 6 are needed",
        "average": "not compared: at least one of its tasks has fewer than 6 scenes",
    }


def test_wrong_metrics_and_tasks_are_one_line(tmp_path):
    publish(tmp_path / "run")
    with pytest.raises(UnknownName, match="no column 'ssim'; it has psnr@rgb, lpips@rgb"):
        compare("good", "alike", tmp_path / "run", metric="ssim")
    with pytest.raises(UnknownName, match=r"no comparison on 'snow' \(nearest: snowy\)"):
        compare("good", "alike", tmp_path / "run", task="snow")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("manifest.json", "{}", "written by a version that compared nothing; `restorebench report"),
        ("manifest.json", "[", "manifest.json cannot be read"),
        ("records.csv", "a,b\n1,2\n", "records.csv has no column 'task'; `restorebench report"),
        ("leaderboard.csv", "", "leaderboard.csv cannot be read"),
    ],
)
def test_damaged_tables_are_one_line(tmp_path, file, text, message):
    publish(tmp_path / "run")
    (tmp_path / "run" / file).write_text(text)
    with pytest.raises(RunFolderError, match=message):
        read_run(tmp_path / "run")


def test_the_command_prints_a_row_per_task_and_the_images(call, tmp_path):
    publish(tmp_path / "run")
    code, out, _ = call("compare", "good", "identity", "run")
    assert code == 0
    assert "good against identity, psnr@rgb in dB, higher is better" in out
    assert out.count("good better") == 3
    command = next(line for line in out.splitlines() if line.startswith("  to see them: "))
    assert command.startswith("  to see them: restorebench show run snowy/")
    code, out, _ = call("compare", "good", "identity", "run", "--json")
    assert [row["task"] for row in json.loads(out)["tasks"]] == ["rainy", "snowy", "average"]
    assert f"  to see them: {json.loads(out)['show'][0]}" == command
    code, _, _ = call("compare", "good", "identity", "run", "--csv", "c.csv")
    assert (tmp_path / "c.csv").read_text().startswith("task,dataset,a,b,n_images,n_scenes,difference,low,high,sd")


def test_the_command_for_two_runs_names_both(tmp_path):
    publish(tmp_path / "one", {"mine": 3.0})
    publish(tmp_path / "two", {"mine": 2.0}, seed=1)
    look = next(looks(compare("mine", "mine", tmp_path / "one", tmp_path / "two", metric="psnr")))
    assert look.ahead == f"mine ({tmp_path / 'one'})"
    assert f"show {tmp_path / 'one'} " in look.command
    assert f" --row mine --also {tmp_path / 'two'} mine --metric psnr -o " in look.command


def test_an_image_of_a_task_of_several_datasets_is_named_with_its_dataset(tmp_path):
    publish(tmp_path / "run")
    found = compare("good", "identity", tmp_path / "run", task="snowy")
    twice = pd.concat([found.images, found.images.assign(dataset="e")], ignore_index=True)
    (look,) = looks(replace(found, images=twice))
    assert {image.name.partition("/")[0] for image in look.images} == {"d", "e"}
    assert all(image.name in look.command for image in look.images)


def test_the_command_takes_a_table_of_any_tool(call, tmp_path):
    lines = ["method,scene,value"]
    lines += [
        f"{who},{n},{20 + n + gain + 0.01 * n}" for who, gain in (("ours", 1), ("theirs", 0)) for n in range(8)
    ]
    (tmp_path / "scores.csv").write_text("\n".join(lines))
    code, out, _ = call("compare", "ours", "theirs", "--table", "scores.csv")
    assert (code, "ours better" in out) == (0, True)
    code, _, error = call("compare", "ours", "their", "--table", "scores.csv")
    assert (code, error) == (
        2,
        "restorebench: scores.csv has no method 'their' (nearest: theirs); it has ours, theirs\n",
    )
    (tmp_path / "wrong.csv").write_text("\n".join([*lines, "ours,9,high", "theirs,9,1"]))
    code, _, error = call("compare", "ours", "theirs", "--table", "wrong.csv")
    assert (code, "wrong.csv: row 18, column 'value': high is no finite number" in error) == (2, True)
    code, _, error = call("compare", "ours", "theirs")
    assert code == 2 and "--table FILE" in error
