"""What this machine is, as far as the system tells without torch."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path


def memory_limit_mib() -> int | None:
    """Return the memory in MiB that this process's control group allows; None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # the second and the first version
        try:
            limit = int((Path("/sys/fs/cgroup") / name).read_text())
        except (OSError, ValueError):  # not this version, or `max`
            continue
        return limit // 2**20 if limit < 2**60 else None  # the first version says no limit so
    return None


def gpus() -> list[str]:
    """Name the GPUs with their drivers and memory, as nvidia-smi says; none where it is not there."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return answer.stdout.splitlines()


def processor() -> str:
    """Return the processor's name, or an empty string."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
