"""One contract for all engines, whatever becomes of their processes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from restorebench.contract.errors import DeviceError, RestorebenchError
from restorebench.engine import choosing, environment
from restorebench.engine.events import Done, Loaded, Note
from restorebench.engine.ray.actor import Answer, GroupActor, Surroundings
from restorebench.engine.stopping import Stop
from restorebench.guest.processes import descendants
from restorebench.runner import execute, prepare
from restorebench.suite.settings import Request, Settings
from restorebench.worker.jobs import CellSpec, DatasetSpec, Job, MethodSpec, Setup
from tests.waiting import command_line, left_of, lives, wait_for

PLUGINS = Path(__file__).parents[1] / "plugins"
ENGINES = {
    "in-process": {"workers": 0},
    "local-1": {"workers": 1},
    "local-2": {"workers": 2},
    "ray-2": {"workers": 2, "engine": "ray"},
}
IN_ANY_PROCESS = {
    "identity": ["", "", ""],
    "airnet-compact": ["", "", ""],
    "returns-wrong-shape": ["contract: restore returned shape (1, 3, 16, 15), not (1, 3, 16, 16)"] * 3,
    "fails-to-load": ["error: while loading: OSError: weights are gone"] * 3,
}
IN_ITS_OWN = {  # each takes seconds: test_faults has these and others with one worker
    "crashes-on-bright": ["", "", "crash: exit code 7"],
    "hangs-on-bright": ["", "", "timeout: more than 1 s for one image"],
}


@pytest.fixture(scope="module")
def address():
    """A Ray with two CPUs, for all tests here: it takes seconds to start."""
    pytest.importorskip("ray")
    from restorebench.engine.ray import cluster as ray_cluster

    with ray_cluster.started(2) as found:
        yield found


@pytest.fixture
def settings_of(request):
    """Give the settings of an engine by its name; Ray's is started when it is first asked for."""

    def find(name):
        chosen = ENGINES[name]
        return {**chosen, "address": request.getfixturevalue("address")} if "engine" in chosen else chosen

    return find


@pytest.fixture(scope="module")
def known():
    """Rows of the tables by restorer, as the first engine wrote them."""
    return {}


def rows(folder, name, restorer):
    return [line for line in (folder / name).read_text().splitlines() if restorer in line.split(",")]


def actors():
    """List the processes of actors that this one, or what it started, has started."""
    return [
        process
        for process in descendants(os.getpid())
        if lives(process) and "ray::GroupActor" in command_line(process)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", ENGINES)
def test_engines_do_the_same_with_the_same_events_failures_and_bytes(run, tmp_path, settings_of, known, name):
    settings = settings_of(name)
    expected = IN_ANY_PROCESS | IN_ITS_OWN if settings["workers"] == 2 else IN_ANY_PROCESS
    before = set(descendants(os.getpid()))
    result, events = run([*expected], settings=settings, limits={"image_seconds": 1})
    records = result.tables.records
    assert {name: list(records[records.restorer == name].reason) for name in expected} == expected
    done = Counter((r.digest, r.sample) for e in events if isinstance(e, Done) for r in e.records)
    assert len(done) == 3 * len(expected) and set(done.values()) == {1}
    loaded = {event.cell.name for event in events if isinstance(event, Loaded)}
    assert loaded == expected.keys() - {"fails-to-load"}
    for table in ("records.csv", "leaderboard.csv"):
        for restorer in expected:
            written = rows(tmp_path / "run", table, restorer)
            assert written and written == known.setdefault((table, restorer), written)
    mine = set(descendants(os.getpid())) - before
    assert left_of(process for process in mine if "restorebench.worker" in command_line(process)) == []
    assert left_of(actors()) == []


@pytest.mark.slow
def test_actors_that_are_killed_cost_one_group_each_and_no_number(run, tmp_path, monkeypatch, address):
    monkeypatch.setenv("RESTOREBENCH_TEST_TALLY", str(tmp_path / "tally"))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    monkeypatch.setenv("RESTOREBENCH_TEST_SECONDS", "0.3")
    suite = {
        "restorers": ["counting", "global-affine"],
        "plugins": ("counting.py",),
        "datasets": [{"name": "synthetic", "options": {"crop": 48}}],
    }
    run(**suite, out="straight", settings={"workers": 1})
    (tmp_path / "tally").unlink()
    killed = []

    def kill(event):
        """Kill an actor after two groups, and another after two more."""
        if isinstance(event, Done) and event.job.cell.name == "counting":
            kill.groups += 1
            if kill.groups in (2, 4):
                killed.append(actors()[0])
                os.kill(killed[-1], signal.SIGKILL)
        elif isinstance(event, Note) and "actor was lost" in event.text:
            kill.notes += 1

    kill.groups = kill.notes = 0
    ray = {"workers": 2, "engine": "ray", "address": address}
    result, _ = run(**suite, out="killed", watch=kill, settings=ray)
    assert result.failed == 0
    assert len(set(killed)) == kill.notes == 2
    images = len(result.tables.records) // 2
    tally = (tmp_path / "tally").read_text().split()
    assert len(set(tally)) == images
    assert len(tally) <= images + len(killed)
    for table in ("records.csv", "leaderboard.csv"):
        assert (tmp_path / "killed" / table).read_bytes() == (tmp_path / "straight" / table).read_bytes()


@pytest.mark.slow
def test_a_group_that_ends_every_actor_is_a_failure_and_others_go_on(run, monkeypatch, address, ray_engine):
    monkeypatch.setattr(ray_engine, "LOST_ATTEMPTS", 0)
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")
    ray = {"workers": 1, "engine": "ray", "address": address, "request": Request(limit=1)}
    result, _ = run(["ends-its-supervisor", "identity"], settings=ray)
    records = result.tables.records.set_index("restorer")
    assert records.loc["ends-its-supervisor"].reason == "killed: its actor was lost 1 time"
    assert records.loc["identity"].reason == ""


@pytest.mark.slow
def test_after_a_sigkill_of_the_driver_nothing_of_ray_remains_and_a_run_continues(pairs, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    tally, suite, plugin = tmp_path / "tally", tmp_path / "s.yaml", PLUGINS / "counting.py"
    # the first group of a cell whose cost is not known runs before all others
    shutil.copytree(pairs / "noisy", pairs / "rainy")
    suite.write_text(
        "suite: s\ntasks: [noisy, rainy]\nrestorers: [counting]\nmetrics: [psnr]\nclean_inputs: false\n"
        f"datasets: [{{name: paired-folder, options: {{path: {pairs}}}}}]\n"
    )
    monkeypatch.setenv("RESTOREBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RESTOREBENCH_TEST_TALLY", str(tally))
    monkeypatch.setenv("RESTOREBENCH_CONFINED", "0")  # the plugin writes that file
    monkeypatch.setenv("RESTOREBENCH_TEST_SECONDS", "600")
    command = [
        sys.executable,
        "-m",
        "restorebench",
        "run",
        suite,
        "--out",
        tmp_path / "killed",
        "--plugin",
        plugin,
    ]
    driver = subprocess.Popen([*command, "--device", "cpu", "--engine", "ray", "--workers", "2", "-q"])
    wait_for(lambda: tally.exists() and len(tally.read_text().split()) == 2)
    started = descendants(driver.pid)
    commands = [command_line(process) for process in started]
    folders = {found[0] for text in commands if (found := re.search(r"/tmp/restorebench-ray-\w+", text))}
    assert len(folders) == 1
    # Each of the two has its guard, server and guest.
    assert sum("restorebench.worker" in text for text in commands) == 2 * 4
    driver.kill()
    driver.wait()
    assert left_of(started) == []
    assert not Path(*folders).exists()
    monkeypatch.setenv("RESTOREBENCH_TEST_SECONDS", "0")
    for out in ("killed", "straight"):
        settings = Settings(out=tmp_path / out, workers=0, device="cpu", plugins=[plugin])
        execute(prepare(str(suite), settings), settings)
    for table in ("records.csv", "leaderboard.csv"):
        assert (tmp_path / "killed" / table).read_bytes() == (tmp_path / "straight" / table).read_bytes()


def test_a_run_with_nothing_left_to_do_starts_no_ray(run, monkeypatch):
    pytest.importorskip("ray")
    from restorebench.engine.ray import cluster as ray_cluster

    run(["identity"], settings={"workers": 0})
    monkeypatch.delattr(ray_cluster, "started")
    result, events = run(["identity"], settings={"workers": 2, "engine": "ray"})
    assert (result.failed, [event for event in events if isinstance(event, Done)]) == (0, [])


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"engine": "rey"}, "--engine rey: there is no such engine; use local or ray"),
        ({"address": "auto"}, "--address is for --engine ray"),
        ({"gpus_per_worker": 1}, "--gpus-per-worker is for --engine ray"),
        ({"engine": "ray", "workers": 0}, "--workers 0 runs in this very process"),
    ],
)
def test_options_that_no_engine_takes_are_refused(settings, complaint):
    with pytest.raises(RestorebenchError, match=complaint):
        choosing.chosen(Settings(**settings))


def test_a_lack_of_ray_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "restorebench.engine.ray.engine", raising=False)
    monkeypatch.delattr("restorebench.engine.ray.engine", raising=False)
    with pytest.raises(RestorebenchError, match=r"^--engine ray needs ray: pip install 'restorebench\[ray\]'$"):
        choosing.chosen(Settings(engine="ray"))


# ---------------------------------------------------------------- what the driver of actors decides, without a Ray


@pytest.fixture
def ray_engine():
    pytest.importorskip("ray")
    from restorebench.engine.ray import engine as ray_engine

    return ray_engine


@pytest.fixture
def ray_resources():
    pytest.importorskip("ray")
    from restorebench.engine.ray import resources as ray_resources

    return ray_resources


@pytest.mark.parametrize(
    ("gpus", "workers", "device", "asked", "share"),
    [
        (0, 4, "auto", None, 0),
        (4, 4, "auto", None, 1),
        (8, 4, "auto", None, 1),
        (2, 3, "auto", None, 0.5),  # two thirds would leave the third worker without a place
        (1, 3, "cuda:0", None, 0.3333),
        (4, 4, "cpu", None, 0),
        (4, 4, "auto", 0.25, 0.25),
        (4, 4, "auto", 0, 0),
    ],
)
def test_workers_share_gpus_so_that_each_finds_a_place(ray_resources, gpus, workers, device, asked, share):
    settings = Settings(engine="ray", device=device, workers=workers, gpus_per_worker=asked)
    assert ray_resources.gpus_per_worker(settings, gpus) == share


@pytest.mark.parametrize(
    ("gpus", "device", "asked", "complaint"),
    [
        (2, "cuda:1", None, "Ray chooses among GPUs"),
        (2, "cpu", 1, "--gpus-per-worker 1 is of no use with --device cpu"),
        (0, "cuda:0", None, "--device cuda:0: this Ray has no GPU"),
        (0, "auto", 0.5, "--gpus-per-worker 0.5: this Ray has no GPU"),
        (2, "cuda:0", 0, "--gpus-per-worker 0 leaves no GPU to --device cuda"),
    ],
)
def test_a_device_that_ray_cannot_give_is_refused(ray_resources, gpus, device, asked, complaint):
    with pytest.raises(DeviceError, match=complaint):
        ray_resources.gpus_per_worker(Settings(engine="ray", device=device, gpus_per_worker=asked), gpus)


def test_an_actor_asks_for_the_memory_that_its_plugins_were_seen_to_take(ray_resources, monkeypatch):
    there = {"CPU": 4.0, "GPU": 0.0, "memory": 8.0 * 2**30}
    monkeypatch.setattr(ray_resources.ray, "cluster_resources", lambda: there)
    told = Setup("run", 2, "auto", {}, "cache", True, peak_mib=700.5)
    asked = ray_resources.needs(Settings(workers=2), told)
    assert asked == {"num_cpus": 1.8, "num_gpus": 0, "memory": 701 * 2**20}
    assert ray_resources.described(asked) == "1.8 CPUs and 0 GPUs, 0.7 GiB"
    assert ray_resources.described() == "4 CPUs and 0 GPUs, 8.0 GiB"
    assert "memory" not in ray_resources.needs(Settings(workers=2), replace(told, peak_mib=None))
    there["GPU"] = 1.0
    assert ray_resources.needs(Settings(workers=2), told) == {"num_cpus": 1.8, "num_gpus": 0.5}


def test_workers_without_a_place_are_told_of_once_and_end_a_run_that_has_no_other(ray_engine, monkeypatch):
    there = {"CPU": 1.0, "memory": 2.0**30}
    monkeypatch.setattr(ray_engine.ray, "cluster_resources", lambda: there)
    made = ray_engine._Actors(Setup("run", 1, "cpu", {}, "cache", True), Settings(engine="ray", workers=2), Stop())
    made._needs = {"num_cpus": 0.9, "num_gpus": 0, "memory": 3 * 2**30}
    made._heard = time.monotonic()
    made._actors = [ray_engine._Actor(number, None, None) for number in range(2)]
    assert list(made._report_waiting()) == []
    made._actors[1].began -= 61
    asked = "an actor with 0.9 CPUs and 0 GPUs, 3.0 GiB; it has 1 CPU and 0 GPUs, 1.0 GiB"
    told = [note.text for note in made._report_waiting()]
    assert told == [f"Ray has found no place yet for 1 of 2 workers: for {asked}"]
    assert list(made._report_waiting()) == []
    made._heard -= 601
    with pytest.raises(RestorebenchError, match=f"Ray found no place in 601 s for {asked}"):
        list(made._report_waiting())
    made._actors[0].host = "node7"
    assert list(made._report_waiting()) == []


def test_an_address_where_nobody_listens_is_one_line(ray_engine):
    from restorebench.engine.ray import cluster as ray_cluster

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        complaint = f"^--address {address}: no Ray answers there: Connection refused$"
        with pytest.raises(RestorebenchError, match=complaint), ray_cluster.joined(address):
            pass


def test_a_machine_without_the_versions_is_named(ray_engine):
    from restorebench.engine.ray.trouble import require_same

    here = environment.installed()
    with pytest.raises(RestorebenchError, match=r"^node7 has numpy 1\.0, not .*, scipy missing, not "):
        require_same(Surroundings("node7", {**here, "numpy": "1.0", "scipy": ""}, ()))
    require_same(Surroundings("node7", here, ()))


def test_losing_actors_without_a_group_in_between_ends_the_run(ray_engine, monkeypatch):
    monkeypatch.setattr(ray_engine.ray, "kill", lambda handle: None)
    made = ray_engine._Actors(Setup("run", 1, "cpu", {}, "cache", True), Settings(engine="ray", workers=2), Stop())

    def lose():
        made._actors.append(ray_engine._Actor(0, None, None))
        return made._replace(made._actors[0], ray_engine.RayError("the node is gone\n  in a\n  trace"))

    notes = [lose() for _ in range(10)]
    assert {note.text for note in notes} == {"an actor was lost, and is replaced: the node is gone trace"}
    with pytest.raises(RestorebenchError, match="Ray lost 11 actors and no group came back in between"):
        lose()


def test_an_actor_answers_with_what_its_supervisor_met(monkeypatch, tmp_path):
    """What the user has to mend comes back as data: Ray would wrap an exception in a trace."""
    monkeypatch.chdir(tmp_path)
    actor = GroupActor(Setup(str(tmp_path), 1, "cuda:0", {}, "cache", True), 0, str(tmp_path), {})

    def run(jobs):
        yield Note("first")
        actor._supervisor.queues.spend(jobs[0], 2.0)
        raise DeviceError("no such device")

    monkeypatch.setattr(actor._supervisor, "run", run)
    cell = CellSpec(
        "digest",
        "restorer",
        "identity",
        "identity",
        {},
        {},
        DatasetSpec("d", "d", {}, "noisy", 0, 1),
        MethodSpec("", ""),
    )
    answer = actor.run(Job(cell, (0,), ("a",), "restore"), 0.0)
    assert answer == Answer((Note("first"),), 2.0, error=("DeviceError", "no such device"))
