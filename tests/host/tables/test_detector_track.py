"""The detector track through the host: images at another size, written anew, and clean."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest

from restorebench.contract.errors import SuiteError
from restorebench.journal import journal as journals
from restorebench.runner import execute, prepare
from restorebench.suite import loading as suites
from restorebench.suite.settings import Settings
from restorebench.tables import outcomes
from restorebench.toolbox.images import resized

HALF = {"name": "ruler", "label": "half", "resize": 0.5}


@pytest.fixture
def judged(run):
    """Run detectors on the pairs; returns the result and what was said, as (digest, sample): record."""

    def carry_out(detectors, restorers=(), **keys):
        keys = {"settings": {"workers": 0}, **keys}
        result, _ = run(list(restorers), plugins=("seeing.py",), detectors=detectors, **keys)
        return result, spoken(result)

    return carry_out


def spoken(result):
    with journals.opened(result.folder) as journal:
        return {(said.digest, said.sample): said for said in outcomes.detections(result.plan, journal)}


def test_a_detector_sees_what_its_entry_resizes(judged):
    result, said = judged(["ruler", HALF])
    whole, half = result.plan.detector_cells
    assert whole.digest != half.digest
    seen = {digest: record.probabilities for (digest, _), record in said.items()}
    assert seen == {whole.digest: {"noisy": 0.16}, half.digest: {"hazy": 0.08}}
    scores = result.tables.detectors[result.tables.detectors.task == "noisy"].set_index("detector")
    assert scores.accuracy.to_dict() == {"ruler": 1, "half": 0}
    assert set(result.tables.confusion.detector) == {"ruler", "half"}


def test_a_size_that_stays_keeps_its_digest(judged):
    result, _ = judged(["ruler", {"name": "ruler", "label": "as it is", "resize": 1.0}])
    one, other = result.plan.detector_cells
    assert one.digest == other.digest
    assert list(result.tables.detectors.detector) == ["ruler", "as it is", "ruler", "as it is"]


def test_another_size_starts_only_its_own_cell_anew(judged):
    _, first = judged(["ruler", HALF])
    _, again = judged(["ruler", {**HALF, "resize": 0.25}], settings={"workers": 2})
    assert len(first.keys() & again.keys()) == 3
    assert sorted(record.probabilities.get("hazy", 0) for record in again.values()) == [0, 0, 0, 0.04, 0.04, 0.04]


@pytest.mark.parametrize(
    ("detectors", "tell", "shown", "told"),
    [
        ([HALF], "half", "half", "hazy"),
        ([HALF], "ruler", "half", "hazy"),
        (["ruler", HALF], "ruler", "ruler", "noisy"),
        (["ruler", HALF], "half", "half", "hazy"),
        ([], "ruler", "ruler", "noisy"),
    ],
)
def test_a_restorer_is_told_what_the_named_entry_says(judged, detectors, tell, shown, told):
    result, _ = judged(detectors, [{"name": "identity", "tell": tell}])
    records = result.tables.records
    assert set(zip(records.tell, records.told, strict=True)) == {(shown, told)}
    assert set(result.tables.leaderboard.tell) == {shown}


@pytest.mark.parametrize(
    ("detectors", "tell", "message"),
    [
        (["ruler", "ruler"], "task", r"detectors\[1\]: 'ruler' is listed twice; give it a `label`"),
        ([HALF, {"name": "silent", "label": "half"}], "task", "'half' is listed twice"),
        ([{"name": "ruler", "label": "task"}], "task", r"detectors\[0\].label: 'task' means something else"),
        (
            [HALF, {"name": "ruler", "label": "whole"}],
            "ruler",
            r"restorers\[0\].tell: 'ruler' is listed as half, whole; name one of these",
        ),
        ([HALF], "hal", "tell is nothing, task or a detector's label or name: no detector called 'hal'"),
    ],
)
def test_detectors_that_cannot_be_told_apart_are_refused(judged, detectors, tell, message):
    with pytest.raises(SuiteError, match=message) as refused:
        judged(detectors, [{"name": "identity", "tell": tell}])
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("factor", [0, -1, 4.1, float("nan"), float("inf"), True, "half"])
def test_a_factor_that_is_no_size_is_refused(factor):
    entry = {"name": "ruler", "resize": factor}
    with pytest.raises(SuiteError, match=r"detectors\.0\.resize|detectors\[0\]\.resize"):
        suites.made({"suite": "s", "datasets": ["synthetic"], "detectors": [entry]})


def test_resizing_is_bicubic_and_antialiased_on_floats():
    image = np.random.default_rng(0).uniform(size=(20, 30, 3)).astype(np.float32)
    small = resized(image, 0.5)
    stored = PIL.Image.fromarray(np.rint(image * 255).astype(np.uint8)).resize(
        (15, 10), PIL.Image.Resampling.BICUBIC
    )
    assert (small.shape, small.dtype) == ((10, 15, 3), np.float32)
    assert np.abs(small - np.asarray(stored) / 255).max() < 1.1 / 255  # rounded before and after
    assert small.min() >= 0
    assert resized(image, 1) is image
    assert resized(image, 0.01).shape == (1, 1, 3)
    assert resized(image, 2.0).shape == (40, 60, 3)
    ripple = np.tile(np.array([0.0, 1.0], np.float32), (16, 8))[:, :, None].repeat(3, axis=2)
    assert (
        np.abs(resized(ripple, 0.25)[:, 1:-1] - 0.5).max() < 0.02
    )  # picking every fourth pixel would give 0 or 1


SYNTHETIC = {"name": "synthetic", "options": {"severities": [2], "crop": 96}}


@pytest.mark.parametrize("resize", [1, 0.5])
def test_images_written_as_png_and_read_back_are_judged_the_same(tmp_path, resize):
    raw = {
        "suite": "again",
        "tasks": ["noisy", "hazy"],
        "restorers": [],
        "detectors": [{"name": "statistics", "resize": resize}],
    }
    first = carried_out({**raw, "datasets": [SYNTHETIC], "clean_inputs": True}, tmp_path / "first")
    saved = {"suite": "saved", "tasks": raw["tasks"], "datasets": [SYNTHETIC], "restorers": ["identity"]}
    kept = carried_out({**saved, "save": "all", "clean_inputs": False, "metrics": ["psnr"]}, tmp_path / "saved")
    folders = [
        {
            "name": "unpaired",
            "label": task,
            "tasks": [task],
            "options": {"path": str(next((kept.folder / "outputs" / "synthetic" / task).iterdir()))},
        }
        for task in raw["tasks"]
    ]
    again = carried_out({**raw, "datasets": folders, "clean_inputs": False}, tmp_path / "again")
    before, after = verdicts(first), verdicts(again)
    assert len(after) == 12
    assert {key: before[key] for key in after} == after


def test_false_alarms_are_counted_on_clean_inputs(tmp_path):
    raw = {
        "suite": "alarm",
        "tasks": ["noisy"],
        "datasets": [SYNTHETIC],
        "restorers": [],
        "detectors": ["statistics"],
    }
    result = carried_out(raw, tmp_path / "run")
    alarms = [labels for (task, _), (labels, _) in verdicts(result).items() if task == "clean" and labels]
    row = result.tables.detectors.set_index("task").loc["clean"]
    assert row.images == 6
    assert row.false_alarm == len(alarms) / 6


def carried_out(raw, folder):
    settings = Settings(out=folder, device="cpu", workers=0)
    return execute(prepare(suites.made(raw), settings), settings)


def verdicts(result):
    """Map task and sample to what the detector said."""
    said = spoken(result)
    return {
        (cell.data.task, sample.id): (
            said[cell.digest, sample.id].labels,
            said[cell.digest, sample.id].probabilities,
        )
        for cell in result.plan.detector_cells
        for sample in cell.data.samples
    }
