"""How and where to run: what a user chooses beside a suite, and what the environment says."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from restorebench.plan import Request


@dataclass(frozen=True)
class Settings:
    """How to run a suite, apart from what it says itself. workers 0 runs in this process, for debugging."""

    out: Path | None = None
    data: Path | None = None
    device: str = "auto"
    workers: int = 1
    fresh: bool = False
    retry_failed: bool = False
    scoring_only: bool = False
    plugins: Sequence[Path] = ()
    overrides: Sequence[str] = ()
    request: Request = field(default_factory=Request)


def cache_folder() -> Path:
    """Return where plugins may keep downloads: RESTOREBENCH_HOME, else below the user's cache folder."""
    if home := os.environ.get("RESTOREBENCH_HOME"):
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "restorebench"


def offline() -> bool:
    """Tell whether downloads are forbidden: RESTOREBENCH_OFFLINE, else HF_HUB_OFFLINE."""
    return os.environ.get("RESTOREBENCH_OFFLINE", os.environ.get("HF_HUB_OFFLINE", "")) not in {"", "0"}
