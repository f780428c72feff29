"""Rows of several published folders on one board."""

from __future__ import annotations

import fcntl
import json
import os
from hashlib import sha256

import pytest
from typer.testing import CliRunner

from restorebench.cli import app
from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.publishing import writing
from restorebench.publishing.add import add
from restorebench.publishing.folder import read_published
from restorebench.publishing.verdicts import State
from restorebench.publishing.verify import verify
from tests.host.publishing.conftest import HERE, SCALED, WITH_PLUGIN, with_manifest

COMPUTED = ("records.csv", "comparisons.csv", "leaderboard.csv", "samples.csv", "failures.csv")


def checksum(folder):
    return sha256((folder / "checksums.sha256").read_bytes()).hexdigest()


def test_a_joined_board_has_the_tables_of_a_run_with_all_rows(identity, scaled, tmp_path):
    add(identity, tmp_path)
    added = add(scaled, tmp_path)
    assert added.folder == tmp_path / "tiny" / "1" and added.rows == ("scaling",)
    for name in COMPUTED:
        assert (added.folder / name).read_bytes() == (scaled / name).read_bytes(), name
    assert sorted(p.name for p in added.folder.rglob("*.webp")) == sorted(p.name for p in scaled.rglob("*.webp"))


def test_a_joined_board_is_verified_like_any_other(folders, identity, scaled, tmp_path):
    add(identity, tmp_path)
    folder = add(scaled, tmp_path).folder
    done = verify(folder, images=1, data=folders.data, settings=WITH_PLUGIN)
    assert done.problems == () and done.notes == ()
    assert done.states == {State.REPRODUCED: 2}


def test_rows_that_are_there_are_not_doubled(identity, scaled, tmp_path):
    folder = add(scaled, tmp_path).folder
    before = checksum(folder)
    added = add(identity, tmp_path)
    assert added.rows == () and "identity is there already; the scores of its images differ by" in added.notes[0]
    assert "at most 0.000000" in added.notes[0] and checksum(folder) == before


def test_a_row_with_other_options_needs_another_name(folders, scaled, tmp_path):
    other = folders.made("other", "[{name: scaling, options: {factor: '${data}/0.8'}}]")
    folder = add(scaled, tmp_path).folder
    before = checksum(folder)
    with pytest.raises(RestorebenchError, match=r"row scaling is another one than in .*--as scaling=NEWNAME"):
        add(other, tmp_path)
    assert checksum(folder) == before
    assert add(other, tmp_path, names={"scaling": "darker"}).rows == ("darker",)
    board = read_published(folder)
    assert [cell.name for cell in board.board.cells] == ["identity", "scaling", "darker"]
    assert board.manifest["suite"]["restorers"][2]["label"] == "darker"
    assert len(list((folder / "images/synthetic/noisy/darker").iterdir())) == 6
    done = verify(folder, images=1, data=folders.data, settings=WITH_PLUGIN)
    assert done.problems == () and done.states == {State.REPRODUCED: 3}


def test_rows_told_by_a_detector_bring_the_detector(folders, identity, tmp_path):
    told = folders.made("told", "[{name: classical, tell: daclip-compact}]", detectors="[daclip-compact]")
    add(identity, tmp_path)
    added = add(told, tmp_path, names={"detector:daclip-compact": "seer"})
    assert added.rows == ("classical:seer",)
    assert (added.folder / "detections.csv").read_text().count("seer") == 6
    done = verify(added.folder, images=1, settings=HERE)
    assert done.problems == () and done.states == {State.REPRODUCED: 2}


def test_the_manifest_says_where_each_row_is_from(identity, scaled, tmp_path):
    add(identity, tmp_path, by="Ada")
    folder = add(scaled, tmp_path, by="Grace").folder
    provenance = json.loads((folder / "manifest.json").read_text())["provenance"]
    assert provenance["rows"] == {"identity": checksum(identity), "scaling": checksum(scaled)}
    facts = provenance["folders"][checksum(scaled)]
    here = json.loads((scaled / "manifest.json").read_text())
    assert facts["by"] == "Grace" and facts["versions"] == here["versions"] and facts["code"] == here["code"]
    assert facts["processor"] == here["processor"] and facts["published_with"] == here["published_with"]
    again = add(folder, tmp_path / "other", by="nobody").folder
    assert json.loads((again / "manifest.json").read_text())["provenance"] == provenance
    assert f"Grace with checksums {checksum(scaled)[:12]}" in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("name", "keys", "why"),
    [
        ("seed", {"seed": 1}, "its images are others: synthetic/noisy"),
        ("ssim", {"metrics": "[psnr, ssim]"}, "its columns are others: ssim@rgb"),
        ("tiled", {"tile": 32, "tile_overlap": 8}, "its suite has tile: 32, and the board has None"),
        ("short", {"limit": 2}, "is incomplete: first 2 of 6 images"),
        ("version", {"version": "'2'"}, "has version 1 of the suite, and the rows are of version 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(name, keys, why, folders, identity, tmp_path):
    folder = add(identity, tmp_path).folder
    before = checksum(folder)
    other = folders.made(name, f"[{SCALED}]", **keys)
    with pytest.raises(RestorebenchError, match=why) as refusal:
        add(other, tmp_path)
    assert "\n" not in str(refusal.value)
    assert checksum(folder) == before and sorted(p.name for p in tmp_path.rglob("*/manifest.json")) == [
        "manifest.json"
    ]


def test_another_version_begins_a_board_of_its_own_if_asked(folders, identity, tmp_path):
    other = folders.made("version", f"[{SCALED}]", version="'2'")
    add(identity, tmp_path)
    assert add(other, tmp_path, new_board=True).folder == tmp_path / "tiny" / "2"


def edited(file, old, new):
    def change(folder):
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new, 1))

    return change


def linked(folder):
    image = next((folder / "images/synthetic/noisy/scaling").iterdir())
    data = image.read_bytes()
    image.unlink()
    (folder.parent / "elsewhere").write_bytes(data)
    image.symlink_to(folder.parent / "elsewhere")


FORGED = {
    "edited": (edited("leaderboard.csv", "6,6,0,", "6,6,0,9"), False, "is not what its checksum says"),
    "recomputed": (edited("leaderboard.csv", "6,6,0,", "6,6,0,9"), True, "do not follow from its records"),
    "deleted": (lambda folder: (folder / "records.csv").unlink(), False, "is listed and missing"),
    "empty": (lambda folder: (folder / "manifest.json").write_text(""), True, "is not JSON"),
    "list": (lambda folder: (folder / "manifest.json").write_text("[]"), True, "no schema"),
    "types": (with_manifest(lambda about: about.update(cells=3)), True, "manifest.json: cells: "),
    "picks": (with_manifest(lambda about: about["suite"].update(restorers=[7])), True, "suite.restorers"),
    "no picks": (with_manifest(lambda about: about["suite"].update(restorers=[])), True, "does not list"),
    "climbs": (
        with_manifest(lambda about: about["suite"].update(suite="../../up")),
        True,
        "manifest.json: suite.suite",
    ),
    "two suites": (with_manifest(lambda about: about["facts"].update(suite="..")), True, "of another suite"),
    "provenance": (with_manifest(lambda about: about.update(provenance=[1])), True, "provenance"),
    "link": (linked, True, "is a link"),
}


@pytest.mark.faults
@pytest.mark.parametrize("name", FORGED)
def test_a_folder_that_is_not_true_is_refused(name, scaled, identity, changed, tmp_path):
    change, with_checksums, why = FORGED[name]
    folder = add(identity, tmp_path / "results").folder
    before = checksum(folder)
    with pytest.raises(RestorebenchError, match=why):
        add(changed(scaled, change, with_checksums), tmp_path / "results")
    assert checksum(folder) == before


def test_a_board_that_is_not_true_takes_no_rows(identity, scaled, tmp_path):
    folder = add(identity, tmp_path).folder
    (folder / "README.md").write_text("mine")
    with pytest.raises(RestorebenchError, match=r"README.md is not what its checksum says"):
        add(scaled, tmp_path)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"scalling": "x"}, "has identity, scaling"),
        ({"scaling": "identity"}, "choose another name"),
        ({"scaling": "a:b"}, "without a colon"),
        ({"scaling": "task"}, "choose another name"),
        ({"detector:scaling": "x"}, "has identity, scaling"),
    ],
)
def test_a_name_that_cannot_be_given_is_refused(names, why, scaled, tmp_path):
    with pytest.raises(RestorebenchError, match=why):
        add(scaled, tmp_path, names=names)


def test_a_board_that_cannot_be_written_stays_as_it_was(identity, scaled, tmp_path, monkeypatch):
    folder = add(identity, tmp_path).folder
    before = checksum(folder)

    def full(folder):
        raise OSError(28, "No space left on device", str(folder))

    monkeypatch.setattr(writing, "checksums", full)
    with pytest.raises(RestorebenchError, match="No space left on device"):
        add(scaled, tmp_path)
    assert checksum(folder) == before and [path.name for path in folder.parent.iterdir()] == ["1"]


def test_nothing_is_written_into_a_published_folder(identity, scaled, tmp_path):
    board = add(identity, tmp_path).folder
    before = sorted(board.rglob("*"))
    with pytest.raises(RunFolderError, match=f"inside the published folder {board}; give --to another folder"):
        add(scaled, board)
    assert sorted(board.rglob("*")) == before


def test_two_commands_do_not_write_one_board(identity, scaled, tmp_path):
    folder = add(identity, tmp_path).folder
    held = os.open(folder.parent, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(RestorebenchError, match="another command adds rows"):
        add(scaled, tmp_path)
    os.close(held)
    assert add(scaled, tmp_path).rows == ("scaling",)


def test_the_command_says_what_it_added(scaled, tmp_path):
    arguments = ["results", "add", str(scaled), "--to", str(tmp_path), "--as", "scaling=mine", "--by", "Ada"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "added identity, mine" in done.output and str(tmp_path / "tiny" / "1") in done.output
