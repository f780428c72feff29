"""A disk that is full, read-only or gone ends a command with one line, and the run goes on where it stopped.

Root writes where permissions forbid it: a small file system and a read-only mount are used where mounting
is allowed, else a limit on the size of files and /proc, which takes no files from anybody.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from restorebench.contract.errors import RunFolderError
from restorebench.engine.events import Done
from tests.publishing import publish

pytestmark = pytest.mark.faults

SUITE = """
suite: small
tasks: [noisy]
datasets: [{name: paired-folder, options: {path: pairs}}]
restorers: [identity, classical]
metrics: [psnr]
clean_inputs: false
save: all
samples: 3
"""
RUN = ("run", "s.yaml", "--workers", "0", "--quiet", "--device", "cpu", "--out")


def mounted(*arguments: object) -> bool:
    command = ["mount", *map(str, arguments)]
    return shutil.which("mount") is not None and subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def disk(tmp_path):
    """A disk of so many KiB: returns its folder and how to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def small(kib: int):
        if mounted("-t", "tmpfs", "-o", f"size={kib}k", "none", folder):
            return folder, lambda: mounted("-o", "remount,size=64m", folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (kib * 1024, before[1]))
        return folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield small
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    subprocess.run(["umount", str(folder)], capture_output=True, check=False)


@pytest.fixture
def read_only(tmp_path):
    """A folder that takes no file, not even root's."""
    folder = tmp_path / "fixed"
    folder.mkdir()
    if mounted("-t", "tmpfs", "-o", "ro,size=64k", "none", folder):
        yield folder
        subprocess.run(["umount", str(folder)], capture_output=True, check=False)
    else:
        yield Path("/proc")


@pytest.mark.parametrize("kib", [8, 64, 128, 160, 192])
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(call, pairs, disk, tmp_path, observe, kib):
    (tmp_path / "s.yaml").write_text(SUITE)
    folder, enlarge = disk(kib)
    code, _, told = call(*RUN, folder / "run")
    line = told.strip()
    assert code == 2, line
    assert "Traceback" not in told
    assert len(line.splitlines()) == 1 and line.startswith("restorebench: ") and str(folder) in line
    if "o space left" in line:
        assert "of this run take" in line
    enlarge()
    assert call(*RUN, folder / "run")[0] == 0
    assert call(*RUN, tmp_path / "undisturbed")[0] == 0
    for name in ("leaderboard.csv", "records.csv"):
        assert (folder / "run" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    observe("exit 2, then 0", line)


IN = ("--workers", "0")
COMMANDS = {
    "run": lambda place: (*RUN, place / "run"),
    "restore": lambda place: ("restore", "pairs/noisy/LQ", "-o", place / "out", "-m", "identity", *IN),
    "degrade": lambda place: ("degrade", "pairs/noisy/GT", "-o", place / "out", "-t", "noisy", "--workers", "0"),
    "detect": lambda place: ("detect", "pairs/noisy/LQ", "--csv", place / "found.csv", "--workers", "0"),
    "score": lambda place: (
        "score", "pairs/noisy/LQ", "pairs/noisy/GT", "--csv", place / "scores.csv", "--workers", "0"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_read_only_folder_is_one_line(call, pairs, read_only, tmp_path, command):
    (tmp_path / "s.yaml").write_text(SUITE)
    code, _, told = call(*COMMANDS[command](read_only))
    assert code == 2
    assert len(told.strip().splitlines()) == 1 and str(read_only) in told


def test_a_figure_for_a_read_only_folder_is_one_line(call, read_only, tmp_path):
    publish(tmp_path / "made")
    code, _, told = call("plot", "gains", "made", "-o", read_only / "f.json")
    assert code == 2
    assert len(told.strip().splitlines()) == 1 and str(read_only) in told


def test_a_figure_on_a_full_disk_is_one_line_and_leaves_no_half(call, disk, tmp_path):
    publish(tmp_path / "made")
    folder, _ = disk(4)
    code, _, told = call("plot", "gains", "made", "-o", folder / "f.json")
    assert code == 2
    assert len(told.strip().splitlines()) == 1 and str(folder) in told
    assert not any(folder.iterdir())


@pytest.mark.parametrize("command", ["restore", "degrade"])
def test_results_on_a_full_disk_are_one_line(call, pairs, disk, command):
    folder, _ = disk(1)
    (folder / "filled").write_bytes(b"")
    code, _, told = call(*COMMANDS[command](folder))
    if code == 0:  # a page holds one small file
        pytest.fail("the disk is not small enough")
    assert code == 2
    assert "Traceback" not in told and str(folder) in told.strip().splitlines()[-1]


@pytest.mark.parametrize("what", ["the whole folder", "its outputs", "its logs"])
def test_a_folder_that_is_removed_while_the_run_goes_on(run, tmp_path, observe, what):
    folder = {"the whole folder": ".", "its outputs": "outputs", "its logs": "logs"}[what]

    def remove(event):
        if isinstance(event, Done):
            shutil.rmtree(tmp_path / "run" / folder, ignore_errors=True)

    try:
        result, _ = run(["identity"], save="all", watch=remove, settings={"workers": 0})
    except RunFolderError as error:
        assert what == "the whole folder"
        assert len(str(error).splitlines()) == 1
    else:
        assert result.failed == 0
        assert (tmp_path / "run" / "records.csv").is_file()


def test_an_input_that_is_removed_while_the_run_goes_on_is_one_line(run, pairs, tmp_path):
    from restorebench.contract.errors import RestorebenchError

    def remove(event):
        (pairs / "noisy" / "LQ" / "c-bright.png").unlink(missing_ok=True)

    with pytest.raises(RestorebenchError) as caught:
        run(["identity"], watch=remove, settings={"workers": 0})
    assert len(str(caught.value).splitlines()) == 1 and "c-bright" in str(caught.value)
