from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.commands import images
from restorebench.contract.errors import RunFolderError
from restorebench.engine.events import Done
from restorebench.runner import execute, prepare, report_again
from restorebench.suite.settings import Request, Settings
from tests.waiting import wait_for

PLUGINS = Path(__file__).parent / "plugins"
KILLS = int(os.environ.get("RESTOREBENCH_TEST_KILLS", "3"))
"""Moments at which the driver is killed; twenty take some minutes."""

SUITE = """
suite: survive
tasks: [noisy, hazy, uncompleted]
datasets: [{name: synthetic, options: {crop: 64}}]
restorers: [identity, {name: classical, tell: task}, {name: classical, tell: statistics}, global-affine]
"""


def rows(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_identity_scores_what_numpy_says(run, pairs, tmp_path):
    result, _ = run(["identity"], settings={"workers": 0})
    for row in rows(tmp_path / "run" / "records.csv"):
        lq, gt = (
            np.asarray(Image.open(pairs / "noisy" / folder / f"{row['sample']}.png"), float)
            for folder in ("LQ", "GT")
        )
        assert float(row["psnr@rgb"]) == pytest.approx(10 * np.log10(255**2 / ((lq - gt) ** 2).mean()), abs=1e-6)
    assert result.failed == 0


def test_a_restorer_is_told_which_images_it_has(run, pairs, tmp_path):
    run(["telling"], plugins=("telling.py",), settings={"workers": 0}, batch_size=2, clean_inputs=True)
    found = {(row["task"], row["sample"]): row["reason"] for row in rows(tmp_path / "run" / "records.csv")}
    assert len(found) == 6
    assert all(reason.endswith(f"given {task}/{sample}") for (task, sample), reason in found.items())
    run(["blind"], plugins=("telling.py",), settings={"workers": 0}, out="blind")
    assert all(row["reason"].endswith("given") for row in rows(tmp_path / "blind" / "records.csv"))
    here = Settings(plugins=(PLUGINS / "telling.py",), device="cpu", workers=0)
    outcome = images.restore(pairs / "noisy" / "LQ", tmp_path / "out", "telling", settings=here)
    assert {name: why.rpartition("given ")[2] for name, why in outcome.failures.items()} == {
        stem: f"noisy/{stem}" for stem in ("a-dark", "b-grey", "c-bright")
    }


def test_the_same_run_again_does_nothing(run):
    _, first = run(["identity"], settings={"workers": 0})
    _, again = run(["identity"], settings={"workers": 0})
    assert len([event for event in first if isinstance(event, Done)]) == 3
    assert not [event for event in again if isinstance(event, Done)]


def test_a_new_metric_restores_again_only_where_nothing_was_saved(run):
    modes = []
    for save in ("none", "all"):
        run(["identity"], out=save, save=save, settings={"workers": 0})
        _, events = run(["identity"], out=save, save=save, metrics=["psnr", "ssim"], settings={"workers": 0})
        modes.append({event.job.mode for event in events if isinstance(event, Done)})
    assert modes == [{"restore"}, {"score"}]


def test_scores_of_saved_images_equal_those_in_memory(run, tmp_path):
    first, _ = run(["global-affine"], out="a", metrics=["psnr", "ssim"], settings={"workers": 0})
    run(["global-affine"], out="b", save="all", settings={"workers": 0})
    second, events = run(["global-affine"], out="b", save="all", metrics=["psnr", "ssim"], settings={"workers": 0})
    assert {event.job.mode for event in events if isinstance(event, Done)} == {"score"}
    assert first.tables.records.equals(second.tables.records)


def test_a_limit_never_regroups(run):
    full, _ = run(["identity"], out="full", batch_size=2, settings={"workers": 0})
    from restorebench.suite.settings import Request

    limited, _ = run(["identity"], out="few", batch_size=2, settings={"workers": 0, "request": Request(limit=1)})
    assert limited.tables.records.equals(full.tables.records.head(1))


def command(folder, *extra):
    return [sys.executable, "-m", "restorebench", "run", str(folder / "s.yaml"), "--device", "cpu", *extra]


def tables(folder):
    return [(folder / name).read_bytes() for name in ("leaderboard.csv", "records.csv", "detectors.csv")]


def workers_of(drivers):
    """List the worker processes of these drivers: a worker's last argument is the number of its driver."""
    listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    found = [line.split() for line in listing.splitlines() if "-m restorebench.worker " in line]
    return [words for words in found if int(words[-1]) in drivers]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kills_and_worker_counts_leave_the_same_bytes_and_no_process(tmp_path):
    (tmp_path / "s.yaml").write_text(SUITE)
    straight, killed, two = (tmp_path / name for name in ("straight", "killed", "two"))
    drivers = set()

    def start(*extra):
        driver = subprocess.Popen(
            command(tmp_path, *extra), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        drivers.add(driver.pid)
        return driver

    def finish(*extra):
        driver = start(*extra)
        complaint = driver.communicate()[1]
        assert driver.returncode == 0, complaint

    began = time.monotonic()
    finish("--out", straight)
    took = time.monotonic() - began
    finish("--out", two, "--workers", "2")
    moments = random.Random(0)
    for _ in range(KILLS):
        driver = start("--out", killed)
        time.sleep(moments.uniform(0.3, max(took * 0.8, 1)))
        driver.kill()
        driver.communicate()
    finish("--out", killed)
    assert tables(straight) == tables(killed) == tables(two)
    wait_for(lambda: not workers_of(drivers))


@pytest.fixture
def tallied(pairs, tmp_path):
    """Start a driver on three images whose restorer keeps a tally: `tallied(seconds=0.5)` returns the process."""
    (tmp_path / "s.yaml").write_text(
        f"suite: tally\ntasks: [noisy]\ndatasets: [{{name: paired-folder, options: {{path: {pairs}}}}}]\n"
        "restorers: [counting]\nmetrics: [psnr]\nclean_inputs: false\n"
    )

    def start(seconds):
        return subprocess.Popen(
            command(tmp_path, "--out", tmp_path / "run", "--plugin", PLUGINS / "counting.py"),
            env={
                **os.environ,
                "RESTOREBENCH_CONFINED": "0",  # the plugin writes the tally
                "RESTOREBENCH_TEST_TALLY": str(tmp_path / "tally"),
                "RESTOREBENCH_TEST_SECONDS": str(seconds),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return start


def finished(folder):
    """Count the images a run folder's journal knows."""
    if not (folder / "run.sqlite").exists():
        return 0
    with contextlib.closing(sqlite3.connect(folder / "run.sqlite")) as reader:
        try:
            return reader.execute("SELECT count(*) FROM outcomes").fetchone()[0]
        except sqlite3.OperationalError:  # the table is not there yet
            return 0


@pytest.mark.slow
def test_what_was_finished_before_a_kill_is_not_restored_again(tallied, tmp_path):
    driver = tallied(seconds=0.5)
    wait_for(lambda: finished(tmp_path / "run") >= 2)
    driver.kill()
    driver.wait()
    before = (tmp_path / "tally").read_text().split()[: finished(tmp_path / "run")]
    assert tallied(seconds=0).wait() == 0
    after = (tmp_path / "tally").read_text().split()
    assert len(set(after)) == 3
    assert [after.count(key) for key in before] == [1] * len(before)


@pytest.mark.slow
def test_a_worker_deep_in_a_plugin_dies_with_its_driver(tallied, tmp_path):
    driver = tallied(seconds=600)
    wait_for((tmp_path / "tally").exists)
    assert workers_of({driver.pid})
    driver.kill()
    driver.wait()
    wait_for(lambda: not workers_of({driver.pid}))


@pytest.mark.slow
def test_a_plain_script_without_a_main_guard_works(tmp_path):
    script = tmp_path / "three.py"
    script.write_text(
        "import restorebench\n"
        "result = restorebench.run('quickstart', out='out', tasks=['noisy'], restorers=['identity'])\n"
        "print(result.tables.leaderboard.to_string())\n"
    )
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "noisy" in done.stdout
    assert (tmp_path / "out" / "leaderboard.csv").exists()


def test_an_output_folder_that_cannot_be_written_stops_the_run_instead_of_failing_images(run, tmp_path):
    run(["identity"], out="a", settings={"workers": 0})
    (tmp_path / "a" / "outputs").write_text("in the way")
    with pytest.raises(RunFolderError, match=r"outputs.*another folder"):
        run(["identity"], out="a", save="all", settings={"workers": 0})


def test_a_limit_and_overrides_leave_their_marks_in_the_tables_and_the_manifest(pairs, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "suite: s\ntasks: [noisy]\nmetrics: [psnr]\nclean_inputs: false\ndetectors: [statistics]\n"
        f"datasets: [{{name: paired-folder, options: {{path: {pairs}}}}}]\n"
    )

    def tables(out, *limits):
        for limit in limits:
            settings = Settings(
                out=tmp_path / out,
                workers=0,
                device="cpu",
                overrides=("seed=1",),
                request=Request(limit=limit),
            )
            result = execute(prepare(str(tmp_path / "s.yaml"), settings, {"samples": 1}), settings)
        written = {path.name: path.read_bytes() for path in (tmp_path / out).glob("*.[cj]s*")}
        del written["cost.csv"], written["estimate.csv"]
        return result, written

    two, files = tables("two", 2)
    assert set(two.tables.leaderboard.status) == set(two.tables.detectors.status) == {"first 2 of 3 images"}
    facts = json.loads(files["manifest.json"])
    assert (facts["limit"], facts["overrides"]) == (2, ["seed=1", "samples=1"])
    report_again(tmp_path / "two")
    assert (tmp_path / "two" / "manifest.json").read_bytes() == files["manifest.json"]
    whole, once = tables("once", None)
    assert set(whole.tables.leaderboard.status) == set(whole.tables.detectors.status) == {"ok"}
    assert tables("twice", 2, None)[1] == once
    assert tables("again", None, 2)[1] == files
