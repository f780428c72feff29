"""What a run is expected to take: remembered costs, the order of work, and the estimate beside the truth."""

from __future__ import annotations

import csv
import json
import os

import pytest

from restorebench.engine.events import Done, Loaded, Note
from restorebench.plan.plan import TaskData
from restorebench.records import Record
from restorebench.schedule import costs, estimates
from restorebench.schedule.costs import Cost, Costs
from restorebench.worker.jobs import CellSpec, DatasetSpec, Job, MethodSpec

COST = Cost(seconds_per_megapixel=4.0, load_seconds=2.0, peak_mib=500.0, pixels=1000)


class Planned:
    """A plan as far as estimates look at it."""

    detector_cells = ()

    def __init__(self, sizes):
        self.restorer_cells = [type("Cell", (), {"digest": d, "data": _data(s)}) for d, s in sizes.items()]


def _data(sides):
    samples = tuple(type("Sample", (), {"height": side, "width": 100}) for side in sides)
    return TaskData("d", "d", {}, "noisy", samples, len(samples), (), "x")


def spec(digest, name="slow", task="noisy", **facts):
    dataset = DatasetSpec("d", "d", {}, task, 0, 9)
    return CellSpec(digest, "restorer", name, name, {}, {}, dataset, MethodSpec("", ""), **facts)


def job(cell, number):
    return Job(cell, (number,), (f"s{number}",), "restore", told=(None,))


def done(work, seconds, worker=0, status="ok"):
    record = Record(work.cell.digest, work.ids[0], 0, status, peak_mib=300.0)
    return Done(work, (record,), seconds, worker)


def test_seconds_are_those_of_the_pixels_and_of_loading():
    plan, cell = Planned({"a": [100, 300]}), spec("a", save="outputs", save_float=True)
    known = Costs({})
    known.add(cell, COST)
    found = estimates.estimate(plan, known, [job(cell, 0), job(cell, 1)])["a"]
    assert found.seconds == pytest.approx(40_000 / 1e6 * 4 + 2)
    assert found.disk == 40_000 * 15
    assert (found.images, found.peak_mib, found.larger) == (2, 500.0, True)
    unknown = estimates.estimate(plan, Costs({}), [job(spec("a"), 0)])["a"]
    assert (unknown.seconds, unknown.peak_mib, unknown.disk) == (None, None, 0)


def test_another_task_of_the_same_plugin_says_something_and_another_option_nothing():
    known = Costs({})
    known.add(spec("a", task="noisy"), COST)
    known.add(spec("a", task="hazy"), Cost(8.0, 1.0, None, 10))
    other = known.of(spec("b", task="rainy"))
    assert other.seconds_per_megapixel == 6.0
    assert not known.measured(spec("b", task="rainy"))
    assert known.of(spec("a", tile=64)) is None
    assert known.of(spec("a", tell="task")).seconds_per_megapixel == 6.0, "told, it may do something else"


def test_the_longest_groups_come_first_and_cells_stay_together():
    plan = Planned({"short": [10, 30], "long": [100, 200]})
    short, long = spec("short", "quick"), spec("long")
    known = Costs({})
    known.add(short, COST)
    known.add(long, COST)
    jobs = [job(short, 0), job(long, 0), job(short, 1), job(long, 1)]
    found = estimates.longest_first(plan, known, jobs)
    assert [(each.cell.digest, each.samples) for each in found] == [
        ("long", (1,)), ("long", (0,)), ("short", (1,)), ("short", (0,)),
    ]  # fmt: skip


def test_one_group_of_each_unknown_cell_is_tried():
    known, seen, new = Costs({}), spec("seen", "quick"), spec("new")
    known.add(seen, COST)
    jobs = [job(seen, 0), job(new, 0), job(new, 1)]
    assert estimates.unseen(known, jobs) == (jobs[1],)


def test_a_ledger_learns_from_what_worked_and_counts_all():
    plan, cell = Planned({"a": [100, 100, 100]}), spec("a")
    ledger, known = estimates.Ledger(plan), Costs({})
    expected = estimates.estimate(plan, known, [job(cell, number) for number in range(3)])
    ledger.add(Loaded(cell, None, 5.0))
    for number, (seconds, status) in enumerate([(1.0, "ok"), (3.0, "ok"), (60.0, "failed")]):
        ledger.add(done(job(cell, number), seconds, number % 2, status))
    ledger.teach(known, 0.25)
    cost = known.of(cell)
    assert cost.seconds_per_megapixel == pytest.approx(4 / 0.02)
    assert (cost.load_seconds, cost.peak_mib, cost.pixels, cost.others) == (5.0, 300.0, 10_000, 0.25)
    assert ledger.summary(expected).startswith("took 0:01:09 of work; of 2 workers the last ended ")


def test_costs_are_kept_by_device_and_survive_damage(tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOREBENCH_HOME", str(tmp_path))
    monkeypatch.setattr(costs, "cache_folder", lambda: tmp_path)
    known = Costs({})
    known.add(spec("a"), COST)
    costs.save("cpu", 1, known)
    assert costs.load("cpu", 1).of(spec("a")) == COST
    assert costs.load("cpu", 2).of(spec("a")) is None
    costs.save("cpu", 2, Costs({}))
    assert costs.load("cpu", 1).of(spec("a")) == COST
    for text in ("", "[]", "{", json.dumps({"format": 1, "devices": {"x": {"y": {"z": 1}}}})):
        (tmp_path / costs.COSTS).write_text(text)
        assert costs.load("cpu", 1).of(spec("a")) is None
    for name, value in [("peak_mib", "big"), ("peak_mib", float("nan")), ("pixels", None), ("load_seconds", -1.0)]:
        spoilt = {"x": {"y": {"z": {**vars(COST), name: value}}}}
        (tmp_path / costs.COSTS).write_text(json.dumps({"format": 1, "devices": spoilt}))
        assert costs._read(tmp_path / costs.COSTS) == {}
    costs.save("cpu", 1, known)
    assert costs.load("cpu", 1).of(spec("a")) == COST


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(costs, "cache_folder", lambda: tmp_path / "file")
    told = costs.save("cpu", 1, Costs({}))
    assert told == f"{tmp_path}/file/costs.json: File exists; the costs of this run are not kept for estimates"
    assert costs.load("cpu", 1).of(spec("a")) is None


def test_what_more_threads_than_cores_took_is_told_and_not_remembered(run, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    kept = []
    monkeypatch.setattr(costs, "save", lambda *given: kept.append(given) or "")
    for workers, threads in ((1, 1), (2, 1), (1, 2)):
        _, events = run(["identity"], out=f"{workers}{threads}", threads=threads, settings={"workers": workers})
        notes = [event.text for event in events if isinstance(event, Note)]
        crowd = "2 threads on 1 core slow each other down; their times are not kept for estimates"
        assert (crowd in notes) == (workers * threads > 1)
    assert len(kept) == 2  # of the detecting and the restoring of the first


def test_a_run_says_what_was_expected_beside_what_it_took(run, tmp_path):
    def rows(out):
        with (tmp_path / out / "estimate.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    run(["identity"], out="first", save="all")
    run(["identity"], out="again", save="all")
    (first,), (again,) = rows("first"), rows("again")
    assert first["estimated_seconds"] == "" and float(again["estimated_seconds"]) > 0
    assert float(first["seconds"]) > 0
    saved = sum(path.stat().st_size for path in (tmp_path / "again" / "outputs").rglob("*.*"))
    assert (
        0 < int(again["bytes"]) == saved <= int(again["estimated_most_bytes"]) + 3 * 100
    )  # headers of tiny files


def test_a_label_is_no_formula_in_the_estimate(run, tmp_path):
    run([{"name": "identity", "label": "=1+1"}], settings={"workers": 0})
    with (tmp_path / "run" / "estimate.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["name"] == "'=1+1"


def test_calibrating_keeps_its_work_and_prints_the_plan(call, pairs, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nclean_inputs: false\nmetrics: [psnr]\nrestorers: [identity, global-affine]\n"
        "datasets: [{name: paired-folder, options: {path: pairs}}]\n"
    )
    _, out, _ = call("run", "s.yaml", "--dry-run")
    assert "2 cells are left out, never run on this machine: --calibrate measures them" in out
    code, out, err = call("run", "s.yaml", "--calibrate", "--workers", "0")
    assert code == 0, err
    assert "6 restorations, 4 still to do; one group of each unmeasured cell was run" in out
    assert "never run" not in out
    code, out, err = call("run", "s.yaml", "--workers", "2")
    assert code == 0, err
    assert ", estimated 0:00:" in err and "of 2 workers the last ended" in err


def test_a_busier_machine_is_said_and_an_equally_busy_one_not():
    def guess(others, seconds=1.0):
        return estimates.Estimate(1, seconds, None, False, 0, others)

    assert estimates.busier([guess(0.0), guess(0.5)], 0.6) == ""
    told = estimates.busier([guess(0.0), guess(0.5)], 2.0)
    assert told.startswith("this machine has 2.0 other processes per core now, and had 0.2 ")
    assert estimates.busier([guess(0.0, seconds=None)], 2.0) == ""
    assert estimates.busier([], 2.0) == ""
