"""The folder for downloads, and whether downloads are allowed, for programs other than a run.

A plugin in a run takes both from its `Runtime`.
"""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return where plugins may keep downloads: RESTOREBENCH_HOME, else below the user's cache folder."""
    if home := os.environ.get("RESTOREBENCH_HOME"):
        return Path(home).absolute()  # processes with another working folder must find the same folder
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "restorebench"


def offline() -> bool:
    """Tell whether downloads are forbidden: RESTOREBENCH_OFFLINE, else HF_HUB_OFFLINE."""
    return os.environ.get("RESTOREBENCH_OFFLINE", os.environ.get("HF_HUB_OFFLINE", "")) not in {"", "0"}
