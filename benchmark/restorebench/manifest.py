"""What a run was made with: the resolved suite, versions, hardware and digests, for others to verify."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from restorebench.plan import Plan

_PACKAGES = (
    "restorebench",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-image",
    "pandas",
    "pillow",
    "lpips",
    "open_clip_torch",
    "pluggy",
    "pydantic",
)


def environment(workers: int, device: str) -> dict[str, Any]:
    """Describe what computes a run, as JSON-ready data: software, hardware and how it is used."""
    return {
        "workers": workers,
        "device": device,
        "versions": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_mib": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        "git_commit": git_commit(Path(__file__).resolve().parent),
    }


def manifest(plan: Plan, computed_with: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a run as JSON-ready data. computed_with: the `environment` of its numbers."""
    return {
        "suite": plan.suite.model_dump(mode="json"),
        "source": Path(plan.loaded.source).name,
        "roots": {name: str(path) for name, path in plan.roots.items()},
        **computed_with,
        "columns": {column.name: column.digest or column.unavailable for column in plan.columns},
        "data": {f"{c.data.label}/{c.data.task}": c.data.digest for c in plan.restorer_cells},
        "cells": [
            {
                "restorer": cell.label,
                "plugin": cell.entry.plugin,
                "version": cell.card.version,
                "options": dict(cell.options),
                "tell": cell.tell,
                "task": cell.data.task,
                "dataset": cell.data.label,
                "digest": cell.digest,
            }
            for cell in plan.restorer_cells
        ],
    }


def version(package: str) -> str:
    """Return the installed version of a package, or an empty string."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def git_commit(folder: Path) -> str:
    """Return the commit a checkout is at, with `+` when it has changes; empty outside a checkout."""
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


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
