"""What Ctrl-C and SIGTERM leave of a run: every image that was begun, nothing half done, and how to go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from restorebench.engine.stopping import heeded
from tests.waiting import PATIENCE_SECONDS, wait_for

IMAGES = 6
COUNTING = Path(__file__).parents[1] / "plugins" / "counting.py"


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A suite over six pairs whose restorer takes 0.5 s for each."""
    rng = np.random.default_rng(0)
    for folder in ("GT", "LQ"):
        (tmp_path / "pairs" / "noisy" / folder).mkdir(parents=True)
        for name in range(IMAGES):
            pixels = rng.integers(0, 255, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pairs" / "noisy" / folder / f"{name}.png")
    dataset = {"name": "paired-folder", "options": {"path": "pairs"}}
    keys = {"suite": "slow", "tasks": ["noisy"], "datasets": [dataset], "restorers": ["counting"]}
    (tmp_path / "slow.yaml").write_text(yaml.safe_dump({**keys, "metrics": ["psnr"], "clean_inputs": False}))
    monkeypatch.setenv("RESTOREBENCH_TEST_TALLY", str(tmp_path / "tally"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    return tmp_path / "slow.yaml"


def started(suite, workers, out="run", engine="local"):
    command = [sys.executable, "-m", "restorebench", "run", suite, "--plugin", COUNTING, "--out", out]
    return subprocess.Popen(
        [*map(str, command), "--workers", str(workers), "--device", "cpu", "--engine", engine],
        cwd=suite.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def begun(suite):
    tally = suite.parent / "tally"
    return tally.read_text().split() if tally.exists() else []


def wait_for_images(suite, count):
    """Wait until so many images were begun."""
    wait_for(lambda: len(begun(suite)) >= count)


def children(process):
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()


@pytest.mark.parametrize(
    ("number", "code", "workers", "engine"),
    [
        (signal.SIGINT, 130, 1, "local"),
        (signal.SIGTERM, 143, 2, "local"),
        (signal.SIGTERM, 143, 0, "local"),
        pytest.param(signal.SIGTERM, 143, 1, "ray", marks=pytest.mark.slow),
    ],
)
def test_a_signal_lets_the_images_at_work_finish(suite, number, code, workers, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="needs ray: pip install 'restorebench[ray]'")
    process = started(suite, workers, engine=engine)
    wait_for_images(suite, 2)
    workers_of = children(process)
    process.send_signal(number)
    _, error = process.communicate(timeout=PATIENCE_SECONDS)
    done = len(begun(suite))
    assert process.returncode == code
    assert f"{number.name}: finishing the images at work; once more ends at once" in error
    left = IMAGES - done
    assert left > 0
    assert error.splitlines()[-1] == (
        f"restorebench: stopped by {number.name} with {left} images left; the same command again continues"
    )
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers_of)
    again = started(suite, 1)
    assert again.wait(timeout=PATIENCE_SECONDS) == 0
    assert len(begun(suite)) == IMAGES, "an image that was begun was done again"
    (suite.parent / "tally").unlink()
    assert started(suite, 1, "undisturbed").wait(timeout=PATIENCE_SECONDS) == 0
    for name in ("records.csv", "leaderboard.csv"):
        tables = [(suite.parent / out / name).read_bytes() for out in ("run", "undisturbed")]
        assert tables[0] == tables[1]


def test_a_second_signal_does_not_wait(suite, monkeypatch):
    monkeypatch.setenv("RESTOREBENCH_TEST_SECONDS", "600")
    process = started(suite, 1)
    wait_for_images(suite, 1)
    workers_of = children(process)
    process.send_signal(signal.SIGTERM)
    assert "finishing" in process.stderr.readline() + process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert error.splitlines()[-1] == "restorebench: interrupted; the same command again continues"
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers_of)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_at_work_is_finished_though_nobody_reads_what_is_said(suite, workers):
    """As after Ctrl-C on `restorebench run ... 2>&1 | tee log`, which ends tee as well."""
    process = started(suite, workers)
    wait_for_images(suite, 2)
    process.stdout.close()
    process.stderr.close()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE_SECONDS) == 130
    assert started(suite, 1).wait(timeout=PATIENCE_SECONDS) == 0
    assert len(begun(suite)) == IMAGES, "an image that was begun was done again"


def test_a_run_goes_on_when_nobody_reads_how_far_it_is(suite):
    keys = yaml.safe_load(suite.read_text())
    suite.write_text(yaml.safe_dump({**keys, "restorers": [{"name": "identity", "label": "first"}, "counting"]}))
    process = started(suite, 0)
    process.stderr.close()
    assert process.wait(timeout=PATIENCE_SECONDS) == 0
    assert len(begun(suite)) == IMAGES


def test_signals_are_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with heeded() as stop:
        assert not stop
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal is signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
