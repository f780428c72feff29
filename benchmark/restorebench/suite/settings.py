"""How and where to run: what a user chooses beside a suite, and what the environment says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from restorebench.toolbox.places import cache_folder as cache_folder
from restorebench.toolbox.places import offline as offline


@dataclass(frozen=True)
class Request:
    """What the command line asks of a suite beyond its file."""

    tasks: tuple[str, ...] | None = None
    restorers: tuple[str, ...] | None = None
    limit: int | None = None
    roots: Mapping[str, Path] | None = None


@dataclass(frozen=True)
class Settings:
    """How to run a suite, apart from what it says itself.

    workers: 0 runs in this process, for debugging. engine: `local`, or `ray`, which alone takes the next two.
    address: of a Ray to join; None starts one on this machine. gpus_per_worker: what each asks Ray for, also
    fractions; None gives each as much as there is for all. one_off: a command on files, whose task is only a
    label; what it takes is neither told nor remembered.
    """

    out: Path | None = None
    data: Path | None = None
    device: str = "auto"
    workers: int = 1
    engine: str = "local"
    address: str | None = None
    gpus_per_worker: float | None = None
    fresh: bool = False
    retry_failed: bool = False
    scoring_only: bool = False
    one_off: bool = False
    plugins: Sequence[Path] = ()
    overrides: Sequence[str] = ()
    request: Request = field(default_factory=Request)
