"""A tiny paired folder and a way to run suites on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restorebench import suite as suites
from restorebench.runner import execute, prepare
from restorebench.settings import Settings

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
        loaded = suites.LoadedSuite(suites.Suite.model_validate(raw), "test", tmp_path)
        defaults = {"out": tmp_path / out, "plugins": [PLUGINS / name for name in plugins], "device": "cpu"}
        chosen = Settings(**{**defaults, **(settings or {})})
        events = []
        result = execute(prepare(loaded, chosen), chosen, watch or events.append)
        table = result.tables.failures
        told = "; ".join(dict.fromkeys(f"{n}: {why}" for n, why in zip(table.restorer, table.reason, strict=True)))
        observe(f"{result.failed} failures, {len(result.tables.records) - result.failed} images fine", told)
        return result, events

    return carry_out
