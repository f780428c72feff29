"""Writing tables again: nothing good is lost, whatever changed since."""

from __future__ import annotations

import json

import pytest

from restorebench import manifest, oneoff, runner
from restorebench.errors import BrokenPlugin, RunFolderError
from restorebench.settings import Settings

REPORTER = """
from restorebench import ReporterInfo, hookimpl

class Bad:
    def __init__(self, options, runtime): pass
    def write(self, tables, folder): raise ValueError("no such style")

@hookimpl
def restorebench_reporters():
    return [ReporterInfo(name="bad", version="1", summary="Raises.", load=Bad)]
"""
RESTORER = """
from restorebench import RestorerInfo, hookimpl

class Same:
    def __init__(self, options, runtime): pass
    def restore(self, batch): return batch.degraded.clone()

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="same", version="1", summary="Does nothing.", load=Same)]
"""


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".csv", ".json", ".md"}}


def test_a_reporter_that_raises_is_named_and_takes_no_other_down(run, tmp_path):
    (tmp_path / "bad.py").write_text(REPORTER)
    settings = {"workers": 0, "plugins": [tmp_path / "bad.py"]}
    with pytest.raises(BrokenPlugin, match=r"reporter 'bad' failed: ValueError: no such style; .*report"):
        run(["identity"], reports=["bad", "csv"], settings=settings)
    assert {"manifest.json", "leaderboard.csv"} <= set(written(tmp_path / "run"))


def test_a_report_keeps_the_environment_of_the_run(run, tmp_path, monkeypatch):
    run(["identity"], settings={"workers": 0})
    before = written(tmp_path / "run")
    facts = json.loads(before["manifest.json"])
    assert (facts["workers"], facts["device"]) == (0, "cpu")
    monkeypatch.setattr(manifest, "version", lambda package: "99")
    runner.report_again(tmp_path / "run")
    assert written(tmp_path / "run") == before


def test_a_run_that_computes_nothing_keeps_the_environment_too(run, tmp_path, monkeypatch):
    run(["identity"], settings={"workers": 0})
    before = written(tmp_path / "run")
    monkeypatch.setattr(manifest, "version", lambda package: "99")
    run(["identity"], settings={"workers": 0})
    assert written(tmp_path / "run") == before
    run(["identity"], metrics=["psnr", "ssim"], settings={"workers": 0})
    assert json.loads(written(tmp_path / "run")["manifest.json"])["versions"]["torch"] == "99"


def test_a_report_after_the_data_changed_leaves_the_tables_alone(run, pairs, tmp_path):
    run(["identity"], save="all", settings={"workers": 0})
    before = written(tmp_path / "run")
    image = pairs / "noisy" / "LQ" / "a-dark.png"
    image.write_bytes((pairs / "noisy" / "LQ" / "b-grey.png").read_bytes())
    with pytest.raises(
        RunFolderError, match=r"changed since .*noisy/identity told nothing\).*run its suite again"
    ):
        runner.report_again(tmp_path / "run")
    with pytest.raises(RunFolderError, match="changed since"):
        oneoff.rescore(tmp_path / "run", metrics=["ssim"], settings=Settings(workers=0))
    assert written(tmp_path / "run") == before


def test_a_report_after_a_plugin_changed_leaves_the_tables_alone(run, tmp_path):
    plugin = tmp_path / "same.py"
    plugin.write_text(RESTORER)
    run(["same"], settings={"workers": 0, "plugins": [plugin]})
    before = written(tmp_path / "run")
    plugin.write_text(RESTORER.replace('version="1"', 'version="2"'))
    with pytest.raises(RunFolderError, match="noisy/same told nothing"):
        runner.report_again(tmp_path / "run")
    assert written(tmp_path / "run") == before
    plugin.write_text(RESTORER)
    runner.report_again(tmp_path / "run")


def test_scoring_again_uses_plugins_given_then(run, tmp_path):
    run(["identity"], save="all", settings={"workers": 0})
    (tmp_path / "more.py").write_text(
        "from restorebench import MetricInfo, ScoringProtocol, hookimpl\n\n\n"
        "def load(options, runtime, protocol):\n"
        "    return lambda restored, clean, map=None: (restored - clean).abs().amax(dim=(1, 2, 3)).double()\n\n\n"
        "@hookimpl\ndef restorebench_metrics():\n"
        "    rgb = ScoringProtocol('rgb', 'RGB')\n"
        "    return [MetricInfo(name='worst', version='1', summary='Largest error.', load=load,"
        " higher_is_better=False, protocols=(rgb,))]\n"
    )
    settings = Settings(workers=0, plugins=(tmp_path / "more.py",))
    result = oneoff.rescore(tmp_path / "run", metrics=["worst"], settings=settings)
    assert result.tables.records["worst@rgb"].notna().all()
    runner.report_again(tmp_path / "run")
