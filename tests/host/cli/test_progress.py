"""What a run shows of itself while it goes on."""

from __future__ import annotations

import io
import sys

import pytest

from restorebench.cli import progress
from restorebench.engine.events import Done, Note
from restorebench.records import Record
from restorebench.schedule.stage import Started
from restorebench.worker.jobs import CellSpec, DatasetSpec, Job, MethodSpec


def job(number, name="daclip", tell="task", dataset="d", kind="restorer"):
    data = DatasetSpec(dataset, dataset, {}, "noisy", 0, 9)
    cell = CellSpec(f"{kind}-{name}-{dataset}", kind, name, name, {}, {}, data, MethodSpec("", ""), tell=tell)
    return Job(cell, (number,), (f"s{number}",), "restore", told=(None,))


def done(of, status="ok"):
    return Done(of, tuple(Record(of.cell.digest, name, 0, status) for name in of.ids))


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when the test says so: `clock[0] += 10`."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_a_line_a_minute_and_one_for_each_finished_cell(clock, capsys):
    jobs = tuple(job(number) for number in range(10))
    with progress.watching() as watch:
        watch(Started("restore", jobs))
        for number, each in enumerate(jobs):
            clock[0] += 25
            watch(done(each, "failed" if number == 4 else "ok"))
        watch(Note("[bold]all is well"))
    assert capsys.readouterr().err.splitlines() == [
        "restore: 3 of 10 images, 0.040 images/s, about 0:02:55 left",
        "restore: 6 of 10 images, 0.040 images/s, about 0:01:40 left",
        "restore: 9 of 10 images, 0.040 images/s, about 0:00:25 left",
        "noisy · daclip [task]: 10 images, 1 failed",
        "note: [bold]all is well",
    ]


def test_a_detector_and_a_restorer_of_one_name_are_counted_apart(clock, capsys):
    with progress.watching() as watch:
        for stage, kind, count in [("detect", "detector", 2), ("restore", "restorer", 3)]:
            jobs = tuple(job(number, tell="nothing", kind=kind) for number in range(count))
            watch(Started(stage, jobs))
            for each in jobs:
                watch(done(each))
    assert capsys.readouterr().err.splitlines() == ["noisy · daclip: 2 images", "noisy · daclip: 3 images"]


def test_two_datasets_of_one_task_are_told_apart(clock, capsys):
    jobs = (job(0, dataset="one"), job(0, dataset="two"), job(0, name="identity", tell="nothing"))
    with progress.watching() as watch:
        watch(Started("restore", jobs))
        for each in jobs:
            watch(done(each))
    assert capsys.readouterr().err.splitlines() == [
        "noisy · daclip [task] (one): 1 image",
        "noisy · daclip [task] (two): 1 image",
        "noisy · identity: 1 image",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_go_to_stderr_with_what_a_restorer_is_told_and_its_speed(clock, monkeypatch, capsys):
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    jobs = tuple(job(number) for number in range(4))
    with progress.watching() as watch:
        watch(Started("restore", jobs))
        clock[0] += 50  # the start of a worker is not speed
        watch(done(jobs[0]))
        clock[0] += 10
        watch(done(jobs[1]))
        watch._progress.refresh()
    text = shown.getvalue()
    assert "noisy · daclip [task]" in text
    assert "0.100 images/s" in text
    assert "2/4" in text
    assert capsys.readouterr().out == ""


def test_a_command_on_files_tells_how_far_it_is_but_not_of_a_task_that_is_a_label_only(clock, capsys):
    jobs = tuple(job(number) for number in range(3))
    with progress.watching(cells=False) as watch:
        watch(Started("restore", jobs))
        for each in jobs:
            clock[0] += 50
            watch(done(each))
    assert capsys.readouterr().err.splitlines() == ["restore: 2 of 3 images, 0.020 images/s, about 0:00:50 left"]
