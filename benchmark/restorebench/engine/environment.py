"""The software and hardware that compute a run: package versions that results depend on, and the machine.

It does not import torch.
"""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = (
    "restorebench",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-image",
    "pandas",
    "pillow",
    "tifffile",
    "lpips",
    "open_clip_torch",
    "pluggy",
    "pydantic",
)


def environment(workers: int, device: str, engine: str) -> dict[str, Any]:
    """Describe the software and hardware of a run, as JSON-ready data.

    device is the one asked for; cost.csv has the one that each image was computed on. memory_limit_mib: limit of
    this process's control group, None without one. gpus: name, driver and memory of each, from nvidia-smi.
    """
    return {
        "engine": engine,
        "workers": workers,
        "device": device,
        "versions": installed(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "memory_limit_mib": memory_limit_mib(),
        "gpus": gpus(),
        "git_commit": git_commit(Path(__file__).resolve().parent),
    }


def installed() -> dict[str, str]:
    """Return the version of each package that results depend on; empty if it is not installed."""
    return {name: version(name) for name in _PACKAGES}


def version(package: str) -> str:
    """Return the installed version of a package, or an empty string."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def git_commit(folder: Path) -> str:
    """Return the commit of a checkout, with `+` if it has changes; empty outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return described.stdout.strip()


def memory_limit_mib() -> int | None:
    """Return the memory in MiB that this process's control group allows; None without a limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # cgroup version 2, version 1
        try:
            limit = int((Path("/sys/fs/cgroup") / name).read_text())
        except (OSError, ValueError):  # another version, or `max`
            continue
        return limit // 2**20 if limit < 2**60 else None  # version 1 writes a huge number for no limit
    return None


def gpus() -> list[str]:
    """Return name, driver and memory of each GPU, from nvidia-smi; empty if there is no nvidia-smi."""
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
