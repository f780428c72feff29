"""Names of files and folders inside a run folder. Sample ids come from data and may hold anything.

Two names never become one: `~` and `,` are in no name that is kept as it is, so they can mark what was replaced
and join parts. Names that differ in case only need a file system that tells them apart, as Linux's own do.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from restorebench.toolbox.digests import digest

SCORES = "scores"
"""Where below a run folder the tables of `score RUN` go: the run's own stay as they are."""

ESTIMATE = "estimate.csv"
"""In a run folder: what each cell of the last run was expected to take, beside what it took."""

COSTS = "costs.json"
"""In the cache folder: what cells of earlier runs took on this machine."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._@+=-]")
_LONGEST = 60  # three of them with their digests, and a cell's, fit into the 255 bytes of a file name


def safe_name(name: str) -> str:
    """Turn any text into one file name: unsafe characters become `_`, and `~` with a digest keeps names apart."""
    safe = _UNSAFE.sub("_", name)[:_LONGEST].lstrip(".")
    return safe if safe == name else f"{safe}~{digest(name)}"


def outputs_folder(dataset: str, task: str, label: str, tell: str, cell: str) -> str:
    """Return where a cell's restored images go, relative to the run folder."""
    parts = (safe_name(dataset), safe_name(task), f"{safe_name(label)},{safe_name(tell)},{cell[:8]}")
    return str(PurePosixPath("outputs", *parts))


def output_name(sample: str, repetition: int) -> str:
    """Name one restored image."""
    return safe_name(sample) + (f",r{repetition}" if repetition else "") + ".png"


def triples_folder(dataset: str, task: str, data: str) -> str:
    """Return where a task's triples go below the run folder; those of other data or another seed go elsewhere."""
    return str(PurePosixPath("samples", safe_name(dataset), f"{safe_name(task)},{data[:8]}"))


def triple_name(sample: str, label: str, tell: str, cell: str) -> str:
    """Name the restored image of a triple."""
    return f"{safe_name(sample)},{safe_name(label)},{safe_name(tell)},{cell[:8]}.png"


def environment_key(scoring_only: bool) -> str:
    """Name the fact of a journal that says what its numbers, or its scores made later, were computed with."""
    return "environment of scores" if scoring_only else "environment"
