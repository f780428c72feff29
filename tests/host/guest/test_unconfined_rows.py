"""Rows say why their method was not kept from the clean images."""

from __future__ import annotations

import pytest

from restorebench.publishing.folder import read_published
from restorebench.publishing.publish import publish

METHODS = """
from restorebench import Detection, DetectorInfo, RestorerInfo, hookimpl

class Copies:
    def restore(self, batch):
        return batch.degraded.clone()

    def detect(self, images):
        return [Detection(frozenset({"noisy"}), {"noisy": 1.0}) for _ in images]

@hookimpl
def restorebench_restorers():
    return [RestorerInfo(name="copies", version="1", summary="Copies.", load=lambda options, runtime: Copies())]

@hookimpl
def restorebench_detectors():
    load = lambda options, runtime: Copies()
    return [DetectorInfo(name="noisy-always", version="1", summary="Noisy.", load=load)]
"""
METRIC = """
from restorebench import MetricInfo, ScoringProtocol

@hookimpl
def restorebench_metrics():
    protocols = (ScoringProtocol("rgb", "None."),)
    load = lambda options, runtime, protocol: lambda restored, clean: clean.mean((1, 2, 3))
    facts = {"higher_is_better": True, "protocols": protocols}
    return [MetricInfo(name="own", version="1", summary="Own.", load=load, **facts)]
"""


def said(tables):
    """Return the status of the restorer and of the detector."""
    restorers = tables.leaderboard.set_index(["task", "restorer"]).status
    return restorers["noisy", "copies"], tables.detectors.set_index(["task", "detector"]).status[
        "noisy", "noisy-always"
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lifted", "metric", "why"),
    [
        ("", "", "ok"),
        ("0", "", "not confined (RESTOREBENCH_CONFINED is 0)"),
        ("", METRIC, "not confined (its plugin also gives data, metrics or reports)"),
    ],
)
def test_a_row_says_why_its_method_was_not_confined(run, tmp_path, monkeypatch, lifted, metric, why):
    monkeypatch.setenv("RESTOREBENCH_CONFINED", lifted)
    (tmp_path / "mine.py").write_text(METHODS + metric)
    keys = {"plugins": [tmp_path / "mine.py"], "detectors": ["noisy-always"]}
    result, _ = run(["copies"], metrics=["psnr", "own"] if metric else ["psnr"], **keys)
    assert said(result.tables) == (why, why)
    if not metric:
        published = read_published(publish(tmp_path / "run", tmp_path, plugins=[tmp_path / "mine.py"]).folder)
        assert {record.unconfined or "ok" for record in published.detections} == {why[14:-1] if lifted else "ok"}
