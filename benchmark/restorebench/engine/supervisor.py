"""The supervisor gives groups to worker processes, and survives a crash or a hang of a plugin's process.

A worker that hangs is killed, one that dies is replaced, and only the image that caused it is lost; `queues`
decides what is next. This module imports no torch: workers are started by name.
"""

from __future__ import annotations

import math
import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from restorebench.contract.errors import DeviceError, RestorebenchError, from_worker
from restorebench.engine.child import Child, may_have_gpus, visible_devices
from restorebench.engine.events import Done, Event, Loaded, Note
from restorebench.engine.queues import Queues, cell_name
from restorebench.engine.slot import Slot, State
from restorebench.engine.stopping import Stop
from restorebench.records import Failure, FailureKind
from restorebench.worker.jobs import Job, Setup
from restorebench.worker.messages import Detected, Failed, Greeting, Ready, Recorded, Refused

START_ATTEMPTS = 3
START_SECONDS = 600
"""Longest time in s for a worker to start, which is to import torch; plugins play no part, so no suite sets it."""
PIPELINED = {"cpu": False, "cuda": True}
"""By the device of the method. Nothing else runs in a worker whose method computes on the CPU and is timed."""
_AHEAD = 2  # groups that a pipeline is sent ahead: it scores one and degrades one while it restores another
_QUICK_SECONDS = 0.25  # after so quick a group, a worker without a pipeline is sent the next one early too
_LONGEST_WAIT = 0.5  # s; a signal does not end a wait, and a user who stops a run should not have to wait
_GROWTH_MIB = 512  # a worker that has doubled and grown by this much is replaced


@dataclass
class Supervisor:
    """Runs jobs in up to `workers` processes. Use it as a context manager: leaving it ends every worker."""

    setup: Setup
    workers: int
    logs: Path
    stop: Stop = field(default_factory=Stop)
    slots: list[Slot] = field(init=False)
    queues: Queues = field(init=False)

    def __post_init__(self) -> None:
        self.slots = [Slot(number) for number in range(max(1, self.workers))]
        self._limits = self.setup.limits
        self.queues = Queues(self._limits.get("plugin_seconds"))
        self._device: str | None = None  # not known until the first worker greets
        self._gpus = 0
        self._pipelined = False

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for slot in self.slots:
            if slot.child is not None:
                if kind is None and slot.state is State.IDLE:
                    slot.child.finish()
                else:
                    slot.child.kill()
                slot.vacate()

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Run jobs to their end, in order as far as workers allow, and yield events.

        Once asked to stop, it begins no new group, and returns when the running groups are done.

        Raises:
            RestorebenchError: the data cannot be read, the device is missing, or no worker starts.
        """
        self.queues.add(jobs)
        while self._busy() if self.stop else self.queues or any(slot.work is not None for slot in self.slots):
            if not self.stop:
                self._assign()
                self._send_ahead()
            yield from self.queues.happened()
            self._wait()
            yield from self.queues.happened()

    def _busy(self) -> bool:
        """Tell whether a worker processes images; one that starts or loads has none that could be lost."""
        return any(slot.state is State.WORKING for slot in self.slots)

    # ------------------------------------------------------------ handing out work

    def _assign(self) -> None:
        for slot in self.slots:
            if slot.state not in {State.ABSENT, State.IDLE}:
                continue
            if slot.number > 0 and self._device is None and may_have_gpus(self.setup.device):
                continue  # wait until the first worker reports how many GPUs there are
            work = self.queues.take(slot.loaded, partial(self._fits, slot))
            if work is None:
                continue
            if slot.child is not None and not self._fits(slot, work.job):
                slot.child.finish()
                slot.vacate()
            slot.work = work
            if slot.child is None:
                self._start(slot)
            else:
                self._dispatch(slot)

    def _fits(self, slot: Slot, job: Job) -> bool:
        """Tell whether a slot's worker has imported the plugins of a job's data and metrics."""
        return slot.child is not None and slot.sources == tuple(job.cell.sources)

    def _start(self, slot: Slot) -> None:
        log = self.logs / f"worker-{slot.number}.log"
        slot.child = Child(log, self.setup.threads, visible_devices(self.setup.device, slot.number, self._gpus))
        slot.state, slot.loaded, slot.first_mib = State.STARTING, "", 0.0
        slot.deadline = time.monotonic() + START_SECONDS

    def _dispatch(self, slot: Slot) -> None:
        """Send the slot's work, loading its cell first if something else is loaded."""
        assert slot.child is not None and slot.work is not None  # only called with both
        job = slot.work.job
        if (why := self.queues.hopeless(job)) is not None:  # another worker may have found that out meanwhile
            self.queues.fail(job, why)
            slot.advance()
            return
        slot.sources = tuple(job.cell.sources)
        if slot.loaded != cell_name(job):
            slot.state, slot.began = State.LOADING, time.monotonic()
            slot.deadline = slot.began + self._limit("load_seconds")
            slot.child.send(job.cell)
            return
        slot.state = State.WORKING
        self._clock(slot)
        slot.child.send(job)

    def _clock(self, slot: Slot) -> None:
        """Begin to measure the time of a slot's work."""
        assert slot.work is not None
        job, slot.began = slot.work.job, time.monotonic()
        # A method may restore its first batch twice.
        slot.deadline = slot.began + self._limit("image_seconds") * len(job.samples) * (1 + slot.first)
        slot.first = False
        if (left := self.queues.seconds_left(job)) is not None:
            slot.deadline = min(slot.deadline, slot.began + left)

    def _send_ahead(self) -> None:
        """Send workers the next groups of the cell that they restore, so that they need not wait for them."""
        for slot in self.slots:
            if slot.state is not State.WORKING or slot.work is None or slot.work.job.mode != "restore":
                continue
            wanted = _AHEAD if self._pipelined else int(slot.took < _QUICK_SECONDS)
            while len(slot.ahead) < wanted and (work := self.queues.take_alike(slot.work)) is not None:
                assert slot.child is not None  # as it works
                slot.ahead.append(work)
                if not slot.child.send_ahead(work.job):
                    self.queues.requeue(slot.ahead.pop())
                    break

    def _limit(self, name: str) -> float:
        return self._limits.get(name) or float("inf")

    def _spend(self, slot: Slot) -> None:
        """Charge a job with its time, however it ended; starting and loading are not charged."""
        if slot.work is not None and slot.state is State.WORKING:
            self.queues.spend(slot.work.job, time.monotonic() - slot.began)

    # ------------------------------------------------------------ hearing from workers

    def _wait(self) -> None:
        busy = [slot for slot in self.slots if slot.child is not None and slot.state is not State.IDLE]
        if not busy:
            return
        with selectors.DefaultSelector() as selector:
            for slot in busy:
                assert slot.child is not None  # busy slots have one
                selector.register(slot.child.reading, selectors.EVENT_READ, slot)
            left = min(slot.deadline for slot in busy) - time.monotonic()
            for key, _ in selector.select(min(max(left, 0), _LONGEST_WAIT)):
                self._hear(key.data)
        now = time.monotonic()
        for slot in busy:
            if slot.child is not None and slot.state is not State.IDLE and now >= slot.deadline:
                self._overdue(slot)

    def _hear(self, slot: Slot) -> None:
        assert slot.child is not None  # it was registered with one
        self._spend(slot)  # any message of a working worker ends its job
        answer = slot.child.receive()
        if answer is not None and not slot.expects(answer):
            slot.child.distrust()
            answer = None
        if answer is None:
            self._died(slot)
        elif isinstance(answer, Greeting):
            self._greeted(slot, answer)
        elif isinstance(answer, Ready):
            self._ready(slot, answer)
        elif isinstance(answer, Failed):
            self._failed(slot, answer.failure)
        elif isinstance(answer, Refused):  # the user has to act: raise the type of error that the worker had
            raise from_worker(answer.error, answer.message)
        else:
            self._done(slot, answer)

    def _greeted(self, slot: Slot, greeting: Greeting) -> None:
        assert slot.child is not None and slot.work is not None
        slot.starts_failed = 0
        gpus = [name for name in greeting.devices if name.startswith("cuda")]
        if self._device is None:
            if (asked := self.setup.device).startswith("cuda") and not gpus:
                raise DeviceError(f"--device {asked}: there is no such CUDA device here; use auto or cpu")
            self._device = "cpu" if self.setup.device == "cpu" or not gpus else "cuda:0"
            self._gpus = len(gpus)
        self._pipelined = PIPELINED[self._device.partition(":")[0]]
        known = replace(self.setup, device=self._device, pipelined=self._pipelined)
        slot.child.send(replace(known, environment=slot.child.withheld))
        self._dispatch(slot)

    def _ready(self, slot: Slot, ready: Ready) -> None:
        assert slot.work is not None
        slot.loaded, slot.first_mib, slot.first, slot.took = cell_name(slot.work.job), 0.0, True, math.inf
        seconds = time.monotonic() - slot.began
        self.queues.events.append(Loaded(slot.work.job.cell, ready.parameters, seconds))
        self._dispatch(slot)

    def _done(self, slot: Slot, answer: Recorded | Detected) -> None:
        assert slot.work is not None and slot.child is not None
        job = slot.work.job
        slot.took = time.monotonic() - slot.began
        self.queues.events.append(Done(job, answer.records, slot.took, slot.number))
        self._advance(slot)
        slot.first_mib = slot.first_mib or answer.resident_mib
        if answer.resident_mib > max(2 * slot.first_mib, slot.first_mib + _GROWTH_MIB):
            grown = f"from {slot.first_mib:.0f} to {answer.resident_mib:.0f} MiB"
            self.queues.events.append(Note(f"{job.cell.label}: its worker grew {grown}; replaced"))
            slot.child.finish()
            if slot.work is not None:
                slot.ahead.appendleft(slot.work)
            self._vacate(slot)

    def _failed(self, slot: Slot, why: Failure) -> None:
        """Handle the failure of a whole job, or of a whole cell if it failed while loading."""
        assert slot.work is not None
        job = slot.work.job
        if slot.state is State.LOADING:
            self.queues.give_up(job.cell, why)
            slot.loaded = ""
        self.queues.fail(job, why)
        self._advance(slot)

    def _advance(self, slot: Slot) -> None:
        if slot.advance() is not None:
            self._clock(slot)

    def _vacate(self, slot: Slot) -> None:
        """Clear a slot after its worker has ended, and queue again what it was sent ahead."""
        for work in reversed(slot.ahead):
            self.queues.requeue(work)
        slot.vacate()

    # ------------------------------------------------------------ when a worker hangs or dies

    def _overdue(self, slot: Slot) -> None:
        assert slot.child is not None and slot.work is not None
        slot.child.kill()
        self._spend(slot)
        state, job = slot.state, slot.work.job
        self._vacate(slot)
        if state is State.STARTING:
            raise RestorebenchError(f"a worker did not start in {START_SECONDS} s; see {self.logs}")
        if state is State.LOADING:
            why = Failure(FailureKind.TIMEOUT, f"loading took more than {self._limit('load_seconds'):g} s")
            self.queues.give_up(job.cell, why)
            self.queues.fail(job, why)
            return
        if (out_of_time := self.queues.hopeless(job)) is not None:
            self.queues.fail(job, out_of_time)
        elif len(job.samples) > 1:
            self.queues.split(job)
        else:
            longest = f"more than {self._limit('image_seconds'):g} s for one image"
            self.queues.fail(job, Failure(FailureKind.TIMEOUT, longest))

    def _died(self, slot: Slot) -> None:
        assert slot.child is not None and slot.work is not None  # idle workers are not listened to
        how, log = slot.child.death(), slot.child.log
        state, work = slot.state, slot.work
        self._vacate(slot)
        if state is State.STARTING:
            slot.starts_failed += 1
            if slot.starts_failed >= START_ATTEMPTS:
                raise RestorebenchError(f"workers end before they start ({how}); see {log}")
            self.queues.requeue(work)
        elif state is State.LOADING:
            self.queues.lost_while_loading(work, how)
        else:
            self.queues.lost(work, how)
