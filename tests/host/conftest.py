"""A tiny paired folder and a way to run suites on it."""

from __future__ import annotations

import gc
import os
import re
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench.runner import execute, prepare
from restorebench.suite import loading as suites
from restorebench.suite.model import Suite
from restorebench.suite.settings import Settings

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture
def pairs(tmp_path):
    """A folder of three 16 px pairs under `noisy`: dark, grey and bright."""
    root = tmp_path / "pairs"
    rng = np.random.default_rng(0)
    for name, level in [("a-dark", 40), ("b-grey", 100), ("c-bright", 200)]:
        clean = np.clip(rng.normal(level, 10, (16, 16, 3)), 0, 255).astype(np.uint8)
        degraded = np.clip(clean + rng.normal(0, 20, clean.shape), 0, 255).astype(np.uint8)
        for folder, pixels in [("GT", clean), ("LQ", degraded)]:
            (root / "noisy" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(root / "noisy" / folder / f"{name}.png")
    return root


@pytest.fixture
def run(pairs, tmp_path, observe):
    """Run restorers on the pairs: `run(["identity"], limits={...})` returns (result, events)."""

    def carry_out(restorers, *, plugins=("faulty.py",), out="run", watch=None, settings=None, **keys):
        raw = {
            "suite": "test",
            "tasks": ["noisy"],
            "datasets": [{"name": "paired-folder", "options": {"path": str(pairs)}}],
            "restorers": restorers,
            "metrics": ["psnr"],
            "clean_inputs": False,
            **keys,
        }
        loaded = suites.LoadedSuite(Suite.model_validate(raw), "test", tmp_path)
        defaults = {"out": tmp_path / out, "plugins": [PLUGINS / name for name in plugins], "device": "cpu"}
        chosen = Settings(**{**defaults, **(settings or {})})
        events = []
        result = execute(prepare(loaded, chosen), chosen, watch or events.append)
        table = result.tables.failures
        told = "; ".join(dict.fromkeys(f"{n}: {why}" for n, why in zip(table.restorer, table.reason, strict=True)))
        observe(f"{result.failed} failures, {len(result.tables.records) - result.failed} images fine", told)
        return result, events

    return carry_out


class Growth:
    """Holds every example of a fuzz test to its time, and the whole to what the process had at the start.

    read: how many examples the test says went through.
    """

    def __init__(self):
        self.read = 0
        self._examples = 0
        self._slowest = 0.0
        self._before = None

    @contextmanager
    def example(self):
        """Fail an example that computes for more than five seconds, and stop one that hangs."""
        self._examples += 1
        if self._examples == 300:  # caches and libraries are warm
            self._before = _held()
        began = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, 60)  # of the wall clock, and others may use the machine
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        seconds = time.process_time() - began
        self._slowest = max(self._slowest, seconds)
        assert seconds < 5, f"took {seconds:.1f} s"

    def finish(self):
        """Compare what the process holds."""
        gc.collect()
        after = _held()
        told = f"{self._examples} examples, {self.read} went through, slowest {self._slowest:.2f} s"
        if self._before is not None:
            memory, descriptors, children = (now - then for now, then in zip(after, self._before, strict=True))
            told += f"; grown by {memory} MiB, {descriptors} descriptors, {children} processes"
            assert memory < 100 and descriptors <= 0 and children <= 0, told
        print(told)


def _held():
    status = Path("/proc/self/status").read_text()
    memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return memory, len(list(Path("/proc/self/fd").iterdir())), len(children)


@pytest.fixture
def growth():
    """Time limits of examples, and no growth of memory, descriptors and processes over all of them."""

    def stop(number, frame):
        raise TimeoutError("an example hung for more than 60 s")

    before = signal.signal(signal.SIGALRM, stop)
    found = Growth()
    try:
        yield found
        found.finish()
    finally:
        signal.signal(signal.SIGALRM, before)
