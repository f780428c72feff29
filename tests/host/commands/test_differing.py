"""A difference between two runs is planted, and `diff` has to name it and the scores that it moved."""

from __future__ import annotations

import json
import shutil

import numpy as np
import PIL.Image
import pytest

from restorebench import diff
from restorebench.contract.errors import RunFolderError
from restorebench.runner import execute, prepare
from restorebench.schedule import stage
from restorebench.suite import loading as suites
from restorebench.suite.model import Suite
from restorebench.suite.settings import Request, Settings

PLUGIN = """
import os
from pathlib import Path
import torch
from pydantic import BaseModel
from restorebench import Detection, DetectorInfo, RestorerInfo, hookimpl
from restorebench.toolbox.seeding import normal


class Shift(BaseModel):
    shift: float = 0.0
    weights: Path | None = None
    random: bool = False


class Shifting:
    def __init__(self, options, runtime):
        self.options = options
        self.shift = options.shift + float(os.environ.get("SHIFT", 0))
        if options.weights is not None:
            self.shift += float(options.weights.read_text())

    def restore(self, batch):
        told = batch.told[0] if batch.told else None
        found = batch.degraded + self.shift + (0.05 * len(told.labels) if told else 0)
        if self.options.random:
            key, size = batch.keys, batch.full_size
            found = found + 0.1 * normal(key, 0, 0, (3, *size), (0, 0, *size), found.device)
        return found.clamp(0, 1)


class Says:
    def __init__(self, options, runtime):
        self.labels = frozenset({"noisy"} if options.shift else {"noisy", "hazy"})

    def detect(self, images):
        return [Detection(self.labels, {name: 0.9 for name in self.labels}) for _ in images]


FACTS = {"version": "1", "summary": "Shifts", "options": Shift}


@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="shifting", load=Shifting, stochastic=True, **FACTS)]


@hookimpl
def restorebench_detectors():
    return [DetectorInfo(name="says", load=Says, **FACTS)]
"""


@pytest.fixture
def made(tmp_path):
    """Run a small suite: `made("a", options, key=value)` returns the folder of the run."""
    rng = np.random.default_rng(0)
    for side, spread in (("GT", 40), ("LQ", 60)):
        (tmp_path / "pairs" / "noisy" / side).mkdir(parents=True)
        for number in range(3):
            pixels = (120 + rng.normal(0, spread, (16, 16, 3))).clip(0, 255).astype(np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / "pairs" / "noisy" / side / f"{number}.png")
    (tmp_path / "shifting.py").write_text(PLUGIN)

    def carry_out(out, options=None, tell="nothing", detectors=(), limit=None, **keys):
        raw = {
            "suite": "test",
            "tasks": ["noisy"],
            "datasets": [{"name": "paired-folder", "options": {"path": str(tmp_path / "pairs")}}],
            "restorers": ["identity", {"name": "shifting", "options": options or {}, "tell": tell}],
            "detectors": list(detectors),
            "metrics": ["psnr"],
            "clean_inputs": False,
            **keys,
        }
        loaded = suites.LoadedSuite(Suite.model_validate(raw), "test", tmp_path)
        plugins = [tmp_path / "shifting.py"]
        settings = Settings(
            out=tmp_path / out, plugins=plugins, device="cpu", workers=0, request=Request(limit=limit)
        )
        result = execute(prepare(loaded, settings), settings)
        assert result.failed == 0, list(result.tables.failures.reason)
        return result.folder

    return carry_out


def kinds(found):
    return {cause.kind for cause in found.causes}


def moved_rows(found):
    return set(found.moved.row)


def test_equal_runs_have_no_difference(made):
    found = diff(made("a"), made("b"))
    assert (found.causes, found.beside, len(found.moved)) == ((), (), 0)
    assert found.unmoved == 2


def options_planted(made, tmp_path):
    return made("a", {"shift": 0.1}), made("b", {"shift": 0.2})


def weights_planted(made, tmp_path):
    for name, value in (("a", "0.1"), ("b", "0.2")):
        (tmp_path / f"{name}.txt").write_text(value)
    return tuple(made(name, {"weights": str(tmp_path / f"{name}.txt")}) for name in "ab")


def weights_replaced(made, tmp_path):
    (tmp_path / "w.txt").write_text("0.1")
    first = made("a", {"weights": str(tmp_path / "w.txt")})
    (tmp_path / "w.txt").write_text("0.2")
    return first, made("b", {"weights": str(tmp_path / "w.txt")})


def data_planted(made, tmp_path):
    first = made("a")
    image = tmp_path / "pairs" / "noisy" / "LQ" / "1.png"
    PIL.Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(image)
    return first, made("b")


def crop_planted(made, tmp_path):
    data = {"path": str(tmp_path / "pairs")}
    return made("a"), made("b", datasets=[{"name": "paired-folder", "options": {**data, "crop": 12}}])


def seed_planted(made, tmp_path):
    return made("a", {"random": True}), made("b", {"random": True}, seed=1)


def plugin_planted(made, tmp_path):
    first = made("a")
    changed = (tmp_path / "shifting.py").read_text().replace("self.shift = options.shift", "self.shift = 0.2")
    (tmp_path / "shifting.py").write_text(changed)
    return first, made("b")


def detector_planted(made, tmp_path):
    return tuple(
        made(out, tell="says", detectors=[{"name": "says", "options": {"shift": shift}}])
        for out, shift in (("a", 0.0), ("b", 1.0))
    )


def protocol_planted(made, tmp_path):
    return made("a", protocols=["rgb"]), made("b", protocols=["y"])


def metric_planted(made, tmp_path):
    return made("a"), made("b", metrics=["ssim"])


def limit_planted(made, tmp_path):
    return made("a"), made("b", limit=2)


def tile_planted(made, tmp_path):
    return made("a", {"random": True}, repetitions=1), made("b", {"random": True}, repetitions=3)


@pytest.mark.parametrize(
    ("plant", "kind", "rows"),
    [
        (options_planted, "options", {"shifting"}),
        (weights_planted, "weights", {"shifting"}),
        (weights_replaced, "weights", {"shifting"}),
        (data_planted, "data", {"identity", "shifting"}),
        (crop_planted, "data", {"identity", "shifting"}),
        (seed_planted, "seed", {"shifting"}),
        (plugin_planted, "plugin", {"shifting"}),
        (detector_planted, "options", {"shifting:says"}),
        (protocol_planted, "protocol", set()),
        (metric_planted, "metric", set()),
        (tile_planted, "setting", {"shifting"}),
    ],
)
def test_a_planted_cause_is_named_with_the_rows_that_it_moved(made, tmp_path, plant, kind, rows):
    found = diff(*plant(made, tmp_path))
    assert kinds(found) == {kind}
    assert moved_rows(found) == rows
    assert not len(found.unexplained)


@pytest.mark.parametrize(
    ("fact", "kind"), [("versions", "versions"), ("processor", "processor"), ("gpus", "machine")]
)
def test_the_machine_is_named_if_scores_moved_and_nothing_else_can_have_moved_them(made, monkeypatch, fact, kind):
    first = made("a")
    plain = stage.environment
    other = {"versions": {"torch": "0.1"}, "processor": "another", "gpus": ["a GPU"]}[fact]
    monkeypatch.setattr(stage, "environment", lambda *given: plain(*given) | {fact: other})
    quiet = diff(first, made("quiet"))
    assert kinds(quiet) == set() and {cause.kind for cause in quiet.beside} == {kind}
    monkeypatch.setenv("SHIFT", "0.1")
    found = diff(first, made("b"))
    assert kinds(found) == {kind}
    assert moved_rows(found) == {"shifting"}
    moved = made("c", {"shift": 0.3})
    assert kinds(diff(first, moved)) == {"options"}


def test_scores_that_move_without_a_known_cause_are_said_to_be_unexplained(made, monkeypatch):
    first = made("a")
    monkeypatch.setenv("SHIFT", "0.1")
    found = diff(first, made("b"))
    assert found.causes == ()
    (row,) = found.unexplained.to_dict("records")
    assert row["row"] == "shifting"


def test_what_one_run_has_alone_is_listed(made, tmp_path):
    first = made("a")
    second = made("b", tell="task")
    found = diff(first, second)
    assert found.only_before == ("row shifting",)
    assert found.only_after == ("row shifting:task",)
    limited = diff(first, made("c", limit=2))
    assert len(limited.moved) == 0
    assert {cause.kind for cause in limited.beside} == {"limit"}


def test_the_figures_are_those_of_the_tables(made, tmp_path):
    first, second = options_planted(made, tmp_path)
    (row,) = diff(first, second).moved.to_dict("records")
    tables = [made_records(folder) for folder in (first, second)]
    changes = {name: tables[1][name] - tables[0][name] for name in tables[0]}
    assert row["change"] == pytest.approx(sum(changes.values()) / 3, abs=1e-6)
    assert row["images"] == row["images_moved"] == 3
    assert row["largest"] == pytest.approx(max(changes.values(), key=abs), abs=1e-9)
    assert changes[row["sample"]] == pytest.approx(row["largest"], abs=1e-9)


def made_records(folder):
    import pandas as pd

    frame = pd.read_csv(folder / "records.csv", dtype={"sample": str})
    frame = frame[frame.restorer == "shifting"]
    return dict(zip(frame["sample"], frame["psnr@rgb"], strict=True))


def test_folders_that_hold_no_two_runs_are_refused(made, tmp_path):
    first = made("a")
    with pytest.raises(RunFolderError, match="compared with itself"):
        diff(first, first)
    with pytest.raises(RunFolderError, match=r"manifest\.json cannot be read"):
        diff(first, tmp_path / "none")
    shutil.copytree(first, tmp_path / "damaged")
    facts = json.loads((first / "manifest.json").read_text())
    del facts["cells"][0]["options"]
    (tmp_path / "damaged" / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(RunFolderError, match=r"manifest\.json lacks something"):
        diff(first, tmp_path / "damaged")
