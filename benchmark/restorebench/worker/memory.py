"""The memory that a worker holds, and its peak while it restores."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_RESET_PEAK = "5"  # written to clear_refs, it resets the peak, see proc(5)


def reset_peak(device: torch.device) -> bool:
    """Reset the measured peak; return False if the system does not allow it.

    Without a reset, the peak would be that since the process started, and a small plugin would be reported with
    the memory of a large one before it.
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
    """Return the peak since the last reset in MiB: torch's allocations on a GPU, else the process's memory.

    None if the system does not report it.
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
