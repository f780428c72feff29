"""How much memory a worker holds, and held at most while it restored."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_RESET_PEAK = "5"  # what Linux wants to hear in clear_refs, see proc(5)


def reset_peak(device: torch.device) -> bool:
    """Start to measure the peak anew; false where the system does not let a process do that.

    Without it the peak would be the process's since it started, and a small plugin would be shown with what
    a large one before it took.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_mib(device: torch.device) -> float | None:
    """Return the peak since the last reset in MiB: what torch allocated on a GPU, else all the process held.

    None where the system does not tell.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) / 1024  # in kB


def resident_mib() -> float:
    """Return the memory this process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
