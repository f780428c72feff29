"""Feed groups to worker processes; outlive whatever a plugin does to its process.

One worker per (plugin, device slot). A worker that hangs is killed, one that dies is replaced, and only the
image that did it is lost. No torch here: workers are started by name.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from restorebench import errors
from restorebench.child import Child
from restorebench.errors import DeviceError, RestorebenchError
from restorebench.jobs import CellSpec, Job, Setup
from restorebench.records import FAILED, DetectionRecord, Record, detection_from, record_from

KILLED_ATTEMPTS = 3
"""How often a group is tried again after a SIGKILL that was not ours, such as the kernel's."""
CRASH_ATTEMPTS = 2
START_ATTEMPTS = 3
_GROWTH_MIB = 512  # a worker that has doubled and grown by this much is replaced


@dataclass(frozen=True)
class Loaded:
    """A worker has loaded a cell's plugin."""

    cell: CellSpec
    parameters: int | None


@dataclass(frozen=True)
class Done:
    """A job has its outcomes: one record per image, failures among them."""

    job: Job
    records: tuple[Record | DetectionRecord, ...]


@dataclass(frozen=True)
class Note:
    """Something worth telling the user that is no failure."""

    text: str


Event = Loaded | Done | Note


@dataclass
class _Work:
    """A job with its history."""

    job: Job
    killed: int = 0
    crashed: int = 0


@dataclass
class _Slot:
    """One place for a worker: the process, what it has loaded and what it is doing."""

    number: int
    child: Child | None = None
    state: str = "absent"  # absent, starting, idle, loading, working
    plugin: tuple[str, ...] = ()
    loaded: str = ""
    work: _Work | None = None
    deadline: float = 0.0
    began: float = 0.0
    first_mib: float = 0.0
    starts_failed: int = 0


@dataclass
class Supervisor:
    """Runs jobs on up to `workers` processes. Use as a context manager: leaving it ends every worker."""

    setup: Setup
    workers: int
    logs: Path
    slots: list[_Slot] = field(init=False)

    def __post_init__(self) -> None:
        self.slots = [_Slot(number) for number in range(max(1, self.workers))]
        self._queues: dict[str, deque[_Work]] = {}
        self._load_crashes: dict[str, int] = {}
        self._spent: dict[str, float] = {}
        self._dead: dict[str, str] = {}
        self._events: deque[Event] = deque()
        self._device: str | None = None
        self._gpus = 0

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for slot in self.slots:
            if slot.child is not None:
                if kind is None and slot.state == "idle":
                    slot.child.finish()
                else:
                    slot.child.kill()
                slot.child, slot.state = None, "absent"

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Run jobs to their end, in order as far as workers allow, yielding what happens.

        Raises:
            RestorebenchError: the data cannot be read, the device is not there, or no worker starts.
        """
        for job in jobs:
            self._queues.setdefault(_queue_name(job), deque()).append(_Work(job))
        while self._pending():
            self._assign()
            while self._events:
                yield self._events.popleft()
            self._wait()
            while self._events:
                yield self._events.popleft()

    # ------------------------------------------------------------ handing out work

    def _pending(self) -> bool:
        return any(self._queues.values()) or any(slot.work is not None for slot in self.slots)

    def _assign(self) -> None:
        for slot in self.slots:
            if slot.state not in {"absent", "idle"}:
                continue
            name = self._next_queue(slot)
            if name is None:
                continue
            if slot.number > 0 and self._device is None and self._may_have_gpus():
                continue  # the first worker says how many GPUs there are; then the others are placed
            work = self._queues[name][0]
            if slot.child is not None and slot.plugin != self._plugin(work.job):
                slot.child.finish()
                slot.child, slot.state, slot.loaded = None, "absent", ""
            self._queues[name].popleft()
            slot.work = work
            slot.plugin = self._plugin(work.job)
            if slot.child is None:
                self._start(slot)
            else:
                self._dispatch(slot)

    def _next_queue(self, slot: _Slot) -> str | None:
        """Choose a queue: what is loaded, then the same plugin, then the first in line."""
        waiting = [name for name, queue in self._queues.items() if queue]
        if not waiting:
            return None
        same = [n for n in waiting if _cell_name(self._queues[n][0].job) == slot.loaded]
        kin = [
            n for n in waiting if slot.child is not None and self._plugin(self._queues[n][0].job) == slot.plugin
        ]
        return (same or kin or waiting)[0]

    def _plugin(self, job: Job) -> tuple[str, ...]:
        """Name what shares a process: on a GPU one restorer, so that its memory is really released."""
        shared = tuple(job.cell.sources)
        return shared if self._device in {None, "cpu"} else (*shared, job.cell.kind, job.cell.name)

    def _start(self, slot: _Slot) -> None:
        log = self.logs / f"worker-{slot.number}.log"
        slot.child = Child(log, self.setup.threads, self._visible(slot.number))
        slot.state, slot.loaded, slot.first_mib = "starting", "", 0.0
        slot.deadline = time.monotonic() + float(self.setup.limits.get("load_seconds") or 600)

    def _visible(self, number: int) -> str | None:
        device = self.setup.device
        if device == "cpu":
            return ""
        listed = _visible_now()
        if device.startswith("cuda:"):
            place = int(device[5:])
            return listed[place] if listed and place < len(listed) else ("" if listed else str(place))
        if self._gpus > 1:
            place = number % self._gpus
            return listed[place] if listed else str(place)
        return None

    def _may_have_gpus(self) -> bool:
        return self.setup.device != "cpu" and any(Path("/dev").glob("nvidia[0-9]*"))

    def _dispatch(self, slot: _Slot) -> None:
        """Send the slot's work, loading its cell first if something else is loaded."""
        assert slot.child is not None and slot.work is not None  # only called with both
        job = slot.work.job
        if (reason := self._dead.get(job.cell.digest)) is not None:
            self._fail(slot.work.job, reason)
            slot.work, slot.state = None, "idle"
            return
        limits = self.setup.limits
        now = slot.began = time.monotonic()
        if slot.loaded != _cell_name(job):
            slot.state = "loading"
            slot.deadline = now + float(limits.get("load_seconds") or 600)
            slot.child.send({"type": "load", "cell": asdict(job.cell)})
            return
        slot.state = "working"
        slot.deadline = now + float(limits.get("image_seconds") or 300) * len(job.samples)
        if (total := limits.get("plugin_seconds")) is not None and job.mode == "restore":
            slot.deadline = min(slot.deadline, now + total - self._spent.get(job.cell.digest, 0.0))
        slot.child.send({"type": "job", **asdict(job)})

    # ------------------------------------------------------------ hearing from workers

    def _wait(self) -> None:
        busy = [slot for slot in self.slots if slot.child is not None and slot.state != "idle"]
        if not busy:
            return
        with selectors.DefaultSelector() as selector:
            for slot in busy:
                assert slot.child is not None  # busy slots have one
                selector.register(slot.child.reading, selectors.EVENT_READ, slot)
            timeout = max(0.0, min(slot.deadline for slot in busy) - time.monotonic())
            for key, _ in selector.select(timeout):
                self._hear(key.data)
        now = time.monotonic()
        for slot in busy:
            if slot.child is not None and slot.state != "idle" and now >= slot.deadline:
                self._overdue(slot)

    def _hear(self, slot: _Slot) -> None:
        assert slot.child is not None  # it was registered with one
        message = slot.child.receive()
        if message is None:
            self._died(slot)
            return
        handler = {
            "hello": self._greeted,
            "ready": self._ready,
            "done": self._done,
            "failed": self._failed,
            "refused": self._refused,
        }[message["type"]]
        handler(slot, message)

    def _greeted(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        assert slot.child is not None
        slot.starts_failed = 0
        gpus = [name for name in message["devices"] if name.startswith("cuda")]
        if self._device is None:
            if self.setup.device.startswith("cuda") and not gpus:
                raise DeviceError(
                    f"--device {self.setup.device}: there is no such CUDA device here; use auto or cpu"
                )
            self._device = "cpu" if self.setup.device == "cpu" or not gpus else "cuda:0"
            self._gpus = len(gpus)
        slot.child.send({"type": "setup", **asdict(replace(self.setup, device=self._device))})
        self._dispatch(slot)

    def _ready(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        assert slot.work is not None
        slot.loaded = _cell_name(slot.work.job)
        self._events.append(Loaded(slot.work.job.cell, message["parameters"]))
        self._dispatch(slot)

    def _done(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        assert slot.work is not None and slot.child is not None
        job = slot.work.job
        build = detection_from if job.mode == "detect" else record_from
        self._events.append(Done(job, tuple(build(raw) for raw in message["records"])))
        cell = job.cell.digest
        self._spent[cell] = self._spent.get(cell, 0.0) + time.monotonic() - slot.began
        self._check_plugin_time(job.cell)
        slot.work, slot.state = None, "idle"
        resident = float(message.get("resident_mib", 0.0))
        slot.first_mib = slot.first_mib or resident
        if resident > max(2 * slot.first_mib, slot.first_mib + _GROWTH_MIB):
            text = f"{job.cell.label}: its worker grew from {slot.first_mib:.0f} to {resident:.0f} MiB; replaced"
            self._events.append(Note(text))
            slot.child.finish()
            slot.child, slot.state, slot.loaded = None, "absent", ""

    def _failed(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        """Take a failure of the whole job; while loading it is one of the whole cell."""
        assert slot.work is not None
        job = slot.work.job
        if slot.state == "loading":
            self._bury(job.cell, message["reason"])
            slot.loaded = ""
        self._fail(job, message["reason"])
        slot.work, slot.state = None, "idle"

    def _refused(self, slot: _Slot, message: Mapping[str, Any]) -> None:
        """Raise an error of the user's data in the driver, under the type it had in the worker."""
        kind = getattr(errors, message["error"], RestorebenchError)
        raise kind(message["message"])

    # ------------------------------------------------------------ when a worker hangs or dies

    def _overdue(self, slot: _Slot) -> None:
        assert slot.child is not None and slot.work is not None
        slot.child.kill()
        slot.child = None
        state, work = slot.state, slot.work
        slot.state, slot.work, slot.loaded = "absent", None, ""
        limits = self.setup.limits
        if state == "starting":
            raise RestorebenchError(f"a worker did not start in time; see {self.logs}")
        if state == "loading":
            reason = f"timeout: loading took more than {limits.get('load_seconds'):g} s"
            self._bury(work.job.cell, reason)
            self._fail(work.job, reason)
            return
        cell = work.job.cell
        self._spent[cell.digest] = self._spent.get(cell.digest, 0.0) + time.monotonic() - slot.began
        if self._check_plugin_time(cell):
            self._fail(work.job, self._dead[cell.digest])
        elif len(work.job.samples) > 1:
            self._split(work.job)
        else:
            self._fail(work.job, f"timeout: more than {limits.get('image_seconds'):g} s for one image")

    def _died(self, slot: _Slot) -> None:
        assert slot.child is not None
        how = slot.child.death()
        log = slot.child.log
        state, work = slot.state, slot.work
        slot.child, slot.state, slot.work, slot.loaded = None, "absent", None, ""
        assert work is not None  # idle workers are not listened to
        if state == "starting":
            slot.starts_failed += 1
            if slot.starts_failed >= START_ATTEMPTS:
                raise RestorebenchError(f"workers end before they start ({how}); see {log}")
            self._requeue(work)
        elif state == "loading":
            crashes = self._load_crashes.get(work.job.cell.digest, 0) + 1
            self._load_crashes[work.job.cell.digest] = crashes
            attempts = KILLED_ATTEMPTS + 1 if how == "SIGKILL" else CRASH_ATTEMPTS
            if crashes >= attempts:
                reason = f"{'killed' if how == 'SIGKILL' else 'crash'}: {how} while loading"
                self._bury(work.job.cell, reason)
                self._fail(work.job, reason)
            else:
                self._requeue(work)
        elif how == "SIGKILL":
            work.killed += 1
            if work.killed <= KILLED_ATTEMPTS:
                self._requeue(work)
            elif len(work.job.samples) > 1:
                self._split(work.job)
            else:
                self._fail(work.job, f"killed: SIGKILL {work.killed} times, perhaps for lack of memory")
        else:
            work.crashed += 1
            if len(work.job.samples) > 1:
                self._split(work.job)
            elif work.crashed < CRASH_ATTEMPTS:
                self._requeue(work)
            else:
                self._fail(work.job, f"crash: {how}")

    def _requeue(self, work: _Work) -> None:
        self._queues.setdefault(_queue_name(work.job), deque()).appendleft(work)

    def _split(self, job: Job) -> None:
        """Queue a group's images one by one, in front, to find the one that does it."""
        for place in reversed(range(len(job.samples))):
            part = replace(
                job,
                samples=job.samples[place : place + 1],
                ids=job.ids[place : place + 1],
                told=job.told[place : place + 1],
                outputs=job.outputs[place : place + 1],
            )
            self._requeue(_Work(part))

    def _check_plugin_time(self, cell: CellSpec) -> bool:
        """Bury a cell that has used up its time; tell whether it has."""
        total = self.setup.limits.get("plugin_seconds")
        if total is None or self._spent.get(cell.digest, 0.0) < total:
            return False
        self._bury(cell, f"timeout: more than {total:g} s for this task")
        return True

    def _bury(self, cell: CellSpec, reason: str) -> None:
        """Fail everything that is queued for a cell, now and later."""
        self._dead[cell.digest] = reason
        for queue in self._queues.values():
            for work in [work for work in queue if work.job.cell.digest == cell.digest]:
                queue.remove(work)
                self._fail(work.job, reason)

    def _fail(self, job: Job, reason: str) -> None:
        self._events.append(Done(job, failures(job, reason)))


def failures(job: Job, reason: str) -> tuple[Record | DetectionRecord, ...]:
    """Make a failure record for every image of a job."""
    if job.mode == "detect":
        return tuple(DetectionRecord(job.cell.digest, name, FAILED, reason) for name in job.ids)
    told = [None if raw is None else tuple(sorted(raw["labels"])) for raw in job.told or [None] * len(job.ids)]
    return tuple(
        Record(job.cell.digest, name, job.repetition, FAILED, reason, told=labels)
        for name, labels in zip(job.ids, told, strict=True)
    )


def _cell_name(job: Job) -> str:
    """Name what a worker must have loaded for a job."""
    return f"{job.cell.kind}:{job.cell.digest}:{','.join(column[0] for column in job.cell.columns)}"


def _queue_name(job: Job) -> str:
    return f"{job.mode}:{_cell_name(job)}"


def _visible_now() -> list[str]:
    text = os.environ.get("CUDA_VISIBLE_DEVICES")
    return [part.strip() for part in text.split(",") if part.strip()] if text else []
