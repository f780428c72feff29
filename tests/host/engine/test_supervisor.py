"""What the supervisor decides, seen with workers that only pretend."""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import pytest

from restorebench.contract.errors import DeviceError
from restorebench.engine import supervisor
from restorebench.engine.child import visible_devices
from restorebench.engine.events import Done
from restorebench.engine.queues import Queues, Work
from restorebench.engine.supervisor import Supervisor
from restorebench.guest import channel
from restorebench.guest.messages import Told
from restorebench.records import DetectionRecord, Record
from restorebench.worker.jobs import CellSpec, ColumnSpec, DatasetSpec, Job, MethodSpec, Setup
from restorebench.worker.messages import (
    Detected,
    Failed,
    Greeting,
    Ready,
    Recorded,
    answer_from,
    request_from,
    written,
)
from tests.failing import failure

METHOD = MethodSpec("plugin.py", "")


def cell(name="identity", **facts):
    dataset = DatasetSpec("d", "d", {}, "noisy", 0, 9)
    return CellSpec(f"digest-of-{name}", "restorer", name, name, {}, {"data.py": ""}, dataset, METHOD, **facts)


def job(place=0, count=1, of=None, mode="restore"):
    places = tuple(range(place, place + count))
    return Job(of or cell(), places, tuple(f"s{p}" for p in places), mode, told=(None,) * count)


def setup(device="auto", **limits):
    return Setup("run", 1, device, {}, "cache", True, limits)


class Pretender:
    """A worker that is there at once and restores every image it is given."""

    devices: tuple[str, ...] = ("cpu",)
    withheld: Mapping[str, str] = MappingProxyType({})
    started: list[Pretender]

    def __init__(self, log, threads, visible_devices):
        self.reading, self._writing = os.pipe()
        self.started.append(self)
        self._answer(Greeting(tuple(self.devices)))

    def _answer(self, message):
        channel.send(self._writing, written(message))

    def send(self, request):
        if isinstance(request, CellSpec):
            self._answer(Ready(None))
        elif isinstance(request, Job):
            self._answer(self.restored(request))

    def send_ahead(self, request):
        self.send(request)
        return True

    def restored(self, job):
        return Recorded(tuple(Record(job.cell.digest, name, 0, "ok") for name in job.ids), 100)

    def receive(self):
        raw = channel.receive(self.reading)
        return None if raw is None else answer_from(raw)

    def finish(self):
        os.close(self.reading)
        os.close(self._writing)

    kill = finish


@pytest.fixture
def pretenders(monkeypatch):
    def prepare(*devices):
        kind = type("Prepared", (Pretender,), {"devices": ("cpu", *devices), "started": []})
        monkeypatch.setattr(supervisor, "Child", kind)
        return kind.started

    return prepare


@pytest.mark.parametrize("devices", [(), ("cuda:0",), ("cuda:0", "cuda:1")])
def test_a_worker_stays_for_every_job_of_its_plugin(pretenders, tmp_path, devices):
    started = pretenders(*devices)
    with Supervisor(setup(), 1, tmp_path) as running:
        events = list(running.run([job(0), job(1), job(2)]))
    assert [event.records[0].sample for event in events if isinstance(event, Done)] == ["s0", "s1", "s2"]
    assert len(started) == 1


@pytest.mark.parametrize("devices", [(), ("cuda:0",)])
def test_a_worker_that_has_grown_is_replaced_and_no_job_is_lost_or_done_twice(pretenders, tmp_path, devices):
    started = pretenders(*devices)

    class Growing(supervisor.Child):
        def restored(self, job):
            return replace(super().restored(job), resident_mib=100 * 10 ** job.samples[0])

    with pytest.MonkeyPatch.context() as patch, Supervisor(setup(), 1, tmp_path) as running:
        patch.setattr(supervisor, "Child", Growing)
        events = list(running.run([job(number) for number in range(5)]))
    assert [event.records[0].sample for event in events if isinstance(event, Done)] == [f"s{n}" for n in range(5)]
    assert len(started) > 1


@pytest.mark.parametrize(
    ("quick", "fits", "most"), [(float("inf"), True, 2), (0.0, True, 1), (float("inf"), False, 1)]
)
def test_after_a_quick_group_the_next_is_sent_before_the_driver_has_its_answer(
    pretenders, tmp_path, monkeypatch, quick, fits, most
):
    pretenders()
    monkeypatch.setattr(supervisor, "_QUICK_SECONDS", quick)
    waiting, seen = [], []

    class Noting(supervisor.Child):
        def send(self, request):
            if isinstance(request, Job):
                waiting.append(request)
                seen.append(len(waiting))
            super().send(request)

        def send_ahead(self, request):
            return fits and super().send_ahead(request)

        def receive(self):
            answer = super().receive()
            if isinstance(answer, Recorded):
                waiting.pop(0)
            return answer

    monkeypatch.setattr(supervisor, "Child", Noting)
    with Supervisor(setup(), 1, tmp_path) as running:
        events = list(running.run([job(number) for number in range(6)]))
    assert [event.records[0].sample for event in events if isinstance(event, Done)] == [f"s{n}" for n in range(6)]
    assert max(seen) == most


def test_methods_share_a_worker_as_each_has_a_guest_of_its_own(pretenders, tmp_path):
    jobs = [job(of=cell("one")), job(of=cell("two"))]
    for devices in [(), ("cuda:0",)]:
        started = pretenders(*devices)
        with Supervisor(setup(), 1, tmp_path) as running:
            list(running.run(jobs))
        assert len(started) == 1


@pytest.mark.parametrize("ending", ["SIGSEGV", "SIGKILL", "failed"])
def test_what_fails_slowly_uses_up_the_time_of_its_task(pretenders, tmp_path, monkeypatch, ending):
    pretenders()

    def work(self, request):
        if isinstance(request, CellSpec):
            self._answer(Ready(None))
        elif isinstance(request, Job):
            time.sleep(0.05)
            if ending == "failed":
                self._answer(Failed(failure("error: slow")))
            else:
                os.close(self._writing)
                self._writing = os.open(os.devnull, os.O_WRONLY)

    monkeypatch.setattr(Pretender, "send", work)
    monkeypatch.setattr(Pretender, "log", "worker.log", raising=False)
    monkeypatch.setattr(Pretender, "death", lambda self: ending, raising=False)
    with Supervisor(setup(plugin_seconds=0.12), 1, tmp_path) as running:
        events = list(running.run([job(place) for place in range(5)]))
    reasons = [event.records[0].reason for event in events if isinstance(event, Done)]
    assert len(reasons) == 5
    assert reasons[-1] == "timeout: more than 0.12 s for this task"


WRONG = {
    "another image": lambda job: Recorded((Record(job.cell.digest, "s7", 0, "ok"),), 100),
    "another cell": lambda job: Recorded((Record("d", job.ids[0], 0, "ok"),), 100),
    "another repetition": lambda job: Recorded((Record(job.cell.digest, job.ids[0], 1, "ok"),), 100),
    "too few": lambda job: Recorded((), 100),
    "detections": lambda job: Detected((DetectionRecord(job.cell.digest, job.ids[0], "ok"),), 100),
    "not now": lambda job: Ready(None),
    "greets again": lambda job: Greeting(("cpu",)),
}


@pytest.mark.faults
@pytest.mark.parametrize("wrong", WRONG)
def test_an_answer_to_something_else_is_a_crash_of_its_image_alone(pretenders, tmp_path, monkeypatch, wrong):
    """A plugin may write on its worker's channel: what it claims of other images or cells is not believed."""
    pretenders()
    honest = Pretender.restored
    monkeypatch.setattr(
        Pretender,
        "restored",
        lambda self, job: (WRONG[wrong] if job.samples == (1,) else partial(honest, self))(job),
    )
    monkeypatch.setattr(Pretender, "log", "worker.log", raising=False)
    monkeypatch.setattr(Pretender, "death", lambda self: "it sent what is no answer", raising=False)
    monkeypatch.setattr(Pretender, "distrust", lambda self: None, raising=False)
    with Supervisor(setup(), 1, tmp_path) as running:
        events = list(running.run([job(place) for place in range(3)]))
    found = {event.records[0].sample: event.records[0].reason for event in events if isinstance(event, Done)}
    assert found == {"s0": "", "s1": "crash: it sent what is no answer", "s2": ""}


@pytest.mark.parametrize(
    "raw",
    [
        {},
        {"type": "job"},
        {"type": ["ready"]},
        {"type": "ready", "parameters": "many"},
        {"type": "greeting", "devices": "cpu"},
        {"type": "recorded", "records": [{"digest": 7}], "resident_mib": 1},
        {"type": "failed", "failure": {"kind": "boredom", "message": "x"}},
        {"type": "refused", "error": "E"},
    ],
)
def test_what_is_no_answer_is_refused(raw):
    with pytest.raises(ValueError):
        answer_from(raw)


@pytest.mark.faults
@pytest.mark.parametrize("body", [b"{", b"5", b"null", b"[1]", b'"text"', b"[" * 50_000, b"\xff"])
def test_what_a_plugin_writes_into_the_pipe_is_no_message(body):
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        os.write(writing, struct.pack(">I", len(body)) + body[:60_000])
        os.close(writing)
        assert channel.receive(reading, 5) is None
    finally:
        os.close(reading)


def test_messages_come_back_as_they_were_sent():
    told = (Told(("noisy",), {"noisy": 1.0}),)
    columns = (ColumnSpec("psnr@rgb", "psnr", "rgb"),)
    work = Job(cell(columns=columns), (3,), ("s3",), "restore", told=told)
    for request in (work, work.cell, setup(image_seconds=3.0)):
        assert request_from(json.loads(json.dumps(written(request)))) == request
    kept = Record("d", "s3", 0, "ok", scores={"psnr@rgb": float("inf")}, unscored={"x": failure("error: x")})
    for answer in (
        Greeting(("cpu", "cuda:0")),
        Ready(7),
        Recorded((kept,), 5.0),
        Detected((DetectionRecord("d", "s3", "failed", failure("timeout: slow")),), 5.0),
        Failed(failure("contract: x")),
    ):
        assert answer_from(json.loads(json.dumps(written(answer)))) == answer


def test_a_device_that_is_not_there_stops_the_run(pretenders, tmp_path):
    pretenders()
    with pytest.raises(DeviceError, match="--device cuda:0"), Supervisor(setup("cuda:0"), 1, tmp_path) as running:
        list(running.run([job()]))


@pytest.mark.parametrize(
    ("device", "shown", "worker", "gpus", "expected"),
    [
        ("cpu", None, 0, 0, ""),
        ("auto", None, 0, 0, None),
        ("auto", None, 3, 2, "1"),
        ("auto", "4,6", 1, 2, "6"),
        ("cuda:1", None, 0, 0, "1"),
        ("cuda:1", "4,6", 0, 0, "6"),
        ("cuda:2", "4,6", 0, 0, ""),
        ("cuda:0", "", 0, 0, ""),
        ("auto", "", 0, 0, None),
    ],
)
def test_devices_count_among_those_that_the_driver_sees(monkeypatch, device, shown, worker, gpus, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if shown is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", shown)
    assert visible_devices(device, worker, gpus) == expected


# ---------------------------------------------------------------- queues


def taken(queues, loaded="", kin=lambda job: False):
    work = queues.take(loaded, kin)
    return None if work is None else work.job


def test_what_is_loaded_comes_before_what_is_related_before_what_was_first():
    first, related, loaded = (job(of=cell(name)) for name in ("first", "related", "loaded"))
    queues = Queues()
    queues.add([first, related, loaded])
    order = [taken(queues, "restorer:digest-of-loaded:", lambda j: j.cell.name == "related") for _ in range(4)]
    assert order == [loaded, related, first, None]


def test_a_group_is_split_in_front_and_in_order():
    queues = Queues()
    queues.add([job(9)])
    queues.split(job(0, 3))
    assert [taken(queues).ids for _ in range(4)] == [("s0",), ("s1",), ("s2",), ("s9",)]


def test_work_is_tried_again_then_split_then_failed():
    queues = Queues()
    queues.try_again(Work(job(0, 2)), True, "crash")
    assert taken(queues).ids == ("s0", "s1")
    queues.try_again(Work(job(0, 2)), False, "crash")
    assert (taken(queues).ids, taken(queues).ids) == (("s0",), ("s1",))
    queues.try_again(Work(job(0)), False, "crash")
    (event,) = queues.happened()
    assert event.records[0].reason == "crash"
    assert not queues


def test_a_cell_that_is_given_up_fails_and_others_go_on():
    lost, other = job(of=cell("lost")), job(of=cell("other"))
    queues = Queues()
    queues.add([lost, other])
    queues.give_up(lost.cell, "gone")
    assert taken(queues) == other
    (event,) = queues.happened()
    assert (event.job, event.records[0].reason) == (lost, "gone")


def test_only_restoring_uses_up_the_time_of_a_task():
    queues = Queues(plugin_seconds=10)
    for mode in ("detect", "score", "restore"):
        queues.spend(job(mode=mode), 9)
    assert queues.hopeless(job()) is None
    assert queues.seconds_left(job()) == 1
    queues.spend(job(), 2)
    assert str(queues.hopeless(job())) == "timeout: more than 10 s for this task"
    assert queues.hopeless(job(mode="score")) is queues.hopeless(job(mode="detect")) is None


def test_time_spent_elsewhere_counts_for_the_limit_and_not_for_the_sum():
    queues = Queues(plugin_seconds=10)
    queues.spend(job(), 2)
    queues.spent_elsewhere(job(), 5)
    assert (queues.seconds_left(job()), queues.spent(job())) == (3, 2)
    queues.spent_elsewhere(job(), 8)
    assert str(queues.hopeless(job())) == "timeout: more than 10 s for this task"
