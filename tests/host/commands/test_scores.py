"""Scoring a run's saved images again: exactly what was asked, beside the run's own tables."""

from __future__ import annotations

import csv
import shutil

import pytest

from restorebench import runner
from restorebench.commands import scores
from restorebench.contract.errors import RestorebenchError, RunFolderError, SuiteError
from restorebench.engine.events import Done
from restorebench.suite.settings import Settings

HERE = Settings(workers=0, device="cpu")
IN_PROCESS = {"workers": 0}


def header(path):
    with path.open(newline="") as file:
        return [name for name in next(csv.reader(file)) if "@" in name and not name.endswith(("_low", "_high"))]


def written(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in {".csv", ".json", ".md"}}


@pytest.fixture
def saved(run, tmp_path):
    run(["identity"], metrics=["psnr", "ssim"], save="all", plugins=(), settings=IN_PROCESS)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("metrics", "protocols", "columns"),
    [
        (["psnr"], ["daclip"], ["psnr@daclip"]),
        (["psnr"], [], ["psnr@rgb"]),
        ([], ["y"], ["psnr@y", "ssim@y"]),
        ([], [], ["psnr@rgb", "ssim@rgb"]),
    ],
)
def test_scoring_again_gives_what_was_asked_and_leaves_the_tables_of_the_run(saved, metrics, protocols, columns):
    before = written(saved)
    result = scores.rescore(saved, metrics=metrics, protocols=protocols, settings=HERE)
    assert header(saved / "scores" / "leaderboard.csv") == columns
    assert result.folder == saved / "scores"
    assert result.tables.records[columns].notna().all(axis=None)
    assert written(saved) == before
    runner.report_again(saved)
    assert written(saved) == before


def test_columns_of_one_scoring_are_not_those_of_the_next(saved):
    for protocol in ("daclip", "y"):
        scores.rescore(saved, metrics=["psnr"], protocols=[protocol], settings=HERE)
    assert header(saved / "scores" / "leaderboard.csv") == ["psnr@y"]


def test_scores_of_a_scoring_are_not_computed_again(run, saved):
    scores.rescore(saved, metrics=["psnr"], protocols=["y"], settings=HERE)
    events = []
    scores.rescore(saved, metrics=["psnr"], protocols=["y"], settings=HERE, watch=events.append)
    _, more = run(
        ["identity"], metrics=["psnr"], protocols=["rgb", "y"], save="all", plugins=(), settings=IN_PROCESS
    )
    assert not [event for event in events + more if isinstance(event, Done)]


def test_a_score_that_needs_floats_is_refused_for_8_bit_files(saved):
    before = written(saved)
    with pytest.raises(RestorebenchError, match=r"psnr@airnet, ssim@airnet: .* that are not rounded.* 8 bits"):
        scores.rescore(saved, protocols=["airnet"], settings=HERE)
    assert not (saved / "scores").exists()
    assert written(saved) == before


def test_a_score_that_needs_floats_is_had_where_they_were_kept(run, tmp_path):
    run(["identity"], protocols=["rgb", "airnet"], save="all", plugins=(), settings=IN_PROCESS)
    result = scores.rescore(tmp_path / "run", metrics=["ssim"], protocols=["airnet"], settings=HERE)
    assert result.tables.records["ssim@airnet"].notna().all()


def test_saved_images_that_are_gone_are_counted(saved):
    shutil.rmtree(saved / "outputs")
    with pytest.raises(RestorebenchError, match="3 saved images are gone"):
        scores.rescore(saved, metrics=["psnr"], protocols=["y"], settings=HERE)


@pytest.mark.parametrize(
    ("metrics", "protocols", "message"),
    [
        (["prsn"], ["rgb"], r"^--metrics: no metric called 'prsn'"),
        (["psnr"], ["rbg"], r"^--protocol: no protocol called 'rbg'"),
        (["ms-ssim"], ["rgb"], "^no ms-ssim@rgb: it needs 161 px"),
        (["psnr-hole"], ["rgb"], "^psnr-hole@rgb is for none of this run's tasks"),
    ],
)
def test_what_cannot_be_scored_is_refused_under_the_name_it_was_given(saved, metrics, protocols, message):
    with pytest.raises((SuiteError, RestorebenchError), match=message):
        scores.rescore(saved, metrics=metrics, protocols=protocols, settings=HERE)


def test_scoring_still_refuses_data_that_changed(saved, pairs):
    image = pairs / "noisy" / "LQ" / "a-dark.png"
    image.write_bytes((pairs / "noisy" / "LQ" / "b-grey.png").read_bytes())
    with pytest.raises(RunFolderError, match="changed since"):
        scores.rescore(saved, metrics=["psnr"], protocols=["y"], settings=HERE)
