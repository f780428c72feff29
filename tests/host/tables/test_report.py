"""Writing tables again: nothing good is lost, whatever changed since."""

from __future__ import annotations

import json

import pytest

from restorebench import runner
from restorebench.commands import scores
from restorebench.contract.errors import BrokenPlugin, RestorebenchError, RunFolderError, UnknownName
from restorebench.engine import environment
from restorebench.suite.settings import Settings

WEIGHTY = """
from pathlib import Path
from restorebench import Detection, DetectorInfo, RestorerInfo, hookimpl
from restorebench import WeightFile
from restorebench.toolbox.options import PluginOptions

class Options(PluginOptions):
    own: Path

class Copies:
    def __init__(self, options, runtime): pass
    def restore(self, batch): return batch.degraded.clone()
    def detect(self, images): return [Detection(frozenset({"noisy"}), {"noisy": 1.0}) for _ in images]

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="weighty", version="1", summary="Copies.", load=Copies, options=Options,
        resources=lambda options: [WeightFile("net.pt", "", "", 3, "0" * 64)])]

@hookimpl
def restorebench_detectors():
    return [DetectorInfo(name="weigher", version="1", summary="Says noisy.", load=Copies, tasks=("noisy",),
        resources=lambda options: [WeightFile("v.pt", "", "", 3)])]
"""

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


def test_other_reporters_may_write_a_run_again_and_the_manifest_stays(run, tmp_path):
    run(["identity"], plugins=(), settings={"workers": 0})
    before = written(tmp_path / "run")
    runner.report_again(tmp_path / "run", reports={"latex": {"tasks_down": True}})
    assert written(tmp_path / "run") == before
    assert "noisy & " in (tmp_path / "run" / "leaderboard-psnr_rgb.tex").read_text()
    with pytest.raises(UnknownName, match=r"no reporter called 'latx' \(nearest: latex"):
        runner.report_again(tmp_path / "run", reports={"latx": {}})
    with pytest.raises(RestorebenchError, match="options of reporter 'latex': down: Extra inputs"):
        runner.report_again(tmp_path / "run", reports={"latex": {"down": 1}})
    with pytest.raises(RestorebenchError, match="reporter 'csv' takes no options, got down"):
        runner.report_again(tmp_path / "run", reports={"csv": {"down": 1}})


def test_reporters_of_a_suite_have_options(run, tmp_path):
    reports = ["csv", {"name": "latex", "options": {"tasks_down": True}}]
    run(["identity"], plugins=(), reports=reports, settings={"workers": 0})
    assert "noisy & " in (tmp_path / "run" / "leaderboard-psnr_rgb.tex").read_text()


def test_the_command_report_takes_reporters_and_options(call, run, tmp_path):
    run(["identity"], plugins=(), settings={"workers": 0})
    code, _, error = call("report", "run", "--reports", "latex", "--option", "tasks_down=true")
    assert code == 0, error
    assert "noisy & " in (tmp_path / "run" / "leaderboard-psnr_rgb.tex").read_text()
    for arguments, message in (
        (["--option", "tasks_down=true"], "--option: is for one reporter; name it with --reports"),
        (["--reports", "csv,latex", "--option", "a=1"], "--option: is for one reporter"),
        (["--reports", " , "], "--reports: names none"),
        (["--reports", "latex", "--option", "down=true"], "options of reporter 'latex': down"),
    ):
        code, _, error = call("report", "run", *arguments)
        assert code == 2 and message in error


def test_a_report_keeps_the_environment_of_the_run(run, tmp_path, monkeypatch):
    run(["identity"], plugins=(), settings={"workers": 0})
    before = written(tmp_path / "run")
    facts = json.loads(before["manifest.json"])
    assert (facts["workers"], facts["device"]) == (0, "cpu")
    monkeypatch.setattr(environment, "version", lambda package: "99")
    runner.report_again(tmp_path / "run")
    assert written(tmp_path / "run") == before


def test_a_manifest_names_every_cell_with_its_files(run, tmp_path):
    (tmp_path / "w.pt").write_bytes(b"abc")
    (tmp_path / "weighty.py").write_text(WEIGHTY)
    run(
        [{"name": "weighty", "options": {"own": str(tmp_path / "w.pt")}}, {"name": "identity", "tell": "weigher"}],
        settings={"workers": 0, "plugins": [tmp_path / "weighty.py"]},
    )
    facts = json.loads(written(tmp_path / "run")["manifest.json"])
    abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    assert facts["cells"][0]["files"] == {"net.pt": "sha256:" + "0" * 64, "w.pt": abc}
    assert facts["cells"][1]["files"] == {}
    assert [(cell["detector"], cell["files"]) for cell in facts["detector_cells"]] == [("weigher", {"v.pt": ""})]
    assert set(facts["data"]) == {"paired-folder/noisy"}
    assert {"memory_limit_mib", "gpus"} <= set(facts)


def test_a_run_that_computes_nothing_keeps_the_environment_too(run, tmp_path, monkeypatch):
    run(["identity"], settings={"workers": 0})
    before = written(tmp_path / "run")
    monkeypatch.setattr(environment, "version", lambda package: "99")
    run(["identity"], settings={"workers": 0})
    assert written(tmp_path / "run") == before
    run(["identity"], metrics=["psnr", "ssim"], settings={"workers": 0})
    assert json.loads(written(tmp_path / "run")["manifest.json"])["versions"]["torch"] == "99"


def test_a_report_after_the_data_changed_leaves_the_tables_alone(run, pairs, tmp_path):
    run(["identity"], plugins=(), save="all", settings={"workers": 0})
    before = written(tmp_path / "run")
    image = pairs / "noisy" / "LQ" / "a-dark.png"
    image.write_bytes((pairs / "noisy" / "LQ" / "b-grey.png").read_bytes())
    with pytest.raises(
        RunFolderError, match=r"changed since .*noisy/identity told nothing\).*run its suite again"
    ):
        runner.report_again(tmp_path / "run")
    with pytest.raises(RunFolderError, match="changed since"):
        scores.rescore(tmp_path / "run", metrics=["ssim"], settings=Settings(workers=0))
    assert written(tmp_path / "run") == before


def test_a_report_after_a_plugin_changed_leaves_the_tables_alone(run, tmp_path):
    plugin = tmp_path / "same.py"
    plugin.write_text(RESTORER)
    run(["same"], settings={"workers": 0, "plugins": [plugin]})
    before = written(tmp_path / "run")
    plugin.write_text(RESTORER.replace('version="1"', 'version="2"'))
    with pytest.raises(RunFolderError, match="noisy/same told nothing"):
        runner.report_again(tmp_path / "run", [plugin])
    assert written(tmp_path / "run") == before
    plugin.write_text(RESTORER)
    runner.report_again(tmp_path / "run", [plugin])


def test_scoring_again_uses_plugins_given_then(run, tmp_path):
    run(["identity"], plugins=(), save="all", settings={"workers": 0})
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
    result = scores.rescore(tmp_path / "run", metrics=["worst"], settings=settings)
    assert result.tables.records["worst@rgb"].notna().all()
    runner.report_again(tmp_path / "run")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_folder_of_another_suite_is_refused_and_keeps_its_tables(run, tmp_path, workers):
    settings = {"workers": workers}
    run(["identity"], suite="tiny", plugins=(), settings=settings)
    before = written(tmp_path / "run")
    with pytest.raises(RunFolderError, match=r"run holds suite tiny, not other; give another --out, or --fresh"):
        run(["identity"], suite="other", settings=settings)
    assert written(tmp_path / "run") == before
    runner.report_again(tmp_path / "run")
    assert written(tmp_path / "run") == before
    run(["identity"], suite="other", settings=settings | {"fresh": True})
    assert written(tmp_path / "run") != before
