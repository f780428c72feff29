"""How and where to run a suite: the choices of the user, and the settings in the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from restorebench.toolbox.places import cache_folder as cache_folder
from restorebench.toolbox.places import offline as offline


@dataclass(frozen=True)
class Request:
    """The part of a suite to run, as chosen on the command line, and the data roots.

    added: restorers, `NAME` or `NAME:TELL`, that run although the suite does not list them.
    """

    tasks: tuple[str, ...] | None = None
    restorers: tuple[str, ...] | None = None
    added: tuple[str, ...] = ()
    limit: int | None = None
    roots: Mapping[str, Path] | None = None


@dataclass(frozen=True)
class Settings:
    """How to run a suite, apart from the keys of the suite itself.

    >>> here = Settings(workers=0)  # no worker process: quick for a few images
    >>> here.device
    'auto'

    workers: 0 runs in this process, for debugging. engine: `local` or `ray`; only `ray` uses the next two.
    address: of the Ray cluster to join; None starts one on this machine. gpus_per_worker: GPUs that each worker
    requests from Ray, which may be a fraction; None divides all GPUs evenly. one_off: a command on single files,
    whose task is only a label; its costs are neither reported nor remembered.
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
