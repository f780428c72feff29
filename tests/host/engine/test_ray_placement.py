"""Machines that do not see the driver's files get them once, and what they make comes back."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.engine.ray.actor import GroupActor
from restorebench.engine.ray.placement import Placement, glimpse, sees
from restorebench.guest.processes import descendants
from restorebench.runner import prepare
from restorebench.schedule.files import inputs
from restorebench.suite.settings import Settings
from restorebench.toolbox.files import files_below
from restorebench.worker.jobs import CellSpec, DatasetSpec, Job, MethodSpec, Setup
from tests.waiting import wait_for

PLUGINS = Path(__file__).parents[1] / "plugins"
APART = ["unshare", "--map-root-user", "--mount", "--uts"]

DATA = DatasetSpec("d", "d", {}, "noisy", 0, 1)


def left_by(folder):
    """Read what a run leaves and what must not depend on who ran it."""
    tables = [folder / name for name in ("records.csv", "leaderboard.csv", "failures.csv")]
    images = [file for part in ("outputs", "samples") for file in files_below(folder / part)]
    return {str(file.relative_to(folder)): file.read_bytes() for file in [*tables, *images]}


# ---------------------------------------------------------------- two machines


@pytest.fixture(scope="module")
def apart(tmp_path_factory):
    """A Ray of two: this machine, which has no CPU to give, and `node7`, which sees nothing of the folder `data`.

    Gives (address, data, folder of node7's cache).
    """
    pytest.importorskip("ray")
    if not shutil.which("unshare") or subprocess.run([*APART, "true"], capture_output=True).returncode:
        pytest.skip("nobody may hide folders from a process here (unshare --mount)")
    data, own = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("node7")
    short = Path(subprocess.check_output(["mktemp", "-d", "/tmp/apart-XXXXXX"], text=True).strip())
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    start = f"{Path(sys.executable).with_name('ray')} start --block --disable-usage-stats"
    head = f"{start} --head --port {port} --num-cpus 0 --include-dashboard false --temp-dir {short}"
    hidden = (
        f"hostname node7 && mount -t tmpfs none {data} && exec {start} --num-cpus 2 --address 127.0.0.1:{port}"
    )
    environment = {**os.environ, "RESTOREBENCH_HOME": str(own), "RAY_AUTH_MODE": "disabled"}
    started = []
    try:
        for command in (["sh", "-c", f"exec {head}"], [*APART, "sh", "-c", hidden]):
            with (short / "log").open("ab") as log:
                started.append(
                    subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
                )
            wait_for(lambda: (short / "log").read_text().count("Ray runtime started") >= len(started))
        yield f"127.0.0.1:{port}", data, own
    finally:
        for process in reversed(started):
            for each in [*descendants(process.pid), process.pid]:  # asked politely they take half a minute
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            process.wait(60)
        shutil.rmtree(short, ignore_errors=True)


SUITE = """
suite: s
tasks: [noisy]
datasets: [{name: paired-folder, options: {path: pairs}}]
restorers: [{name: scaling, options: {factor: factor.txt}}, identity]
metrics: [psnr]
clean_inputs: false
save: all
samples: 1
"""


@pytest.fixture
def restorebench(apart, pairs):
    """Run a suite of which node7 sees nothing: data, plugin, the file that an option names, run folder.

    In a process of its own: Ray keeps for ever whether it was first told to ask for a token.
    """
    address, data, _ = apart
    shutil.copytree(pairs, data / "pairs", dirs_exist_ok=True)
    shutil.copy(PLUGINS / "scaling.py", data)
    (data / "factor.txt").write_text("0.9")
    (data / "s.yaml").write_text(SUITE)

    def carry_out(out, *options):
        there = ["--engine", "ray", "--address", address, "--workers", "2"] if out == "there" else []
        command = [sys.executable, "-m", "restorebench", "run", "s.yaml", "--plugin", "scaling.py", "--out", out]
        return subprocess.run(
            [*command, "--device", "cpu", *there, *options],
            cwd=data,
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},
            capture_output=True,
            text=True,
        )

    return carry_out


@pytest.mark.slow
def test_a_machine_that_sees_nothing_leaves_the_same_bytes(restorebench, apart):
    _, data, own = apart
    assert restorebench("here").returncode == 3
    done = restorebench("there")
    assert done.returncode == 3, done.stderr  # one image fails
    told = f"node7 does not see {data}/there and 3 more: sent there, unless it was before"
    assert done.stderr.count(told) == 1
    assert f"ValueError: {data}/factor.txt is too much" in (data / "there" / "records.csv").read_text()
    assert left_by(data / "there") == left_by(data / "here")
    logs = [file.read_text() for file in files_below(data / "there" / "logs")]
    assert any("is too much" in log for log in logs)
    before = {file: file.stat().st_mtime_ns for file in files_below(own / "placed" / "files")}
    for out in ("here", "there"):  # what was saved is scored, and nothing sent again
        assert restorebench(out, "--set", "metrics=[psnr, ssim]").returncode == 3
    assert b",ssim@rgb" in (data / "there" / "leaderboard.csv").read_bytes()
    assert left_by(data / "there") == left_by(data / "here")
    assert {file: file.stat().st_mtime_ns for file in files_below(own / "placed" / "files")} == before
    assert not [file for file in files_below(own / "placed") if file.suffix == ".part"]


# ---------------------------------------------------------------- the parts, without a Ray


class Folder:
    """Gives files of this machine, and counts what it is asked for."""

    def __init__(self, *given):
        pytest.importorskip("ray")
        from restorebench.engine.ray.source import Source

        self._source = Source([str(path) for path in given])
        self.read_from = Counter()

    def items(self, paths):
        return self._source.items(paths)

    def read(self, path, start):
        self.read_from[path] += 1
        time.sleep(0.02)
        return self._source.read(path, start)


def setup(tmp_path, **told):
    known = {"run_folder": str(tmp_path / "run"), "roots": {}, "cache": str(tmp_path / "cache")} | told
    return Setup(threads=1, device="cpu", offline=True, **known)


@pytest.fixture
def weights(tmp_path):
    """Two files of weights in a driver's cache, and a folder of data with a link that leads nowhere."""
    for name in ("cache/weights/a.pth", "cache/weights/b.pth", "data/set/x.png", "data/set/y.png"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "data" / "set" / "gone").symlink_to("nowhere")
    return [str(tmp_path / "cache" / "weights" / name) for name in ("a.pth", "b.pth")]


def test_paths_lead_to_what_was_sent_and_back(tmp_path, weights):
    data = str(tmp_path / "data" / "set")
    told = setup(tmp_path, inputs=(*weights, data), roots={"data": str(tmp_path / "data")})
    place = Placement(told, (weights[0], data), Folder(tmp_path), tmp_path / "own")
    here = place.setup(tmp_path / "own")
    assert here.run_folder == told.run_folder
    # What the machine sees of the cache comes too: weights are looked for in one folder.
    assert {file.name for file in files_below(Path(here.cache))} == {"a.pth", "b.pth"}
    assert here.roots == {"data": f"{place.tree}{tmp_path}/data"}
    cell = CellSpec(
        "d",
        "restorer",
        "x",
        "x",
        {"at": [data, "data/set"]},
        {f"file:{data}/x.png": "code"},
        DATA,
        MethodSpec(f"file:{data}/x.png", ""),
    )
    moved = place.here(Job(cell, (0,), ("a",), "restore"))
    assert moved.cell.options == {"at": [f"{place.tree}{data}", "data/set"]}
    assert moved.cell.sources == {f"file:{place.tree}{data}/x.png": "code"}
    assert moved.cell.method.source == f"file:{place.tree}{data}/x.png"
    assert Path(moved.cell.options["at"][0], "y.png").read_text() == "data/set/y.png"
    assert place.there(moved) == Job(cell, (0,), ("a",), "restore")


def test_actors_of_one_machine_fetch_a_file_once(tmp_path, weights):
    source = Folder(tmp_path)
    told = setup(tmp_path, inputs=tuple(weights))
    found = []

    def settle():
        found.append(Placement(told, weights, source, tmp_path / "own").tree)

    threads = [threading.Thread(target=settle) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(set(found)) == 1
    assert source.read_from == dict.fromkeys(weights, 1)
    (tmp_path / "cache" / "weights" / "b.pth").write_text("other")
    later = Folder(tmp_path)
    assert Placement(told, weights, later, tmp_path / "own").tree != found[0]
    assert later.read_from == {weights[1]: 1}


def test_a_file_that_changes_while_it_is_sent_is_refused(tmp_path, weights):
    class Changing(Folder):
        def read(self, path, start):
            return super().read(path, start).swapcase()

    with pytest.raises(RestorebenchError, match=r"a\.pth: changed while it was sent; the same command again"):
        Placement(setup(tmp_path, inputs=tuple(weights)), weights, Changing(tmp_path), tmp_path / "own")
    assert not list((tmp_path / "own" / "placed" / "files").iterdir())


def test_files_of_others_are_not_given(tmp_path, weights):
    source = Folder(tmp_path / "data")
    for path in (weights[0], f"{tmp_path}/data/../cache/weights/a.pth", "/etc/passwd"):
        with pytest.raises(RestorebenchError, match="is not one of the run's files"):
            source.read(path, 0)


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path, weights):
    (tmp_path / "own").write_text("a file")
    actor = GroupActor(setup(tmp_path, inputs=tuple(weights)), 0, str(tmp_path), {})
    actor._own_cache = tmp_path / "own"
    kind, message = actor.settle(weights, Folder(tmp_path)).error
    assert kind == "RestorebenchError"
    assert message.startswith(f"{tmp_path}/own/placed") and "make room there, or set RESTOREBENCH_HOME" in message
    assert "\n" not in message


def test_a_full_disk_under_a_run_folder_of_its_own_is_told_with_the_place_to_make_room(tmp_path, monkeypatch):
    told = setup(tmp_path)
    actor = GroupActor(told, 0, str(tmp_path), {})
    actor._own_cache = tmp_path / "own"
    actor.settle([told.run_folder], Folder(tmp_path))

    def run(jobs):
        yield from ()
        raise RunFolderError(
            f"{actor._placement.scratch}/outputs: No space left on device; give --out another folder"
        )

    monkeypatch.setattr(actor._supervisor, "run", run)
    answer = actor.run(
        Job(CellSpec("d", "restorer", "x", "x", {}, {}, DATA, MethodSpec("", "")), (0,), ("a",), "restore"), 0.0
    )
    assert answer.error == (
        "RunFolderError",
        f"{told.run_folder}/outputs: No space left on device; give --out another folder, or make room in"
        f" {tmp_path}/own/placed/runs, which replaces it there",
    )


def test_run_folders_of_actors_that_are_gone_are_removed(tmp_path, weights):
    told = setup(tmp_path)
    first = Placement(told, [told.run_folder], Folder(tmp_path), tmp_path / "own")
    second = Placement(told, [told.run_folder], Folder(tmp_path), tmp_path / "own")
    (second.scratch / "outputs").mkdir()
    (second.scratch / "outputs" / "a.png").write_text("image")
    (second.scratch / "logs").mkdir()
    (second.scratch / "logs" / "worker-0.log").write_text("log")
    assert second.take_written() == {"outputs/a.png": b"image"}
    assert second.take_written() == {}
    assert second.there(f"at {second.scratch}/outputs") == f"at {told.run_folder}/outputs"
    gone = first.scratch
    del first  # and with it its lock
    third = Placement(told, [told.run_folder], Folder(tmp_path), tmp_path / "own")
    assert not gone.exists() and second.scratch.exists() and third.scratch.exists()


def test_a_folder_with_something_else_in_it_is_not_the_same(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        (folder / "images").mkdir(parents=True)
        for number in range(250):
            (folder / f"{number}.png").write_text("x" * number)
    seen = glimpse(str(here))
    assert len(seen) < 126
    assert sees(str(there), seen)
    (there / "new").touch()
    assert sees(str(there), seen)
    (there / "0.png").write_text("longer")
    assert not sees(str(there), seen)
    assert not sees(str(tmp_path / "nothing"), seen)
    assert not sees(str(there), glimpse(str(here / "3.png")))


def test_a_folder_of_empty_folders_is_not_the_same(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for name in ("hazy/GT", "hazy/LQ", "noisy/GT", "noisy/LQ"):
        for folder in (here, there):
            (folder / name).mkdir(parents=True)
        for number in range(100):
            (here / name / f"{number}.png").write_text("image")
    seen = glimpse(str(here))
    assert len(seen) < 126
    assert not sees(str(there), seen)
    shutil.copytree(here, there, dirs_exist_ok=True)
    assert sees(str(there), seen)
    (here / "itself").symlink_to(here)
    assert len(glimpse(str(here))) < 126


def test_a_machine_on_which_the_run_folder_cannot_be_looked_at_does_not_see_it(tmp_path):
    told = setup(tmp_path)
    actor = GroupActor(told, 0, str(tmp_path), {})
    assert actor.surroundings(str(tmp_path / ("x" * 300)), {}).missing == (told.run_folder,)


def test_folders_named_with_two_dots_and_empty_ones_come_too(tmp_path, weights):
    (tmp_path / "empty").mkdir()
    dots, empty = f"{tmp_path}/cache/../data/set", str(tmp_path / "empty")
    place = Placement(setup(tmp_path), (dots, empty), Folder(dots, empty), tmp_path / "own")
    assert {file.name for file in Path(place.here(dots)).iterdir()} == {"x.png", "y.png"}
    assert list(Path(place.here(empty)).iterdir()) == []
    assert sees(empty, glimpse(empty)) and not sees(f"{empty}/not", glimpse(empty))
    with pytest.raises(RestorebenchError, match="is not one of the run's files"):
        Folder(dots).read(f"{dots}/../../cache/weights/a.pth", 0)


def test_what_was_deleted_of_a_tree_comes_again_and_nothing_else(tmp_path, weights):
    told = setup(tmp_path, inputs=tuple(weights))
    tree = Placement(told, weights, Folder(tmp_path), tmp_path / "own").tree
    kept = {file.read_text(): file for file in files_below(tmp_path / "own" / "placed" / "files")}
    for file in (Path(f"{tree}{weights[0]}"), kept["cache/weights/a.pth"]):
        file.unlink()
    part = kept["cache/weights/a.pth"].with_name(f"{kept['cache/weights/a.pth'].name}.part")
    part.touch(0o444)  # by one that was killed
    again = Folder(tmp_path)
    assert Placement(told, weights, again, tmp_path / "own").tree == tree
    assert again.read_from == {weights[0]: 1}
    assert Path(f"{tree}{weights[0]}").read_text() == "cache/weights/a.pth"


def test_inputs_are_what_options_sources_and_the_cache_hold(tmp_path, pairs):
    suite = tmp_path / "s.yaml"
    (tmp_path / "factor.txt").write_text("1")
    suite.write_text(
        "suite: s\ntasks: [noisy]\nmetrics: [psnr]\n"
        "restorers: [identity, {name: scaling, options: {factor: factor.txt}}]\n"
        "datasets: [{name: paired-folder, options: {path: '${data}'}}]\n"
    )
    plugin = PLUGINS / "scaling.py"
    settings = Settings(plugins=[plugin], data=pairs)
    plan = prepare(str(suite), settings)
    assert set(inputs(plan, tmp_path)) == {str(plugin), str(tmp_path / "factor.txt"), str(pairs)}
