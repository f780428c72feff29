"""What a run keeps when something fails, and what the next run does about it."""

from __future__ import annotations

import csv
import re
import shutil

import pytest

from restorebench.contract.errors import MissingResource
from restorebench.engine.events import Done
from restorebench.schedule.costs import Costs
from restorebench.schedule.stage import setup
from restorebench.suite.settings import Request, Settings
from restorebench.worker.messages import Ready
from restorebench.worker.session import Session

IN_PROCESS = {"workers": 0}


def table(tmp_path, name, out="run"):
    with (tmp_path / out / name).open(newline="") as file:
        return list(csv.DictReader(file))


def modes(events):
    return {event.job.mode for event in events if isinstance(event, Done)}


@pytest.mark.faults
@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ("raising", "error: metric raising@rgb: ValueError: no score today"),
        ("one-number", "contract: metric one-number@rgb: returned (), expected a tensor of shape (1,)"),
        ("too-many", "contract: metric too-many@rgb: returned (2,), expected a tensor of shape (1,)"),
        ("single-precision", "contract: metric single-precision@rgb: returned torch.float32, expected float64"),
        ("nan", "contract: metric nan@rgb: returned NaN"),
        ("unloadable", "error: metric unloadable@rgb: while loading: ZeroDivisionError: division by zero"),
    ],
)
def test_a_failing_metric_costs_its_column_alone(run, tmp_path, metric, why):
    result, _ = run(["identity"], plugins=["moody.py"], metrics=["psnr", metric], settings=IN_PROCESS)
    (row,) = table(tmp_path, "leaderboard.csv")[:1]
    assert row["psnr@rgb"] and not row[f"{metric}@rgb"]
    assert row["status"] == f"{metric}@rgb failed on 3 of 3"
    assert result.failed == 3
    assert {(r["score"], r["reason"]) for r in table(tmp_path, "failures.csv")} == {(f"{metric}@rgb", why)}
    _, again = run(["identity"], plugins=["moody.py"], metrics=["psnr", metric], settings=IN_PROCESS)
    assert not modes(again)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_metric_whose_weights_were_there_and_are_gone_ends_the_run(run, workers):
    """Another machine may lack them: with a column for some images only, tables would depend on who was free."""
    with pytest.raises(MissingResource, match=r"^metric lost-since@rgb: backbone not in the cache; get it$"):
        run(["identity"], plugins=["moody.py"], metrics=["psnr", "lost-since"], settings={"workers": workers})


@pytest.mark.faults
def test_a_metric_that_writes_into_its_images_harms_nobody(run, tmp_path):
    scores = []
    for number, metrics in enumerate((["psnr"], ["blackening", "psnr"])):
        run(["global-affine"], plugins=["moody.py"], metrics=metrics, out=f"{number}", settings=IN_PROCESS)
        scores.append([row["psnr@rgb"] for row in table(tmp_path, "records.csv", out=f"{number}")])
    assert scores[0] == scores[1]


def test_a_metric_that_fails_on_one_image_of_a_group_costs_that_image_alone(run, tmp_path):
    keys = {"plugins": ["moody.py"], "metrics": ["psnr", "bright-averse"], "settings": IN_PROCESS}
    run(["identity"], batch_size=3, **keys)
    status = table(tmp_path, "leaderboard.csv")[0]["status"]
    assert status == "bright-averse@rgb failed on 1 of 3"


def test_a_failure_to_score_saved_images_is_reported_and_leaves_them(run, tmp_path):
    keys = {"plugins": ["moody.py"], "save": "all", "settings": IN_PROCESS}
    run(["identity"], **keys)
    result, events = run(["identity"], metrics=["psnr", "raising"], **keys)
    assert modes(events) == {"score"}
    assert result.failed == 3
    assert table(tmp_path, "leaderboard.csv")[0]["psnr@rgb"]


@pytest.mark.parametrize("workers", [0, 1])
def test_saved_images_are_scored_without_loading_their_restorer(run, tmp_path, workers):
    settings = {"workers": workers}
    run(["identity"], save="all", settings=settings)
    _, events = run(["identity"], save="all", metrics=["psnr", "ssim"], settings=settings)
    (kind,) = {event.job.cell.kind for event in events if isinstance(event, Done)}
    assert kind == "scores"
    assert all(row["ssim@rgb"] for row in table(tmp_path, "records.csv"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_restorer_that_no_longer_loads_leaves_its_saved_images_to_be_scored(run, tmp_path, monkeypatch, workers):
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    keys = {"plugins": ["moody.py"], "save": "all", "settings": {"workers": workers}}
    run(["unloadable-later"], **keys)
    (tmp_path / "mark").touch()
    (lost,) = (tmp_path / "run" / "outputs").rglob("a-dark.png")
    lost.unlink()
    result, events = run(["unloadable-later"], metrics=["psnr", "ssim"], **keys)
    assert modes(events) == {"restore", "score"}
    assert [bool(row["ssim@rgb"]) for row in table(tmp_path, "records.csv")] == [False, True, True]
    assert result.failed == 1


def test_a_network_that_scores_saved_images_sees_both_on_its_device(run, tmp_path):
    keys = {"plugins": ["moody.py"], "save": "all", "settings": IN_PROCESS}
    run(["identity"], **keys)
    result, events = run(["identity"], metrics=["psnr", "same-device"], **keys)
    settings = Settings(device="meta")  # a device like no other, and always there
    told = setup(result.plan, settings, tmp_path / "run", Costs({}))
    session = Session(told)
    for job in [event.job for event in events if isinstance(event, Done)]:
        assert isinstance(session.handle(job.cell), Ready)
        (record,) = session.handle(job).records
        assert (record.scores, record.unscored) == ({"same-device@rgb": 1.0}, {})


def test_a_detection_that_works_later_lets_its_restorer_run(run, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(mark))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    told = [{"name": "classical", "tell": "fails-once"}]
    first, _ = run(told, plugins=["moody.py"], settings=IN_PROCESS)
    assert first.failed == 6  # three detections, and three restorations that wait for them
    again, _ = run(told, plugins=["moody.py"], settings=IN_PROCESS)
    assert again.failed == 6
    mark.touch()
    last, _ = run(told, plugins=["moody.py"], settings=IN_PROCESS)
    assert last.failed == 0
    assert all(row["told"] == "noisy" and row["psnr@rgb"] for row in table(tmp_path, "records.csv"))


def test_an_8_bit_file_does_not_answer_for_a_float_protocol(run, tmp_path):
    run(["global-affine"], save="all", settings=IN_PROCESS)
    wanted = {"metrics": ["psnr"], "protocols": ["rgb", "airnet"]}
    result, _ = run(["global-affine"], save="all", **wanted, settings={**IN_PROCESS, "scoring_only": True})
    assert "psnr@airnet of 0 of 3" in result.tables.leaderboard.status[0]
    result, events = run(["global-affine"], **wanted, settings=IN_PROCESS)
    assert modes(events) == {"restore"}
    assert all(row["psnr@airnet"] for row in table(tmp_path, "records.csv"))


def test_lost_outputs_are_restored_again_when_a_score_needs_them(run, tmp_path):
    run(["identity"], save="all", settings=IN_PROCESS)
    shutil.rmtree(tmp_path / "run" / "outputs")
    result, events = run(["identity"], metrics=["psnr", "ssim"], settings=IN_PROCESS)
    assert modes(events) == {"restore"}
    assert result.failed == 0


@pytest.mark.parametrize(
    ("change", "score", "status"),
    [
        ({"metrics": ["psnr", "ssim"]}, "ssim@rgb", "ssim@rgb failed on 3 of 3"),
        ({"save": "all"}, "", "ok"),
        ({"samples": 3}, "", "ok"),
    ],
)
def test_what_worked_but_cannot_be_restored_again_is_a_failure(run, tmp_path, monkeypatch, change, score, status):
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    keys = {"plugins": ["moody.py"], "settings": IN_PROCESS}
    run(["fails-later"], **keys)
    kept = table(tmp_path, "leaderboard.csv")[0]["psnr@rgb"]
    (tmp_path / "mark").touch()
    result, _ = run(["fails-later"], **keys, **change)
    assert result.failed == 3
    row = table(tmp_path, "leaderboard.csv")[0]
    assert (row["psnr@rgb"], row["status"]) == (kept, status)
    listed = {(failure["score"], failure["reason"]) for failure in table(tmp_path, "failures.csv")}
    assert listed == {(score, "error: ValueError: not again")}
    (tmp_path / "mark").unlink()
    result, _ = run(["fails-later"], **{**keys, "settings": {**IN_PROCESS, "retry_failed": True}}, **change)
    assert result.failed == 0
    assert not table(tmp_path, "failures.csv")
    assert table(tmp_path, "leaderboard.csv")[0]["status"] == "ok"


def test_a_failure_is_not_kept_for_columns_of_an_image_that_never_worked(run, tmp_path, monkeypatch):
    monkeypatch.setenv("RESTOREBENCH_TEST_MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    (tmp_path / "mark").touch()
    keys = {"plugins": ["moody.py"], "settings": {**IN_PROCESS, "retry_failed": True}}
    run(["fails-later"], metrics=["psnr", "ssim"], **keys)
    (tmp_path / "mark").unlink()
    run(["fails-later"], metrics=["psnr"], **keys)
    result, _ = run(["fails-later"], metrics=["psnr", "ssim"], plugins=["moody.py"], settings=IN_PROCESS)
    assert result.failed == 0


def test_a_run_that_goes_on_with_another_batch_size_says_so(run, tmp_path):
    run(["identity"], settings={**IN_PROCESS, "request": Request(limit=2)})
    run(["identity"], batch_size=2, settings=IN_PROCESS)
    status = table(tmp_path, "leaderboard.csv")[0]["status"]
    assert re.fullmatch(r"mixed execution: cpu x1 float32 batch 1( \w+), cpu x1 float32 batch 2\1", status)


def test_a_batch_that_shrinks_for_a_culprit_changes_no_status(run, tmp_path):
    run(["fails-on-bright"], batch_size=3, settings=IN_PROCESS)
    assert table(tmp_path, "leaderboard.csv")[0]["status"] == "incomplete: 1 of 3 failed"


def test_triples_of_another_seed_do_not_stand_for_this_ones(run, tmp_path):
    data = [{"name": "synthetic", "options": {"crop": 64}}]
    keys = {"datasets": data, "samples": 1, "settings": {**IN_PROCESS, "request": Request(limit=1)}}
    for out, seeds in (("several", (0, 1, 0)), ("one", (0,))):
        for seed in seeds:
            run(["global-affine"], out=out, seed=seed, **keys)
    (several, one) = (tmp_path / out / "samples" for out in ("several", "one"))
    files = [path.relative_to(one) for path in one.rglob("*.png")]
    assert len(files) == 3
    assert all((several / file).read_bytes() == (one / file).read_bytes() for file in files)
    assert len(list(several.rglob("*.png"))) == 6


def test_noise_does_not_depend_on_what_a_dataset_is_called(run, pairs):
    dataset = {"name": "paired-folder", "options": {"path": str(pairs)}}
    scores = []
    for number, label in enumerate(("mine", "yours")):
        result, _ = run(
            ["noise"],
            plugins=["moody.py"],
            out=f"run{number}",
            datasets=[{**dataset, "label": label}],
            settings=IN_PROCESS,
        )
        scores.append(list(result.tables.records["psnr@rgb"]))
    assert scores[0] == scores[1]
