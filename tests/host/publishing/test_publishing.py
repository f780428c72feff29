"""Published folders: what is in them, what is refused, and what verifying finds."""

from __future__ import annotations

import json
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from restorebench.contract.errors import PublishedFolderError, RestorebenchError, RunFolderError, SuiteError
from restorebench.contract.values import SampleInfo
from restorebench.journal import journal as journals
from restorebench.publishing import images
from restorebench.publishing.folder import read_published
from restorebench.publishing.instructions import older
from restorebench.publishing.layout import CHECKSUMS, MANIFEST, SIGNATURE
from restorebench.publishing.publish import publish
from restorebench.publishing.verdicts import State
from restorebench.runner import execute, prepare
from restorebench.suite.settings import Request, Settings
from restorebench.toolbox.files import file_digest
from restorebench.toolbox.variables import variables_set
from tests.host.publishing import forgeries
from tests.host.publishing.forgeries import KINDS, PLUGIN, forged, published, sign_again, verified

TABLES = ("leaderboard", "comparisons", "records", "cost", "failures", "detectors", "labels", "confusion")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a finished run, its data, and the folder that was published of it."""
    folder = tmp_path_factory.mktemp("publishing")
    published(forgeries.made_run(folder), folder / "results")
    return folder


@pytest.fixture
def honest(home):
    return home / "results" / "forged" / "1"


@pytest.fixture
def copy(honest, tmp_path):
    folder = tmp_path / "forged" / "1"
    shutil.copytree(honest, folder)
    return folder


def test_the_tables_are_those_of_the_run(home, honest):
    for name in TABLES:
        if (home / "run" / f"{name}.csv").exists():
            assert (honest / f"{name}.csv").read_bytes() == (home / "run" / f"{name}.csv").read_bytes()
    assert (honest / "leaderboard.csv").exists() and (honest / "samples.csv").exists()
    assert "## Verify them" in (honest / "README.md").read_text()


def test_the_checksums_are_those_that_sha256sum_reads(honest):
    done = subprocess.run(
        ["sha256sum", "--check", "--quiet", CHECKSUMS], cwd=honest, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert f"{file_digest(honest / 'records.csv')}  records.csv\n" in (honest / CHECKSUMS).read_text()


def test_no_path_of_this_machine_is_published(home, honest):
    for path in honest.rglob("*"):
        if path.is_file():
            assert str(home).encode() not in path.read_bytes() or path.name in ("records.csv", "failures.csv"), (
                path
            )


def test_the_folder_alone_gives_every_row(home, honest, tmp_path):
    shutil.copytree(honest, tmp_path / "alone")
    found = verified(tmp_path / "alone", tmp_path / "without data")
    assert found.problems == ()
    assert all(row.state is State.RECOMPUTED for row in found.rows if row.row[2] == "scaling")
    assert "factor.txt: no such file" in found.notes[0]


def test_every_honest_row_is_reproduced(home, honest):
    found = verified(honest, home)
    assert found.problems == ()
    assert found.states == {State.REPRODUCED: len(found.rows)}
    assert all(row.images == row.of and row.greatest == 0 for row in found.rows)


def test_what_an_older_processor_published_is_reproduced_from_this_process_too(tmp_path):
    with variables_set(older()[-1]):
        run = forgeries.made_run(tmp_path, workers=1)  # in a process that starts with these instructions
    assert not verified(published(run, tmp_path / "results", 0), tmp_path).problems


def test_a_spot_check_draws_by_its_word(home, honest):
    one, same = (verified(honest, home, images=1, word="a") for _ in range(2))
    assert one == same
    assert one.word == "a" and all(row.images < row.of for row in one.rows)
    zero = verified(honest, home, images=0)
    assert len(zero.word) == 8 and zero.states[State.RESCORED] > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_forgery_is_found(kind, home, honest, tmp_path):
    if kind == "a re-signed folder" and shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen")
    try:
        found = verified(forged(kind, honest, home, 1), home)
    finally:
        (home / "data" / "factor.txt").write_text("1.1")
    assert found.problems
    assert all(problem.file for problem in found.problems)


def test_without_new_checksums_each_file_is_named(copy, home):
    (copy / "cost.csv").write_text((copy / "cost.csv").read_text() + "\n")
    (copy / "samples.csv").rename(copy / "more.csv")
    shutil.copy(copy / "more.csv", copy / "samples.csv")
    (copy / "executions.csv").touch()
    said = [str(problem) for problem in verified(copy, home, images=0).problems]
    assert "cost.csv: is not what its checksum says" in said
    assert f"more.csv: is not listed in {CHECKSUMS}" in said


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        (CHECKSUMS, "", "manifest"),
        (CHECKSUMS, "no line", "checksums.sha256:1: is no line"),
        (CHECKSUMS, "0" * 64 + "  ../x\n", "checksums.sha256:1: is no line"),
        (MANIFEST, "{", "is not JSON"),
        (MANIFEST, "[]", "is not published"),
        (MANIFEST, '{"schema": 99}', "has schema 99"),
        (MANIFEST, '{"schema": 1}', "has no 'suite'"),
        ("records.csv", "", "has no column 'task'"),
        ("records.csv", "\0\0", "has no column"),
        ("samples.csv", "dataset,task,sample,scene,kind\na,b\n", "samples.csv:2: 2 cells"),
        ("executions.csv", "task\n", "has no column"),
        ("detections.csv", "task,dataset,detector,sample,status,reason,labels\nx,y,z,s,ok,,\n", "detections.csv"),
    ],
)
def test_a_damaged_folder_is_one_line(name, text, reason, copy, home, call):
    if name == CHECKSUMS and not text:
        (copy / MANIFEST).unlink()
    (copy / name).write_text(text)
    if name != CHECKSUMS:
        sign_again(copy)
    with pytest.raises(PublishedFolderError, match=reason) as raised:
        verified(copy, home)
    assert "\n" not in str(raised.value)


def test_a_negative_number_of_images_is_refused(home, honest, tmp_path):
    with pytest.raises(RestorebenchError, match="images is -1; give 0 or more, or None for all"):
        verified(honest, home, images=-1)
    with pytest.raises(RestorebenchError, match="image_megabytes is nan; give 0 or more"):
        publish(home / "run", tmp_path, image_megabytes=float("nan"))


def test_a_run_is_no_published_folder(home, call):
    code, _, said = call("verify", home / "run")
    assert code == 2 and "checksums.sha256 cannot be read" in said


@pytest.mark.parametrize(
    ("height", "width", "fits"), [(16383, 10, True), (10, 16384, False), (16000, 12000, False)]
)
def test_images_that_webp_cannot_hold_are_left_out(height, width, fits):
    assert images._fits(SampleInfo("a", height, width, "", "a", "captured")) is fits


def test_what_is_published_stays_unless_told(home, honest, tmp_path):
    target = published(home / "run", tmp_path)
    (target / "mark").touch()
    with pytest.raises(RunFolderError, match="exists; raise the version of the suite, or give --replace"):
        published(home / "run", tmp_path)
    assert (target / "mark").exists()
    publish(home / "run", tmp_path, incomplete=True, replace_existing=True, plugins=(PLUGIN,))
    assert not (target / "mark").exists()
    assert [path.name for path in target.parent.iterdir()] == ["1"]


def test_a_run_with_failures_is_refused(home, tmp_path):
    with pytest.raises(RunFolderError, match=r"\d images? failed; give --incomplete"):
        publish(home / "run", tmp_path, plugins=(PLUGIN,))
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_not_finished_is_refused(home, tmp_path):
    shutil.copytree(home / "run", tmp_path / "run")
    with journals.opened(tmp_path / "run") as journal, journal._connection:
        journal._connection.execute("DELETE FROM outcomes WHERE sample LIKE 'coffee%'")
    with pytest.raises(RunFolderError, match="images are not run yet; run its suite again"):
        published(tmp_path / "run", tmp_path / "results")


def test_a_shortened_run_is_refused_and_a_changed_suite_too(tmp_path):
    settings = Settings(out=tmp_path / "run", workers=0, request=Request(tasks=("noisy",), limit=1))
    few = ["restorers=[identity]", "detectors=[]"]
    execute(prepare("quickstart", chosen := _with(settings, few)), chosen)
    with pytest.raises(RunFolderError, match="1 of 10 tasks, first 1 of 6 images; give --incomplete"):
        publish(tmp_path / "run", tmp_path / "results")
    assert publish(tmp_path / "run", tmp_path / "results", incomplete=True).folder.is_dir()
    chosen = _with(Settings(out=tmp_path / "seed", workers=0, request=settings.request), [*few, "seed=1"])
    execute(prepare("quickstart", chosen), chosen)
    with pytest.raises(SuiteError, match="seed is 1, and 0 in the bundled suite quickstart version"):
        publish(tmp_path / "seed", tmp_path / "other", incomplete=True)
    assert not list((tmp_path / "other").rglob("*.csv"))


def _with(settings, overrides):
    from dataclasses import replace

    return replace(settings, overrides=tuple(overrides))


def test_the_command_line_verifies_several_folders_and_prints_json(home, honest, copy, call):
    (copy / "cost.csv").write_text("task\n")
    arguments = ["--images", "0", "--data", home / "data", "--plugin", PLUGIN, "--workers", "0", "--quiet"]
    code, said, _ = call("verify", honest, *arguments)
    assert code == 0 and "rows" in said and "rescored" in said
    code, said, _ = call("verify", honest, copy, *arguments)
    assert code == 3 and "cost.csv: is not what its checksum says" in said
    code, said, _ = call("verify", honest, *arguments, "--json")
    (found,) = json.loads(said)
    assert found["problems"] == [] and {"task", "row", "state", "images", "of"} <= set(found["rows"][0])


def test_the_command_line_publishes(home, tmp_path, call):
    arguments = ["--to", tmp_path / "x", "--plugin", PLUGIN, "--images", "0.005"]
    assert call("publish", home / "run", *arguments)[0] == 2
    code, said, beside = call("publish", home / "run", *arguments, "--incomplete")
    assert code == 0 and said.strip() == str(tmp_path / "x" / "forged" / "1")
    assert "more would take over 0.005 MB" in beside
    assert sum(path.stat().st_size for path in (tmp_path / "x").rglob("*.webp")) <= 5000


@pytest.fixture
def keys(tmp_path):
    """Two keys, and a file that allows the first of them."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("needs ssh-keygen")
    for name in ("one", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    public = (tmp_path / "one.pub").read_text().split()
    (tmp_path / "allowed").write_text(f"ada@example.org {public[0]} {public[1]}\n")
    return tmp_path


def test_a_signature_names_its_signer(home, keys, tmp_path):
    sign = {"incomplete": True, "plugins": (PLUGIN,), "image_megabytes": 0}
    folder = publish(home / "run", tmp_path / "results", key=keys / "one", **sign).folder
    found = verified(folder, home, images=0, signers=keys / "allowed")
    assert found.signed_by == "ada@example.org" and found.problems == ()
    other = publish(home / "run", tmp_path / "theirs", key=keys / "other", **sign).folder
    (problem,) = verified(other, home, images=0, signers=keys / "allowed").problems
    assert problem.file == SIGNATURE and "is signed by none of those" in str(problem)
    (folder / SIGNATURE).unlink()
    (problem,) = verified(folder, home, images=0, signers=keys / "allowed").problems
    assert "is not signed" in str(problem)


def test_reading_gives_what_was_written(home, honest):
    found = read_published(honest)
    assert found.board.suite == "forged" and len(found.cells) == len(found.board.cells)
    assert (
        sum(len(cell.outcomes) for cell in found.cells)
        == len((honest / "records.csv").read_text().splitlines()) - 1
    )


def test_one_image_is_restored_again_down_to_its_pixels(home, copy, call):
    arguments = ["--data", home / "data", "--plugin", PLUGIN, "--workers", "0"]
    code, said, _ = call("verify", copy, "--cell", "hazy/classical:task/coffee@3", *arguments)
    assert code == 0 and "psnr@rgb: published" in said
    assert "all 1024 pixels are those of the published image" in said
    (victim,) = (copy / "images").rglob("hazy/classical_task*/coffee@3.0.webp")
    pixels = np.asarray(Image.open(victim)).copy()
    pixels[5, 7, 1] ^= 1
    Image.fromarray(pixels).save(victim, "WEBP", lossless=True, exact=True)
    code, said, _ = call("verify", copy, "--cell", "synthetic/hazy/classical:task/coffee@3", *arguments)
    assert code == 3 and "1 of 1024 pixels differ; the first in row 5, column 7:" in said
    code, _, said = call("verify", copy, "--cell", "hazy/classical:task/cofee@3", *arguments)
    assert code == 2 and "nearest: hazy/classical:task/coffee@3" in said
