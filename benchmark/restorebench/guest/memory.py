"""The memory that a process holds, and its peak while it restores."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import torch

_RESET_PEAK = "5"  # written to clear_refs, it resets the peak, see proc(5)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of mallopt(3)
_LARGEST_KEPT = 32 << 20


def keep_freed() -> None:
    """Let this process keep blocks that it has freed for the next image, from the start.

    glibc adapts to large blocks by itself, but slowly: until then each image of 256 px costs 2 ms for pages that
    the kernel takes back and gives again. The values are the highest that it would adapt to.
    """
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if adjust is not None:
        adjust(_MMAP_THRESHOLD, _LARGEST_KEPT)
        adjust(_TRIM_THRESHOLD, 2 * _LARGEST_KEPT)


def reset_peak(device: torch.device, process: int | str = "self") -> bool:
    """Reset the measured peak; return False if the system does not allow it. process: its number, if not this one.

    Without a reset, the peak would be that since the process started, and a small plugin would be reported with
    the memory of a large one before it.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        Path(f"/proc/{process}/clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def peak_mib(device: torch.device, process: int | str = "self") -> float | None:
    """Return the peak since the last reset in MiB: torch's allocations on a GPU, else the process's memory.

    None if the system does not report it.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return None
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return None if line is None else int(line.split()[1]) / 1024  # in kB


def resident_mib(process: int | str = "self") -> float:
    """Return the memory a process holds now, in MiB; 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
