"""The engine that gives groups to Ray actors, and loses none of them when actors or machines are lost.

The queues stay here, with the driver: what is next, the time that cells have spent, the cells given up. An actor
gets one group per call. When it is lost, its group goes back into the queues and another actor takes its place,
perhaps on another machine.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from restorebench.contract.errors import RestorebenchError, RunFolderError
from restorebench.engine.engine import RunJobs
from restorebench.engine.events import Done, Event, Note
from restorebench.engine.queues import Queues, Work, cell_name
from restorebench.engine.ray.trouble import from_there, in_one_line, require_same
from restorebench.engine.stopping import Stop
from restorebench.engine.supervisor import START_SECONDS
from restorebench.journal.layout import COSTS
from restorebench.records import Failure, FailureKind
from restorebench.suite.settings import Settings, cache_folder
from restorebench.toolbox.files import atomic_write_bytes
from restorebench.worker.jobs import Job, Setup

try:
    import ray
except ModuleNotFoundError as error:
    if error.name != "ray":
        raise
    raise RestorebenchError("--engine ray needs ray: pip install 'restorebench[ray]'") from None

from ray.exceptions import RayError, RayTaskError

from restorebench.engine.ray import cluster, resources
from restorebench.engine.ray.actor import Answer, GroupActor, Settled, Surroundings
from restorebench.engine.ray.placement import Glimpse, glimpse
from restorebench.engine.ray.source import RemoteSource
from restorebench.toolbox.counts import counted

LOST_ATTEMPTS = 10
"""How often a group is tried again after its actor was lost, which the group itself hardly ever causes."""
LOSSES_PER_WORKER = 5
"""How many actors per worker may be lost without a group coming back in between."""
_PATIENCE_SECONDS = 60
"""How long Ray may need to start an actor before the user is told."""
_LISTENING_SECONDS = 0.5  # a signal does not end a wait, and a user who stops a run should not have to wait


@contextmanager
def opened(setup: Setup, settings: Settings, stop: Stop) -> Iterator[RunJobs]:
    """Give a function that runs jobs on up to `settings.workers` actors; the first job starts or joins Ray."""
    with _Actors(setup, settings, stop) as actors:
        yield actors.run


@dataclass
class _Actor:
    """One actor: its handle, its calls and the cell that it has loaded. number: unique among living actors."""

    number: int
    handle: Any  # of a class that Ray makes
    arriving: Any  # a reference to its Surroundings, then perhaps to Settled; None once it can work
    host: str = ""  # "" until the actor reports it
    began: float = field(default_factory=time.monotonic)
    call: Any = None  # a reference to the Answer it works on
    work: Work | None = None
    loaded: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    spent: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))  # by digest of a cell

    @property
    def references(self) -> list[Any]:
        return [reference for reference in (self.call, self.arriving) if reference is not None]


class _Actors:
    """Runs jobs on actors. Leaving the context ends them, and the Ray that was started for them."""

    def __init__(self, setup: Setup, settings: Settings, stop: Stop) -> None:
        self._setup = setup
        self._settings = settings
        self._stop = stop
        self._queues = Queues(setup.limits.get("plugin_seconds"))
        self._actors: list[_Actor] = []
        self._connection = ExitStack()
        self._class: Any = None  # Ray's class for GroupActor, once connected
        self._needs: dict[str, float] = {}
        self._mark = Path(setup.run_folder) / "logs" / f"driver-{secrets.token_hex(8)}"
        self._glimpses: dict[str, Glimpse] = {}
        self._source: RemoteSource | None = None
        self._lost = 0
        self._heard = 0.0
        self._told_of_late = False

    def __enter__(self) -> _Actors:
        return self

    def __exit__(self, *_: object) -> None:
        with self._connection:
            handles = [actor.handle for actor in self._actors]
            for handle in handles if self._source is None else [*handles, self._source.handle]:
                with contextlib.suppress(RayError):
                    ray.kill(handle)

    def run(self, jobs: Sequence[Job]) -> Iterator[Event]:
        """Run jobs to their end, and yield events.

        Raises:
            RestorebenchError: the data cannot be read, the device is missing, or Ray cannot start actors.
        """
        if jobs and self._class is None:
            self._connect()
        self._queues.add(jobs)
        self._heard = time.monotonic()
        while any(actor.work for actor in self._actors) or (self._queues and not self._stop):
            if not self._stop:
                self._hand_out()
            yield from self._queues.happened()
            yield from self._hear()
            yield from self._queues.happened()

    # ------------------------------------------------------------ connecting to Ray

    def _connect(self) -> None:
        workers, threads = self._settings.workers, self._setup.threads
        address = self._settings.address
        if address is None:
            address = self._connection.enter_context(cluster.started(workers * threads))
        self._connection.enter_context(cluster.joined(address))
        if self._settings.address is not None:  # there may be several, and `auto` takes the latest
            where = ray.get_runtime_context().gcs_address
            self._queues.events.append(Note(f"joined the Ray at {where}: {resources.described()}"))
        self._needs = resources.needs(self._settings, self._setup)
        if not self._needs["num_gpus"]:
            self._setup = replace(self._setup, device="cpu")
        # If Ray restarted actors by itself, a group that kills its actor would be repeated without end. The driver
        # counts attempts, as the supervisor does, so neither max_restarts nor max_task_retries is set.
        self._class = ray.remote(GroupActor).options(**self._needs, scheduling_strategy="SPREAD")
        self._glimpses = {path: glimpse(path) for path in self._setup.inputs}
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        for left in self._mark.parent.glob("driver-*"):  # left by a driver that was killed
            left.unlink()
        self._mark.touch()
        self._connection.callback(self._mark.unlink, missing_ok=True)

    # ------------------------------------------------------------ handing out work

    def _hand_out(self) -> None:
        busy = sum(actor.work is not None for actor in self._actors)
        while len(self._actors) < min(self._settings.workers, len(self._queues) + busy):
            self._start()
        for actor in self._actors:
            if actor.arriving is None and actor.work is None:
                self._send(actor)

    def _start(self) -> None:
        number = next(n for n in range(len(self._actors) + 1) if all(n != actor.number for actor in self._actors))
        variables = {name: text for name, text in os.environ.items() if name.startswith("RESTOREBENCH_")}
        handle = self._class.remote(self._setup, number, str(Path.cwd()), variables)
        self._actors.append(_Actor(number, handle, handle.surroundings.remote(str(self._mark), self._glimpses)))

    def _send(self, actor: _Actor) -> None:
        work = self._queues.take(actor.loaded, lambda job: job.cell.sources == actor.sources)
        if work is None:
            return
        job = work.job
        elsewhere = self._queues.spent(job) - actor.spent[job.cell.digest]
        actor.call, actor.work = actor.handle.run.remote(job, elsewhere), work
        actor.loaded, actor.sources = cell_name(job), job.cell.sources

    # ------------------------------------------------------------ hearing from actors

    def _hear(self) -> Iterator[Event]:
        asked = [reference for actor in self._actors for reference in actor.references]
        if not asked:
            return
        ray.wait(asked, num_returns=1, timeout=_LISTENING_SECONDS)
        ready = set(ray.wait(asked, num_returns=len(asked), timeout=0)[0])
        if not ready:
            yield from self._report_waiting()
        for actor in list(self._actors):
            for reference in actor.references:
                if reference not in ready:
                    continue
                try:
                    heard = ray.get(reference)
                except RayTaskError:
                    raise  # a bug in this package
                except RayError as error:
                    yield self._replace(actor, error)
                    break
                self._heard = time.monotonic()
                if isinstance(heard, Surroundings):
                    yield from self._arrived(actor, heard)
                elif isinstance(heard, Settled):
                    actor.arriving = None
                    if heard.error is not None:
                        raise from_there(actor.host, heard.error)
                else:
                    assert actor.work is not None  # there is one with every call
                    work, actor.call, actor.work = actor.work, None, None
                    yield from self._answered(actor, work, heard)

    def _arrived(self, actor: _Actor, machine: Surroundings) -> Iterator[Note]:
        """Let an actor fetch the files that its machine lacks."""
        require_same(machine)
        known = {other.host for other in self._actors}
        actor.host, actor.arriving = machine.host, None
        if not machine.missing:
            return
        if machine.host not in known:
            more = f" and {len(machine.missing) - 1} more" if len(machine.missing) > 1 else ""
            yield Note(f"{machine.host} does not see {machine.missing[0]}{more}: sent there, unless it was before")
        if self._source is None:
            self._source = RemoteSource([*self._setup.inputs, self._setup.run_folder])
        actor.arriving = actor.handle.settle.remote(machine.missing, self._source)

    def _answered(self, actor: _Actor, work: Work, answer: Answer) -> Iterator[Event]:
        self._lost = 0
        self._queues.spend(work.job, answer.seconds)
        actor.spent[work.job.cell.digest] += answer.seconds
        self._save(actor, answer)
        for event in answer.events:
            yield replace(event, worker=actor.number) if isinstance(event, Done) else event
        if answer.error is not None:
            raise from_there(actor.host, answer.error)
        if answer.given_up is not None:
            self._queues.give_up(work.job.cell, answer.given_up)

    def _save(self, actor: _Actor, answer: Answer) -> None:
        """Write the files and the log that an actor could not write to the run folder itself."""
        folder = Path(self._setup.run_folder)
        try:
            for name, data in answer.files.items():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                atomic_write_bytes(target, data)
            if answer.log:
                log = folder / "logs" / f"actor-{actor.number}" / "worker-0.log"
                log.parent.mkdir(parents=True, exist_ok=True)
                with log.open("ab") as file:
                    file.write(answer.log)
        except OSError as error:
            path = error.filename or folder
            raise RunFolderError(f"{path}: {error.strerror}; give --out another folder") from error

    # ------------------------------------------------------------ when actors are lost, or do not start

    def _replace(self, actor: _Actor, error: RayError) -> Note:
        """Put a lost actor's group back into the queues; another actor will be started for it.

        Raises:
            RestorebenchError: too many actors were lost in a row without a group coming back.
        """
        self._actors.remove(actor)
        with contextlib.suppress(RayError):
            ray.kill(actor.handle)  # Ray may only have lost contact to it
        if (work := actor.work) is not None:
            work.killed += 1
            failure = Failure(FailureKind.KILLED, f"its actor was lost {counted(work.killed, 'time')}")
            self._queues.try_again(work, work.killed <= LOST_ATTEMPTS, failure)
        self._lost += 1
        why = in_one_line(error)
        if self._lost > LOSSES_PER_WORKER * max(2, self._settings.workers):
            raise RestorebenchError(
                f"Ray lost {self._lost} actors and no group came back in between: {why};"
                " what was finished is kept, and the same command again continues"
            )
        return Note(f"an actor was lost, and is replaced: {why}")

    def _report_waiting(self) -> Iterator[Note]:
        """Report actors that Ray cannot start for lack of resources; there is no limit for actors that work.

        Raises:
            RestorebenchError: Ray could not start a single actor in `START_SECONDS`.
        """
        now = time.monotonic()
        seeking = [actor for actor in self._actors if not actor.host]
        if now - self._heard > START_SECONDS and len(seeking) == len(self._actors):
            raise RestorebenchError(
                f"Ray found no place in {now - self._heard:.0f} s for {self._asked()}; ask for fewer threads or"
                f" GPUs, or delete {cache_folder() / COSTS}, which records the memory of plugins"
            )
        late = [actor for actor in seeking if now - actor.began > _PATIENCE_SECONDS]
        if late and not self._told_of_late:
            self._told_of_late = True
            workers = counted(len(self._actors), "worker")
            yield Note(f"Ray has found no place yet for {len(late)} of {workers}: for {self._asked()}")

    def _asked(self) -> str:
        return f"an actor with {resources.described(self._needs)}; it has {resources.described()}"
