"""Whatever a plugin does to its process, its own cells pay for it and nobody else's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from restorebench.contract.errors import RestorebenchError
from restorebench.engine.child import Child
from restorebench.engine.events import Done
from restorebench.guest.processes import descendants
from restorebench.suite.settings import Request
from tests.waiting import PATIENCE_SECONDS, left_of, wait_for

PLUGINS = Path(__file__).parents[1] / "plugins"

pytestmark = pytest.mark.faults


def reasons(result, restorer):
    table = result.tables.records
    return list(table[table.restorer == restorer].reason)


@pytest.mark.parametrize(
    ("restorer", "reason"),
    [
        ("raises", "error: ValueError: this restorer always"),
        ("mutates", "contract: restore wrote into batch.degraded; work on a copy"),
        ("returns-nan", "contract: restore returned NaN or infinite values"),
        ("returns-infinite", "contract: restore returned NaN or infinite values"),
        ("returns-wrong-shape", "contract: restore returned shape (1, 3, 16, 15), not (1, 3, 16, 16)"),
        ("returns-wrong-dtype", "contract: restore returned torch.float64, expected torch.float32"),
        ("returns-none", "contract: restore returned NoneType, expected a torch.Tensor"),
        ("fails-to-load", "error: while loading: OSError: weights are gone"),
    ],
)
def test_a_broken_contract_is_a_failure_with_its_reason(run, restorer, reason):
    result, _ = run([restorer], settings={"workers": 0})
    assert reasons(result, restorer) == [reason] * 3
    assert result.failed == 3


def corrupt(path):
    """Spoil a PNG's pixels and keep its header and its end, which is all that planning looks at."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    path.write_bytes(content)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_cannot_be_decoded_is_a_failure_of_every_restorer_and_nothing_else(run, pairs, workers):
    corrupt(pairs / "noisy" / "LQ" / "b-grey.png")
    result, _ = run(["identity", "classical"], batch_size=3, settings={"workers": workers})
    for restorer in ("identity", "classical"):
        good, bad, last = reasons(result, restorer)
        assert (good, last) == ("", "")
        assert bad.startswith("unreadable: ") and "b-grey.png: cannot be decoded" in bad
    assert set(result.tables.leaderboard.status) == {"incomplete: 1 of 3 failed", "incomplete: noisy"}
    assert result.failed == 2


def test_a_lack_of_memory_is_a_failure_of_its_own_kind(run):
    result, _ = run(["out-of-memory"], settings={"workers": 0})
    assert all(reason.startswith("out-of-memory") for reason in reasons(result, "out-of-memory"))


@pytest.mark.slow
def test_crashes_and_hangs_cost_only_their_own_cells(run):
    names = ["identity", "segfaults", "exits", "hangs", "crashes-on-load"]
    two = {"request": Request(limit=2)}  # every crash costs the start of a worker, which takes seconds
    result, _ = run(names, limits={"image_seconds": 2}, settings=two)
    assert reasons(result, "identity") == [""] * 2
    assert reasons(result, "segfaults") == ["crash: SIGSEGV"] * 2
    assert reasons(result, "exits") == ["crash: exit code 0"] * 2
    assert reasons(result, "hangs") == ["timeout: more than 2 s for one image"] * 2
    assert reasons(result, "crashes-on-load") == ["crash: exit code 9 while loading"] * 2
    board = result.tables.leaderboard.set_index(["task", "restorer"])
    assert board.loc[("noisy", "identity"), "status"] == "first 2 of 3 images"
    assert "incomplete: 2 of 2 failed" in board.loc[("noisy", "exits"), "status"]


@pytest.mark.slow
def test_only_the_culprit_of_a_batch_is_lost(run):
    result, _ = run(["fails-on-bright", "crashes-on-bright"], batch_size=3)
    assert reasons(result, "fails-on-bright") == ["", "", "error: RuntimeError: too bright"]
    assert reasons(result, "crashes-on-bright") == ["", "", "crash: exit code 7"]


@pytest.mark.slow
def test_a_foreign_sigkill_is_tried_again(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    result, _ = run(["killed-once"])
    assert reasons(result, "killed-once") == [""] * 3


@pytest.mark.slow
def test_a_worker_whose_guard_is_killed_ends_too(run, monkeypatch):
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")
    result, _ = run(["ends-its-guard", "identity"], settings={"request": Request(limit=1)})
    assert reasons(result, "ends-its-guard") == ["killed: SIGKILL 4 times, perhaps for lack of memory"]
    assert reasons(result, "identity") == [""]


def test_a_confined_method_cannot_end_the_host(run):
    result, _ = run(["ends-its-guard", "ends-its-supervisor"], settings={"request": Request(limit=1)})
    refused = ["error: PermissionError: [Errno 1] Operation not permitted"]
    assert reasons(result, "ends-its-guard") == reasons(result, "ends-its-supervisor") == refused


def test_what_failed_for_good_is_not_run_again_unless_asked(run):
    first, _ = run(["raises"], settings={"workers": 0})
    assert first.failed == 3
    again, events = run(["raises"], settings={"workers": 0})
    assert again.failed == 3
    assert not [event for event in events if isinstance(event, Done)]
    _, events = run(["raises"], settings={"workers": 0, "retry_failed": True})
    assert len([event for event in events if isinstance(event, Done)]) == 3


@pytest.mark.slow
def test_a_plugin_that_uses_up_its_time_is_stopped(run):
    result, _ = run(["identity", "hangs"], limits={"image_seconds": 60, "plugin_seconds": 1})
    assert reasons(result, "hangs") == ["timeout: more than 1 s for this task"] * 3
    assert reasons(result, "identity") == [""] * 3


def test_a_plugin_that_loads_too_long_fails_without_stopping_the_run(run):
    result, _ = run(["identity"], limits={"load_seconds": 0.001})
    assert reasons(result, "identity") == ["timeout: loading took more than 0.001 s"] * 3


@pytest.mark.parametrize("workers", [0, 1])
def test_data_with_a_file_more_than_was_planned_end_the_run(run, pairs, workers):
    """Jobs name samples by number: each would be another one's."""

    def add(event):
        for name in ("GT", "LQ"):
            shutil.copy(pairs / "noisy" / name / "a-dark.png", pairs / "noisy" / name / "0-new.png")

    told = rf"^dataset paired-folder \({pairs}\): noisy has 4 samples, but 3 were planned; make its files the same"
    with pytest.raises(RestorebenchError, match=told):
        run(["identity"], watch=add, settings={"workers": workers})


@pytest.mark.slow
def test_a_child_of_a_plugins_child_keeps_its_own_files(run):
    result, _ = run(["forks-twice"])
    assert reasons(result, "forks-twice") == [""] * 3


def test_a_worker_that_ends_by_a_signal_without_a_name_is_told_of(tmp_path):
    worker = Child(tmp_path / "log", 1, "")
    os.kill(worker._process.pid, signal.SIGRTMIN + 6)
    assert worker.death() == f"signal {signal.SIGRTMIN + 6}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("restorer", "reason", "attempts"),
    [
        ("hangs-with-children", "timeout: more than 5 s for one image", 1),
        ("crashes-with-children", "crash: exit code 7", 2),
    ],
)
def test_what_a_plugin_started_ends_with_its_worker(run, tmp_path, monkeypatch, restorer, reason, attempts):
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    result, _ = run([restorer], limits={"image_seconds": 5}, settings={"request": Request(limit=1)})
    assert reasons(result, restorer) == [reason]
    started = (tmp_path / "mark").read_text().split()
    assert len(started) == 4 * attempts
    assert left_of(started) == []


@pytest.mark.slow
def test_what_a_plugin_started_ends_with_the_driver(pairs, tmp_path, monkeypatch, observe):
    mark = tmp_path / "mark"
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(mark))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    suite = tmp_path / "s.yaml"
    suite.write_text(
        "suite: s\ntasks: [noisy]\nrestorers: [hangs-with-children]\nmetrics: [psnr]\n"
        f"datasets: [{{name: paired-folder, options: {{path: {pairs}}}}}]\n"
    )
    command = [sys.executable, "-m", "restorebench", "run", suite, "--plugin", PLUGINS / "faulty.py"]
    driver = subprocess.Popen([*map(str, command), "--out", str(tmp_path / "run"), "-q"])
    wait_for(lambda: mark.exists() and len(mark.read_text().split()) == 4)
    started = [*mark.read_text().split(), *map(str, descendants(driver.pid))]
    driver.kill()
    driver.wait()
    assert left_of(started) == []
    observe(f"{len(started)} processes", "all ended with the driver")


JUMPING = """
import itertools, time
jumps = itertools.cycle((0, -86400 * 400, 86400 * 4000, -3, 7200))
true = time.time
time.time = lambda: true() + next(jumps)
time.time_ns = lambda: int(time.time() * 1e9)
"""


@pytest.mark.slow
def test_a_clock_that_jumps_changes_no_number(pairs, tmp_path, observe):
    """By hours, days and years, forth and back, at every look, in the driver and its workers."""
    (tmp_path / "jumping").mkdir()
    (tmp_path / "jumping" / "sitecustomize.py").write_text(JUMPING)
    jumps = [sys.executable, "-c", "import time; print(len({time.time() // 86400 for _ in range(5)}))"]
    seen = subprocess.run(
        jumps, env={**os.environ, "PYTHONPATH": str(tmp_path / "jumping")}, stdout=subprocess.PIPE
    )
    assert int(seen.stdout) >= 3
    suite = tmp_path / "s.yaml"
    suite.write_text(
        "suite: s\ntasks: [noisy]\nrestorers: [identity, classical]\nmetrics: [psnr]\n"
        f"datasets: [{{name: paired-folder, options: {{path: {pairs}}}}}]\n"
    )
    for out, path in {"steady": tmp_path, "jumping": tmp_path / "jumping"}.items():
        command = [
            sys.executable,
            "-m",
            "restorebench",
            "run",
            str(suite),
            "--out",
            str(tmp_path / out / "run"),
            "-q",
        ]
        (tmp_path / out).mkdir(exist_ok=True)
        done = subprocess.run(
            [*command, "--workers", "2"], env={**os.environ, "PYTHONPATH": str(path)}, timeout=PATIENCE_SECONDS
        )
        assert done.returncode == 0
    for table in ("records.csv", "leaderboard.csv"):
        tables = [(tmp_path / out / "run" / table).read_bytes() for out in ("steady", "jumping")]
        assert tables[0] == tables[1]
    observe("2 runs", "the same bytes")


ODD_SAMPLES = {
    "fine": "",
    "numpy": "contract: while reading: the sample's parameter 'sigma' is not JSON-ready: ",
    "nan": "contract: while reading: the sample's parameter 'order' is not JSON-ready: ",
    "path": "contract: while reading: the sample's parameter 'mask' is not JSON-ready: ",
    "tuple-key": "contract: while reading: the sample's parameter 'places' is not JSON-ready: ",
    "float64": "contract: while reading: the sample's degraded image is (16, 16, 3) float64, expected",
    "other-size": "contract: while reading: the sample's clean image has shape (15, 16, 3), the",
    "not-finite": "contract: while reading: the sample's degraded image has NaN or infinite values",
    "not-a-sample": "contract: while reading: the dataset gave ndarray, expected a Sample",
    "raises": "error: while reading: ValueError: no such snow",
    "undecodable": "error: while reading: ValueError: caf\\udce9.png",
    "unprintable": "error: while reading: Unprintable: (its message cannot be printed)",
}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_cannot_be_used_costs_itself_alone(run, workers):
    result, _ = run(
        ["identity"],
        plugins=("careless.py",),
        datasets=[{"name": "careless"}],
        batch_size=12,
        settings={"workers": workers},
    )
    told = dict(zip(ODD_SAMPLES, reasons(result, "identity"), strict=True))
    assert told["fine"] == ""
    assert [name for name, reason in ODD_SAMPLES.items() if not told[name].startswith(reason)] == []


def test_what_no_detector_may_say_is_a_failed_detection(run):
    result, _ = run(
        ["identity"], plugins=("careless.py",), detectors=["says-clean"], settings={"workers": 0}, batch_size=3
    )
    assert result.tables.detectors.set_index("task").loc["noisy", "failed"] == 3
