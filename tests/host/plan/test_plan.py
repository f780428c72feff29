from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from restorebench.contract.catalog import discover, require_unbroken
from restorebench.contract.errors import MissingResource, RestorebenchError, SuiteError, UnknownName
from restorebench.plan.build import build
from restorebench.suite import loading as suites
from restorebench.suite.model import Suite
from restorebench.suite.settings import Request
from restorebench.tables.board import board_of


@pytest.fixture(scope="module")
def catalog():
    return discover()


@pytest.fixture
def photographs(tmp_path):
    for name, size in [("a", (32, 48)), ("b", (32, 48)), ("c", (64, 64)), ("d", (32, 48))]:
        path = tmp_path / "clean" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(ord(name)).integers(0, 255, (*size, 3), np.uint8)).save(path)
    return tmp_path


def plan(catalog, folder, request=Request(), **keys):
    raw = {
        "suite": "test",
        "tasks": ["noisy", "hazy"],
        "datasets": [{"name": "synthetic", "options": {"clean": str(folder / "clean")}}],
        "clean_inputs": False,
        **keys,
    }
    return build(suites.LoadedSuite(Suite.model_validate(raw), "test", folder), catalog, request)


def only(*tasks):
    return {"name": "synthetic", "tasks": list(tasks)}


def digests(made):
    return [cell.digest for cell in made.restorer_cells]


def test_groups_hold_one_size_and_a_fixed_number(catalog, photographs):
    data = plan(catalog, photographs, batch_size=2).restorer_cells[0].data
    assert data.groups == ((0, 1), (2,), (3,))
    assert plan(catalog, photographs, Request(limit=1), batch_size=2).restorer_cells[0].data.groups == ((0, 1),)


def test_a_digest_knows_what_decides_a_number_and_nothing_else(catalog, photographs):
    base = digests(plan(catalog, photographs))
    same = [{"metrics": ["psnr"]}, {"save": "all"}, {"threads": 2}, {"batch_size": 4}, {"suite": "other"}]
    other = [{"seed": 1}, {"tile": 64}]
    other.append(
        {"datasets": [{"name": "synthetic", "options": {"clean": str(photographs / "clean"), "crop": 32}}]}
    )
    assert all(digests(plan(catalog, photographs, **keys)) == base for keys in same)
    assert all(not set(digests(plan(catalog, photographs, **keys))) & set(base) for keys in other)
    assert digests(plan(catalog, photographs, Request(limit=1))) == base
    (photographs / "clean").rename(photographs / "moved")
    moved = [{"name": "synthetic", "options": {"clean": str(photographs / "moved")}}]
    assert digests(plan(catalog, photographs, datasets=moved)) == base


def test_a_changed_image_changes_the_digest(catalog, photographs):
    before = digests(plan(catalog, photographs))
    Image.new("RGB", (48, 32)).save(photographs / "clean" / "a.png")
    assert not set(before) & set(digests(plan(catalog, photographs)))


def test_a_detector_that_tells_is_planned_without_being_listed(catalog, photographs):
    made = plan(catalog, photographs, restorers=[{"name": "classical", "tell": "statistics"}])
    assert [cell.data.task for cell in made.detector_cells] == ["noisy", "hazy"]
    assert [cell.told_by for cell in made.restorer_cells] == [cell.digest for cell in made.detector_cells]


def test_tasks_and_restorers_can_be_narrowed(catalog, photographs):
    made = plan(catalog, photographs, Request(tasks=("hazy",), restorers=("identity",)))
    assert [(cell.label, cell.data.task) for cell in made.restorer_cells] == [("identity", "hazy")]
    with pytest.raises(UnknownName, match="nearest: identity"):
        plan(catalog, photographs, Request(restorers=("identty",)))


def test_a_task_that_the_data_do_not_hold_stays_on_the_board(catalog, tmp_path):
    for side, seed in [("LQ", 0), ("GT", 1)]:
        (tmp_path / "pairs" / "noisy" / side).mkdir(parents=True)
        pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "pairs" / "noisy" / side / "a.png")
    pairs = [{"name": "paired-folder", "options": {"path": str(tmp_path / "pairs")}}]
    whole = plan(catalog, tmp_path, datasets=pairs)
    assert [cell.data.task for cell in whole.restorer_cells] == ["noisy"]
    assert board_of(whole).tasks == ("noisy", "hazy")
    narrowed = board_of(plan(catalog, tmp_path, Request(tasks=("noisy",)), datasets=pairs))
    assert (narrowed.tasks, narrowed.share) == (("noisy",), "1 of 2 tasks")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"tasks": ["noisy", "foggy"]}, "no task called 'foggy'"),
        ({"tasks": ["noisy", "noisy"]}, "listed twice"),
        ({"tasks": ["clean"]}, "clean_inputs"),
        ({"restorers": ["identity", "identity"]}, "listed twice"),
        ({"restorers": [{"name": "identity", "tell": "nobody"}]}, "tell is nothing, task or a detector"),
        ({"restorers": [{"name": "identity", "options": {"a": 1}}]}, "takes no options"),
        ({"datasets": ["synthetic", "synthetic"]}, "two datasets are called"),
        ({"datasets": ["sinthetic"]}, "nearest: synthetic"),
        (
            {"datasets": [only("noisy", "hzy")]},
            r"tasks\[1\]: 'hzy' is not .*\(nearest: hazy",
        ),
        (
            {"datasets": [only("rainy")]},
            r"tasks\[0\]: 'rainy' is not a task of this suite",
        ),
        (
            {"datasets": [only("noisy", "noisy")]},
            r"tasks\[1\]: 'noisy' is listed twice",
        ),
        ({"datasets": [only()]}, r"datasets\[0\].tasks: is empty"),
        ({"restorers": []}, "restorers: is empty, and so is `detectors`"),
        ({"datasets": [{"name": "synthetic", "options": {"crop": "big"}}]}, "crop"),
        ({"metrics": ["psnrr"]}, "nearest: psnr"),
        ({"metrics": ["psnr", "psnr"]}, r"metrics\[1\]: 'psnr' is listed twice"),
        ({"protocols": ["rgb", "y", "rgb"]}, r"protocols\[2\]: 'rgb' is listed twice"),
        ({"reports": ["cvs"]}, r"reports\[0\]: no reporter called 'cvs' \(nearest: csv"),
        ({"reports": ["csv", "csv"]}, r"reports\[1\]: 'csv' is listed twice"),
        ({"reports": [{"name": "cvs"}]}, r"reports\[0\]: no reporter called 'cvs' \(nearest: csv"),
        ({"reports": [{"name": "csv", "options": {"a": 1}}]}, r"reporter 'csv' takes no options, got a"),
        (
            {"reports": [{"name": "latex", "options": {"interval": 1}}]},
            r"interval: no such key \(nearest: intervals",
        ),
    ],
)
def test_a_suite_that_asks_for_what_is_not_there_is_refused(catalog, photographs, keys, message):
    with pytest.raises(SuiteError, match=message):
        plan(catalog, photographs, **keys)


def test_data_that_are_not_there_are_named(catalog, tmp_path):
    with pytest.raises(MissingResource, match="clean"):
        plan(catalog, tmp_path)


def test_a_pair_of_metric_and_protocol_that_does_not_exist_is_left_out_with_one_note(catalog, photographs):
    made = plan(catalog, photographs, metrics=["psnr", "ms-ssim", "ssim"], protocols=["rgb", "airnet", "daclip"])
    names = [column.name for column in made.columns]
    assert names == [
        *("psnr@rgb", "ms-ssim@rgb", "ssim@rgb"),
        *("psnr@airnet", "ssim@airnet", "psnr@daclip", "ssim@daclip"),
    ]
    assert made.notes == ("left out, because these metrics have no such protocol: ms-ssim@airnet, ms-ssim@daclip",)


def test_a_suite_without_any_metric_under_its_protocols_is_refused(catalog, photographs):
    with pytest.raises(SuiteError, match=r"protocols: no metric is defined under any of them: ms-ssim@airnet"):
        plan(catalog, photographs, metrics=["ms-ssim"], protocols=["airnet"])


def test_a_metric_that_cannot_be_computed_here_is_noted_once(catalog, photographs, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(photographs / "nowhere"))
    made = plan(catalog, photographs, metrics=["psnr", "lpips"], protocols=["rgb", "daclip"])
    (note,) = made.notes
    assert note.startswith(
        "lpips@rgb, lpips@daclip cannot be computed here, and stays empty: AlexNet backbone not in"
    )


def test_a_metric_for_clean_inputs_is_scored_on_them_alone(catalog, photographs):
    made = plan(catalog, photographs, metrics=["psnr", "altered"], clean_inputs=True)
    scored = {cell.data.task: {column.name for column in cell.columns} for cell in made.restorer_cells}
    assert scored.pop("clean") == {"psnr@rgb", "altered@rgb"}
    assert all(columns == {"psnr@rgb"} for columns in scored.values())


def test_the_board_knows_that_a_mean_aligned_psnr_never_ranks(catalog, photographs):
    made = plan(catalog, photographs, metrics=["psnr-mean-aligned", "psnr"])
    assert [column.ranks for column in board_of(made).columns] == [False, True]


def test_a_metric_is_not_scored_where_images_are_too_small(catalog, photographs):
    made = plan(catalog, photographs, metrics=["psnr", "ms-ssim"])
    assert [column.name for column in made.restorer_cells[0].columns] == ["psnr@rgb"]
    note = "no ms-ssim@rgb: it needs 161 px a side, the smallest image has 32"
    assert made.restorer_cells[0].notes == (note,)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Request(tasks=()), "--tasks: names none; suite test has noisy, hazy"),
        (Request(restorers=()), "--restorers: names none; suite test has identity"),
        (Request(tasks=("hazy",)), "--tasks: no dataset of suite test takes hazy; they take noisy"),
        (Request(limit=0), "--limit 0: takes no image"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused(catalog, photographs, request_, message):
    options = {"clean": str(photographs / "clean")}
    with pytest.raises(RestorebenchError, match=message):
        plan(
            catalog,
            photographs,
            request_,
            datasets=[{"name": "synthetic", "tasks": ["noisy"], "options": options}],
        )


PLUGIN = """
from pathlib import Path
from pydantic import BaseModel, field_validator
from typing import Annotated, Literal
from pydantic import Field
from restorebench import (
    DatasetInfo, DegradationInfo, DetectorInfo, MetricInfo, RestorerInfo, ScoringProtocol, Stage, Task, hookimpl
)


class Files(BaseModel):
    weights: Path
    parts: tuple[Path, ...] = ()


class Part(BaseModel):
    file: Annotated[Path, Field(description="where")] | None = None
    title: str = ""


class Nested(BaseModel):
    by_name: dict[str, list[Path]] = {}
    part: Part = Part()
    several: tuple[Part, ...] = ()
    pair: tuple[str, Path] | None = None
    either: Literal["embedded"] | Path = "embedded"


class Strict(BaseModel):
    level: int


class Broken(BaseModel):
    level: int = 1

    @field_validator("level")
    @classmethod
    def check(cls, value):
        return {}["no level"]


def fails(*anything):
    raise KeyError("oh")


@hookimpl
def restorebench_restorers():
    card = lambda name, **facts: RestorerInfo(name=name, version="1", summary="Tests.", load="a:b", **facts)
    return [
        card("files", options=Files),
        card("nested", options=Nested),
        card("no-module", options="nowhere:Options"),
        card("no-model", options=int),
        card("bad-check", options=Broken),
        card("bad-resources", resources=fails),
    ]


@hookimpl
def restorebench_degradations():
    facts = {"version": "1", "summary": "Tests.", "load": "a:b", "stage": Stage.SENSOR}
    return [DegradationInfo(name="streaky", task=Task("streaky", "a", "b"), options=Nested, **facts)]


@hookimpl
def restorebench_detectors():
    return [DetectorInfo(name="strict", version="1", summary="Tests.", load="a:b", options=Strict)]


@hookimpl
def restorebench_datasets():
    card = lambda name, index: DatasetInfo(name=name, version="1", summary="Tests.", load="a:b", index=index)
    return [card("bad-index", fails), card("bad-samples", lambda *anything: ["a"])]


@hookimpl
def restorebench_metrics():
    protocols = (ScoringProtocol("rgb", "Plain."),)
    facts = {"version": "1", "summary": "Tests.", "load": "a:b", "higher_is_better": True, "protocols": protocols}
    return [MetricInfo(name="bad-metric", unavailable=fails, **facts)]
"""


@pytest.fixture
def made_here(tmp_path):
    path = tmp_path / "made_here.py"
    path.write_text(PLUGIN)
    found = discover([path])
    require_unbroken(found, [path])
    return found


def test_a_file_that_options_name_is_known_by_its_content(made_here, photographs):
    def with_files(weights, *parts):
        options = {"weights": str(photographs / weights), "parts": [str(photographs / part) for part in parts]}
        made = plan(made_here, photographs, restorers=[{"name": "files", "options": options}])
        return made.restorer_cells[0].digest

    (photographs / "one.pt").write_bytes(b"first")
    (photographs / "folder").mkdir()
    (photographs / "folder" / "a.bin").write_bytes(b"a")
    before = with_files("one.pt", "folder")
    (photographs / "one.pt").rename(photographs / "moved.pt")
    (photographs / "folder").rename(photographs / "other")
    assert with_files("moved.pt", "other") == before
    (photographs / "moved.pt").write_bytes(b"other")
    changed = with_files("moved.pt", "other")
    (photographs / "other" / "a.bin").write_bytes(b"b")
    assert (
        len({before, changed, with_files("moved.pt", "other"), with_files("gone.pt"), with_files("lost.pt")}) == 5
    )


def test_files_that_are_not_there_are_named_with_their_places(made_here, photographs):
    (photographs / "b.pt").touch()
    text = """
suite: test
datasets: [{name: synthetic, options: {clean: clean}}]
restorers:
- {name: files, options: {weights: gone.pt, parts: [b.pt, lost]}}
- {name: nested, options: {part: {file: far/c.pt}}}
"""
    made = build(suites.loads(text, "s.yaml", photographs), made_here, Request())
    assert list(made.missing) == [
        f"s.yaml:{where}: {photographs}/{name}: no such file or folder; correct the path"
        for where, name in (
            ("5:27: restorers[0].options.weights", "gone.pt"),
            ("5:59: restorers[0].options.parts[1]", "lost"),
            ("6:35: restorers[1].options.part.file", "far/c.pt"),
        )
    ]


def test_what_a_restorer_lacks_is_not_told_where_it_was_not_asked_for(made_here, photographs):
    restorers = ["identity", {"name": "files", "options": {"weights": "gone.pt"}}]
    made = plan(made_here, photographs, request=Request(restorers=("identity",)), restorers=restorers)
    assert made.missing == ()


def test_a_pipe_in_a_folder_of_weights_is_not_waited_for(made_here, photographs):
    (photographs / "folder").mkdir()
    os.mkfifo(photographs / "folder" / "a.bin")
    for given in ("folder", "folder/a.bin"):
        restorers = [{"name": "files", "options": {"weights": str(photographs / given)}}]
        with pytest.raises(MissingResource, match=r"a\.bin: is a pipe or a device, not a file"):
            plan(made_here, photographs, restorers=restorers)


def test_a_linked_folder_counts_by_what_it_holds(made_here, photographs):
    def digest():
        options = {"weights": str(photographs / "weights")}
        return (
            plan(made_here, photographs, restorers=[{"name": "files", "options": options}])
            .restorer_cells[0]
            .digest
        )

    for folder in ("weights", "elsewhere"):
        (photographs / folder).mkdir()
    (photographs / "weights" / "part").symlink_to(photographs / "elsewhere")
    (photographs / "elsewhere" / "a.bin").write_bytes(b"a")
    before = digest()
    (photographs / "elsewhere" / "a.bin").write_bytes(b"b")
    assert digest() != before


NESTED = {
    "by_name": {"a": ["weights/a.pt"]},
    "part": {"file": "b.pt", "title": "b.pt"},
    "several": [{"file": "c.pt"}, {"title": "d.pt"}],
    "pair": ["e.pt", "f.pt"],
    "either": "embedded",
}


def anchored_in(folder):
    return {
        "by_name": {"a": [f"{folder}/weights/a.pt"]},
        "part": {"file": f"{folder}/b.pt", "title": "b.pt"},
        "several": [{"file": f"{folder}/c.pt"}, {"title": "d.pt"}],
        "pair": ["e.pt", f"{folder}/f.pt"],
        "either": "embedded",
    }


def test_a_path_is_made_absolute_however_deep_it_lies(made_here, photographs):
    made = plan(made_here, photographs, restorers=[{"name": "nested", "options": NESTED}])
    assert made.suite.restorers[0].options == anchored_in(photographs)


def test_the_paths_of_degradations_are_made_absolute_too(made_here, photographs):
    options = {"clean": "clean", "degradations": {"streaky": NESTED}}
    made = plan(made_here, photographs, datasets=[{"name": "synthetic", "options": options}])
    assert made.suite.datasets[0].options == {
        "clean": f"{photographs}/clean",
        "degradations": {"streaky": anchored_in(photographs)},
    }


def test_a_home_folder_that_is_not_there_is_a_problem_with_its_place(made_here, photographs):
    options = {"part": {"file": "~nosuchuser/x.pt"}}
    with pytest.raises(
        SuiteError, match=r"restorers\[0\].options.part.file: ~nosuchuser/x.pt: .*write the path out"
    ):
        plan(made_here, photographs, restorers=[{"name": "nested", "options": options}])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"datasets": ["bad-index"]},
            "dataset 'bad-index' failed listing its samples of noisy: KeyError: 'oh' {}",
        ),
        ({"datasets": ["bad-samples"]}, "dataset 'bad-samples': `index` returned a str"),
        (
            {"restorers": ["no-module"]},
            r"'no-module' failed importing its options \(nowhere:Options\): .*'nowhere'",
        ),
        ({"restorers": ["no-model"]}, "'no-model' failed importing its options .*not a pydantic model"),
        (
            {"restorers": [{"name": "bad-check", "options": {"level": 2}}]},
            "'bad-check' failed checking its options: KeyError: 'no level' {}",
        ),
        ({"restorers": ["bad-resources"]}, "'bad-resources' failed naming its weights: KeyError: 'oh' {}"),
        ({"metrics": ["bad-metric"]}, "'bad-metric' failed saying whether it is available: KeyError: 'oh' {}"),
        (
            {"restorers": [{"name": "identity", "tell": "strict"}]},
            r"restorers\[0\].tell: detector 'strict': option 'level': .*list it under `detectors`",
        ),
    ],
)
def test_a_plugin_that_fails_while_planning_is_one_line(made_here, photographs, keys, message):
    with pytest.raises(RestorebenchError, match=message.format(r"\(.*made_here.py:\d+\)")) as caught:
        plan(made_here, photographs, **keys)
    assert "\n" not in str(caught.value)


def test_a_detectors_defaults_said_aloud_change_no_digest(catalog, photographs):
    said = {"name": "statistics", "resize": 1, "options": {"temperature": 1}}
    silent, aloud = (plan(catalog, photographs, detectors=[entry]) for entry in ("statistics", said))
    assert [cell.digest for cell in silent.detector_cells] == [cell.digest for cell in aloud.detector_cells]


def test_whole_defaults_of_options_said_aloud_change_no_digest(catalog, photographs):
    silent, aloud = (
        plan(catalog, photographs, detectors=[{"name": "daclip", "options": {"weights": "untrained", **said}}])
        for said in ({}, {"least": 0})
    )
    assert [cell.digest for cell in silent.detector_cells] == [cell.digest for cell in aloud.detector_cells]


def test_an_optional_detector_is_left_out_where_its_weights_are_not_there(
    catalog, photographs, tmp_path, monkeypatch
):
    monkeypatch.setenv("RESTOREBENCH_HOME", str(tmp_path))
    optional = {"name": "clip-zero-shot", "optional": True}
    made = plan(catalog, photographs, detectors=["statistics", optional])
    assert {cell.label for cell in made.detector_cells} == {"statistics"}
    name = "ViT-B-32-laion2b_s34b_b79k.safetensors"
    assert f"detector clip-zero-shot is optional and left out: {name} is not in {tmp_path}" in made.notes
    told = plan(
        catalog, photographs, detectors=[optional], restorers=[{"name": "classical", "tell": "clip-zero-shot"}]
    )
    assert {cell.label for cell in told.detector_cells} == {"clip-zero-shot"}, "somebody is told by it"
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / name).write_bytes(b"")
    made = plan(catalog, photographs, detectors=[optional])
    assert {cell.label for cell in made.detector_cells} == {"clip-zero-shot"}
    assert not [note for note in made.notes if "optional" in note]


def test_two_rows_of_one_name_are_refused(catalog, photographs):
    """A row is called NAME:TELL, so a label may look like one."""
    restorers = [{"name": "identity", "tell": "task"}, {"name": "identity", "label": "identity:task"}]
    with pytest.raises(SuiteError, match=r"restorers\[1\]: 'identity:task' is listed twice; give it a `label`"):
        plan(catalog, photographs, restorers=restorers)
