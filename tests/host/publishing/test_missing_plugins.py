"""Verify a folder without the plugins, files or versions of some of its rows: all other rows are verified."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from restorebench.publishing.verdicts import State
from restorebench.publishing.verify import verify
from restorebench.suite.settings import Settings
from tests.host.publishing.conftest import HERE, WITH_PLUGIN, with_manifest


def states(done):
    return {verdict.row[2]: verdict.state for verdict in done.rows}


def test_a_row_of_a_plugin_that_is_not_here_is_noted(folders, scaled):
    done = verify(scaled, images=1, data=folders.data, settings=HERE)
    assert done.problems == ()
    assert states(done) == {"identity": State.REPRODUCED, "scaling": State.RECOMPUTED}
    (note,) = done.notes
    assert note.startswith("row scaling was not run again: no restorer called 'scaling'") and "--plugin" in note


def test_with_its_plugin_it_is_reproduced(folders, scaled):
    done = verify(scaled, images=1, data=folders.data, settings=WITH_PLUGIN)
    assert done.problems == () and done.notes == ()
    assert states(done) == {"identity": State.REPRODUCED, "scaling": State.REPRODUCED}


def test_a_false_score_of_such_a_row_is_found_where_the_plugin_is(folders, scaled, changed):
    def better(folder):
        lines = (folder / "records.csv").read_text().splitlines(keepends=True)
        lines = [line.replace(",0,scaling,nothing,,", ",0,scaling,nothing,,9") for line in lines]
        (folder / "records.csv").write_text("".join(lines))

    folder = changed(scaled, better)
    assert any(
        problem.file == "leaderboard.csv" for problem in verify(folder, data=folders.data, settings=HERE).problems
    )
    found = [
        p for p in verify(folder, data=folders.data, settings=WITH_PLUGIN).problems if p.file == "records.csv"
    ]
    assert found and all("scaling" in problem.line for problem in found)


@pytest.mark.parametrize(
    ("what", "change", "note"),
    [
        ("code", lambda about: about["code"].update({"scaling.py": "0" * 16}), "scaling.py has other code here"),
        (
            "options",
            lambda about: about["suite"]["restorers"][1]["options"].update(strength=2),
            "its options are not those that restorer scaling has here",
        ),
    ],
)
def test_a_plugin_of_another_version_is_noted(what, change, note, folders, scaled, changed):
    def everywhere(folder):
        with_manifest(change)(folder)
        suite = json.loads((folder / "manifest.json").read_text())["suite"]
        (folder / "suite.yaml").write_text(json.dumps(suite))  # JSON is YAML

    done = verify(changed(scaled, everywhere), images=1, data=folders.data, settings=WITH_PLUGIN)
    assert done.problems == ()
    assert states(done) == {"identity": State.REPRODUCED, "scaling": State.RECOMPUTED}
    assert note in done.notes[0]


def test_a_row_whose_file_is_not_here_is_noted(folders, scaled, changed):
    def elsewhere(folder):
        text = (folder / "suite.yaml").read_text()
        assert "factor: " in text
        about = json.loads((folder / "manifest.json").read_text())
        about["suite"]["restorers"][1]["options"]["factor"] = "/nowhere/factor"
        (folder / "manifest.json").write_text(json.dumps(about))
        (folder / "suite.yaml").write_text(json.dumps(about["suite"]))

    done = verify(changed(scaled, elsewhere), images=1, data=folders.data, settings=WITH_PLUGIN)
    assert done.problems == ()
    assert states(done) == {"identity": State.REPRODUCED, "scaling": State.RECOMPUTED}
    assert "/nowhere/factor" in done.notes[0]


def test_digests_of_another_version_are_noted_by_row(folders, scaled, changed):
    def older(about):
        for cell in (*about["cells"], *about["facts"]["cells"]):
            if cell["restorer"] == "scaling":
                cell["digest"] = "0" * 16
        about["provenance"] = {
            "folders": {"a": {"versions": about["versions"]}, "b": {"versions": {"restorebench": "0.0.1"}}},
            "rows": {"identity": "a", "scaling": "b"},
        }

    done = verify(changed(scaled, with_manifest(older)), images=0, data=folders.data, settings=WITH_PLUGIN)
    assert any("made with 0.0.1" in note for note in done.notes)
    assert [problem for problem in done.problems if problem.column == "digest"] == []


def test_without_the_data_folder_what_needs_none_of_it_is_verified(scaled, monkeypatch):
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    done = verify(scaled, images=1, settings=WITH_PLUGIN)
    assert done.problems == ()
    assert states(done) == {"identity": State.REPRODUCED, "scaling": State.RECOMPUTED}
    assert "${data}/0.9: no such file or folder" in done.notes[1] and done.notes == (
        "${data} is not set: give --data DIR or set RESTOREBENCH_DATA",
        "rows were not restored again: " + done.notes[1].split(": ", 1)[1],
    )


def test_without_the_images_of_a_suite_the_tables_are_verified(folders, monkeypatch):
    monkeypatch.delenv("RESTOREBENCH_DATA", raising=False)
    photographs = folders.data / "photographs"
    photographs.mkdir(exist_ok=True)
    for number in range(2):
        Image.fromarray(np.full((24, 24, 3), 80 + 50 * number, np.uint8)).save(photographs / f"{number}.png")
    options = "{clean: '${data}/photographs', severities: [3]}"
    folder = folders.made("own", "[identity]", datasets=f"[{{name: synthetic, options: {options}}}]")
    done = verify(folder, settings=HERE)
    assert done.problems == () and states(done) == {"identity": State.RECOMPUTED}
    assert done.notes[0].startswith("${data} is not set") and "${data}/photographs" in done.notes[1]
    done = verify(folder, data=folders.data, settings=HERE)
    assert done.problems == () and done.notes == () and states(done) == {"identity": State.REPRODUCED}
    monkeypatch.setenv("RESTOREBENCH_DATA", str(folders.data))
    done = verify(folder, settings=HERE)
    assert done.problems == () and done.notes == ()


def test_a_suite_that_is_not_the_one_of_the_manifest_is_a_problem(folders, scaled, changed):
    def other(folder):
        text = (folder / "suite.yaml").read_text()
        (folder / "suite.yaml").write_text(text.replace("threads: 1", "threads: 2"))

    done = verify(changed(scaled, other), images=0, data=folders.data, settings=HERE)
    assert [str(problem) for problem in done.problems] == ["suite.yaml: is not the suite of the manifest"]


WEIGHING = """
from restorebench import RestorerInfo, WeightFile, hookimpl
from restorebench.toolbox import weights

FILE = WeightFile("mine/factor.txt", "https://example.org/factor.txt", "MIT", 3)


class Weighing:
    def __init__(self, options, runtime):
        self.factor = float(weights.fetch(FILE, runtime).read_text())

    def restore(self, batch):
        return batch.degraded * self.factor


@hookimpl
def restorebench_restorers():
    files = lambda options: [FILE]
    return [RestorerInfo(name="weighing", version="1", summary="Scales.", load=Weighing, resources=files)]
"""


def test_a_row_whose_weights_are_not_here_is_noted(folders, tmp_path, monkeypatch):
    plugin, full = tmp_path / "weighing.py", tmp_path / "full"
    plugin.write_text(WEIGHING)
    (full / "weights" / "mine").mkdir(parents=True)
    (full / "weights" / "mine" / "factor.txt").write_text("0.9")
    monkeypatch.setenv("RESTOREBENCH_HOME", str(full))
    folder = folders.made("weighing", "[identity, weighing]", plugin=plugin)
    settings = Settings(workers=0, device="cpu", plugins=(plugin,))
    assert states(verify(folder, images=1, settings=settings))["weighing"] == State.REPRODUCED
    monkeypatch.setenv("RESTOREBENCH_HOME", str(tmp_path / "empty"))
    done = verify(folder, images=1, settings=settings)
    assert done.problems == ()
    assert states(done) == {"identity": State.REPRODUCED, "weighing": State.RECOMPUTED}
    assert done.notes[0].startswith("row weighing was not run again: its weights mine/factor.txt are not in")
