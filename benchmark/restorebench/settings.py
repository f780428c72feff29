"""How and where to run: what a user chooses beside a suite, and what the environment says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from restorebench.plan import Request
from restorebench.toolbox.places import cache_folder as cache_folder
from restorebench.toolbox.places import offline as offline


@dataclass(frozen=True)
class Settings:
    """How to run a suite, apart from what it says itself.

    workers: 0 runs in this process, for debugging. one_off: a command on files, whose task is only a label; what
    it takes is neither told nor remembered.
    """

    out: Path | None = None
    data: Path | None = None
    device: str = "auto"
    workers: int = 1
    fresh: bool = False
    retry_failed: bool = False
    scoring_only: bool = False
    one_off: bool = False
    plugins: Sequence[Path] = ()
    overrides: Sequence[str] = ()
    request: Request = field(default_factory=Request)
