"""A number knows which code it came from, whatever version a plugin's card still claims."""

from __future__ import annotations

import hashlib
import json

import pytest

from restorebench import runner
from restorebench.contract import catalog
from restorebench.contract.errors import BrokenPlugin, RunFolderError
from restorebench.suite.loading import LoadedSuite
from restorebench.suite.model import Suite
from restorebench.suite.settings import Settings

PLUGIN = """
import numpy as np
from restorebench import (Dataset, DatasetInfo, Degraded, DegradationInfo, Detection, DetectorInfo, MetricInfo,
    RestorerInfo, Sample, SampleInfo, ScoringProtocol, Stage, Task, hookimpl)

GREY = 0.25

class Greys:
    def __init__(self, options, runtime): pass
    def restore(self, batch): return batch.degraded * 0 + GREY
    def detect(self, images): return [Detection(frozenset({"noisy"}), {"noisy": 1.0}) for _ in images]
    def degrade(self, clean, severity, rng): return Degraded(clean * 0 + np.float32(GREY), {})

class One:
    def __len__(self): return 1
    def __getitem__(self, index): return Sample(*[np.full((16, 16, 3), GREY, np.float32)] * 2)

facts = dict(version="1", summary="Mine.", load=Greys)

@hookimpl
def restorebench_restorers(): return [RestorerInfo(name="greys", **facts)]

@hookimpl
def restorebench_detectors(): return [DetectorInfo(name="greys", tasks=("noisy",), **facts)]

@hookimpl
def restorebench_degradations():
    return [DegradationInfo(name="grey", task=Task("grey", "Grey", "grey"), stage=Stage.HAZE, **facts)]

@hookimpl
def restorebench_datasets():
    index = lambda options, request: [SampleInfo("a", 16, 16, "0", "a", "captured")]
    return [DatasetInfo(name="one", index=index, **(facts | {"load": lambda options, request: One()}))]

@hookimpl
def restorebench_metrics():
    load = lambda options, runtime, protocol: lambda a, b, map=None: (a - b).mean(dim=(1, 2, 3)).double()
    rgb = ScoringProtocol("rgb", "RGB")
    return [MetricInfo(name="mine", higher_is_better=False, protocols=(rgb,), **(facts | {"load": load}))]
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(PLUGIN)
    return path


def edit(path):
    """Change one character: same size, and mostly the same second."""
    path.write_text(path.read_text().replace("GREY = 0.25", "GREY = 0.75"))


def planned(mine, tmp_path, **keys):
    raw = {
        "suite": "test",
        "tasks": ["noisy"],
        "datasets": [{"name": "synthetic", "options": {"crop": 32}}],
        "metrics": ["psnr"],
        "clean_inputs": False,
        **keys,
    }
    loaded = LoadedSuite(Suite.model_validate(raw), "test", tmp_path)
    return runner.prepare(loaded, Settings(plugins=(mine,)))


def test_an_edited_plugin_file_gives_new_numbers_and_a_report_refuses(run, mine, tmp_path):
    def tables():
        run(["greys", "identity"], settings={"workers": 1, "plugins": [mine]})
        return (tmp_path / "run" / "leaderboard.csv").read_text().splitlines()

    before = tables()
    edit(mine)
    with pytest.raises(RunFolderError, match=r"plugins changed since .*noisy/greys"):
        runner.report_again(tmp_path / "run", [mine])
    after = tables()
    assert after[1] != before[1] and after[1].rpartition(",")[2] != before[1].rpartition(",")[2]
    assert after[2] == before[2]


@pytest.mark.parametrize(
    "keys",
    [
        {"restorers": ["greys"]},
        {"restorers": [], "detectors": ["greys"]},
        {"datasets": ["one"]},
        {"tasks": ["grey"]},
        {"tasks": ["grey+noisy"]},
    ],
    ids=["restorer", "detector", "dataset", "degradation", "mixture"],
)
def test_the_code_of_a_plugin_file_is_in_the_digests_of_its_cells(mine, tmp_path, keys):
    keys = {key: [{"name": n} for n in v] if key != "tasks" else v for key, v in keys.items()}

    def digests():
        made = planned(mine, tmp_path, **keys)
        return {cell.digest for cell in (*made.restorer_cells, *made.detector_cells)}

    before = digests()
    edit(mine)
    assert before and not before & digests()


def test_a_cell_without_it_does_not_mind_a_changed_plugin_file(mine, tmp_path):
    before = [cell.digest for cell in planned(mine, tmp_path).restorer_cells]
    edit(mine)
    assert [cell.digest for cell in planned(mine, tmp_path).restorer_cells] == before


def test_the_code_of_a_metric_is_in_its_scores_digest_alone(mine, tmp_path):
    before = planned(mine, tmp_path, metrics=["psnr", "mine"])
    edit(mine)
    after = planned(mine, tmp_path, metrics=["psnr", "mine"])
    assert [c.digest for c in before.restorer_cells] == [c.digest for c in after.restorer_cells]
    assert [old.digest == new.digest for old, new in zip(before.columns, after.columns, strict=True)] == [
        True,
        False,
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_plugin_file_edited_between_plan_and_work_is_refused(run, mine, tmp_path, pairs, workers):
    data = [{"name": "paired-folder", "options": {"path": str(pairs)}}]
    plan = planned(mine, tmp_path, restorers=[{"name": "greys"}], datasets=data)
    edit(mine)
    with pytest.raises(BrokenPlugin, match=r"mine\.py was changed during the run"):
        runner.execute(plan, Settings(out=tmp_path / "run", device="cpu", workers=workers))


def test_a_manifest_names_the_code_of_others(run, mine, tmp_path):
    run(["greys"], settings={"workers": 0, "plugins": [mine]})
    facts = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert facts["code"] == {"mine.py": f"sha256:{hashlib.sha256(mine.read_bytes()).hexdigest()}"}


def test_an_installed_plugin_is_known_by_its_distribution_and_ours_by_their_cards(monkeypatch):
    assert catalog.discover().entry("restorer", "identity").edition == "1"

    class Distribution:
        name, version = "gauss", "0.3"

    class Point:
        name, value, dist = "gauss", "restorebench_classical", Distribution()

        def load(self):
            import restorebench_classical

            return restorebench_classical

    monkeypatch.setattr(catalog, "entry_points", lambda group: [Point()])
    assert catalog.discover().entry("restorer", "identity").edition == "1 gauss 0.3"
