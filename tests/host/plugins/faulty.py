"""Restorers that break the contract in every way a process can, for the tests of the supervisor."""

import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

import torch

from restorebench import RestorerInfo, hookimpl


def raises(images):
    raise ValueError("this restorer always\nraises")


def hangs(images):
    time.sleep(600)
    return images


def segfaults(images):
    ctypes.string_at(0)
    return images


def is_killed(images):
    os.kill(os.getpid(), signal.SIGKILL)
    return images


def mutates(images):
    images.mul_(0.5)
    return images.clone()


def fails_on_bright(images):
    if float(images.mean(dim=(1, 2, 3)).max()) > 0.6:
        raise RuntimeError("too bright")
    return images.clone()


def crashes_on_bright(images):
    if float(images.mean(dim=(1, 2, 3)).max()) > 0.6:
        os._exit(7)
    return images.clone()


def hangs_on_bright(images):
    return hangs(images) if float(images.mean()) > 0.6 else images.clone()


def forks_twice(images):
    child = os.fork()
    if not child:
        pipes = [os.pipe() for _ in range(20)]  # some have the numbers that the worker's own had
        if grandchild := os.fork():
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        try:
            for end in (end for pipe in pipes for end in pipe):
                os.fstat(end)
            os._exit(0)
        except OSError:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    return images.clone()


def ancestor(generations):
    """Walk up from a guest: its server, the worker, the worker's guard, the driver or actor."""
    found = os.getpid()
    for _ in range(generations):
        found = int(Path(f"/proc/{found}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def ends_its_supervisor(images):
    os.kill(ancestor(4), signal.SIGKILL)
    return hangs(images)


def ends_its_guard(images):
    os.kill(ancestor(3), signal.SIGKILL)
    return hangs(images)


def start_children():
    """Start a process by fork, as torch's data loaders do, one through a shell, one directly; and a daemon."""
    note = Path(os.environ["RESTOREBENCH_TEST_MARK"])
    if (forked := os.fork()) == 0:
        time.sleep(600)
        os._exit(0)
    os.system(f"sleep 600 & echo $! >> {note}")
    started = subprocess.Popen(["sleep", "600"])
    alone = ["sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!"]
    daemon = subprocess.run(alone, stdout=subprocess.PIPE, start_new_session=True, text=True).stdout
    with note.open("a") as file:
        file.write(f"{forked}\n{started.pid}\n{daemon}")


def hangs_with_children(images):
    start_children()
    return hangs(images)


def crashes_with_children(images):
    start_children()
    os._exit(7)


class Once:
    """Dies of SIGKILL the first time it runs, works ever after."""

    def __init__(self, options, runtime):
        self.mark = Path(os.environ["RESTOREBENCH_TEST_MARK"])

    def restore(self, batch):
        if not self.mark.exists():
            self.mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return batch.degraded.clone()


class Calls:
    def __init__(self, function):
        self.function = function

    def restore(self, batch):
        return self.function(batch.degraded)


FAULTS = {
    "raises": raises,
    "hangs": hangs,
    "hangs-on-bright": hangs_on_bright,
    "forks-twice": forks_twice,
    "ends-its-supervisor": ends_its_supervisor,
    "ends-its-guard": ends_its_guard,
    "hangs-with-children": hangs_with_children,
    "crashes-with-children": crashes_with_children,
    "segfaults": segfaults,
    "exits": lambda images: os._exit(0),
    "is-killed": is_killed,
    "mutates": mutates,
    "returns-nan": lambda images: images * float("nan"),
    "returns-infinite": lambda images: images / 0,
    "returns-wrong-shape": lambda images: images[..., 1:],
    "returns-wrong-dtype": lambda images: images.double(),
    "returns-none": lambda images: None,
    "fails-on-bright": fails_on_bright,
    "crashes-on-bright": crashes_on_bright,
    "out-of-memory": lambda images: torch.empty(2**46),
}


def fail_to_load(options, runtime):
    raise OSError("weights are gone")


def crash_on_load(options, runtime):
    os._exit(9)


def card(name, load):
    return RestorerInfo(name=name, version="1", summary="Breaks.", load=load)


@hookimpl
def restorebench_restorers():
    cards = [card(name, lambda options, runtime, f=function: Calls(f)) for name, function in FAULTS.items()]
    return [
        *cards,
        card("killed-once", Once),
        card("fails-to-load", fail_to_load),
        card("crashes-on-load", crash_on_load),
    ]
