"""Restorers with bad manners, for tests of what they cost their neighbours."""

import builtins
import contextlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

from restorebench import RestorerInfo, hookimpl

KEPT = []


def descriptors():
    """All but the standard three: which numbers the pipes have depends on what the driver has open."""
    return [number for entry in Path("/proc/self/fd").iterdir() if (number := int(entry.name)) > 2]


def says(error):
    raise error


def prints(images):
    sys.stdout.write("x" * 2_000_000 + "\n")
    os.write(1, b"\0\xff{}" * 100_000)
    return images.clone()


def leaks(images):
    KEPT.extend(os.open("/dev/null", os.O_RDONLY) for _ in range(200))
    return images.clone()


def takes_all_descriptors(images):
    with contextlib.suppress(OSError):
        while True:
            KEPT.append(os.open("/dev/null", os.O_RDONLY))
    return images.clone()


def closes_pipes(images):
    for descriptor in descriptors():
        with contextlib.suppress(OSError):  # that of the listing itself is closed already
            os.close(descriptor)
    return images.clone()


def writes_into_pipes(images):
    for descriptor in descriptors():
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\xff" * 8)
    return images.clone()


def announces(images):
    for descriptor in descriptors():
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\0\0\1\0{")
    time.sleep(600)


def recurses(images):
    return recurses(images)


def patches(images):
    json.dumps = builtins.print = np.rint = lambda *given, **named: says(RuntimeError("patched"))
    return images.clone()


def hogs(images):
    while True:
        KEPT.append(torch.ones(2**28))


def stays(images):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return images.clone()


RUDE = {
    "long-message": lambda images: says(ValueError("x" * 10_000_000)),
    "many-lines": lambda images: says(ValueError("first\n" + "more\n" * 100_000)),
    "odd-message": lambda images: says(ValueError("\x1b[31m\0\u202e=1+1,\"'\r")),
    "exits-politely": lambda images: sys.exit(3),
    "interrupts": lambda images: says(KeyboardInterrupt()),
    "base-exception": lambda images: says(BaseException("not an Exception")),
    "recurses": recurses,
    "prints": prints,
    "leaks": leaks,
    "stays": stays,
    "changes-folder": lambda images: (os.chdir("/"), images.clone())[1],
    "changes-precision": lambda images: (torch.set_default_dtype(torch.float64), images.clone())[1],
    "empty": lambda images: images[:0],
    "list": lambda images: list(images),
    "half": lambda images: images.half(),
    "tracks-gradients": lambda images: images.clone().requires_grad_(),
    "aborts": lambda images: os.abort(),
    "stops": lambda images: os.kill(os.getpid(), signal.SIGSTOP),
    "takes-all-descriptors": takes_all_descriptors,
    "closes-pipes": closes_pipes,
    "writes-into-pipes": writes_into_pipes,
    "announces": announces,
    "patches": patches,
}


class Calls:
    def __init__(self, function):
        self.function = function

    def restore(self, batch):
        return self.function(batch.degraded)


@hookimpl
def restorebench_restorers():
    return [
        RestorerInfo(name=name, version="1", summary="Rude.", load=lambda options, runtime, f=function: Calls(f))
        for name, function in {**RUDE, "hogs": hogs}.items()
    ]
