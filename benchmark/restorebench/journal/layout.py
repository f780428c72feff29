"""Names of files and folders inside a run folder. Sample ids come from data and may contain any characters.

Different names always give different files. A name that is kept unchanged never contains `~` or `,`, so these can
mark replaced names and join parts. Names that differ only in case need a case-sensitive file system, as on Linux.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from restorebench.toolbox.digests import digest

SCORES = "scores"
"""The folder below a run folder for the tables of `score RUN`; the run's own tables do not change."""

ESTIMATE = "estimate.csv"
"""The file in a run folder with the expected and the actual costs of each cell of the last run."""

COSTS = "costs.json"
"""The file in the cache folder with the costs of cells in earlier runs on this machine."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._@+=-]")
_LONGEST = 60  # three names with their digests, and a cell's digest, fit into the 255 bytes of a file name


def safe_name(name: str) -> str:
    """Turn any text into a file name: unsafe characters become `_`, and `~` with a digest keeps names distinct."""
    safe = _UNSAFE.sub("_", name)[:_LONGEST].lstrip(".")
    return safe if safe == name else f"{safe}~{digest(name)}"


def outputs_folder(dataset: str, task: str, label: str, tell: str, cell: str) -> str:
    """Return the folder of a cell's restored images, relative to the run folder."""
    parts = (safe_name(dataset), safe_name(task), f"{safe_name(label)},{safe_name(tell)},{cell[:8]}")
    return str(PurePosixPath("outputs", *parts))


def output_name(sample: str, repetition: int) -> str:
    """Return the file name of one restored image."""
    return safe_name(sample) + (f",r{repetition}" if repetition else "") + ".png"


def triples_folder(dataset: str, task: str, data: str) -> str:
    """Return the folder of a task's triples, relative to the run folder; other data or seeds have their own."""
    return str(PurePosixPath("samples", safe_name(dataset), f"{safe_name(task)},{data[:8]}"))


def triple_name(sample: str, label: str, tell: str, cell: str) -> str:
    """Return the file name of the restored image of a triple."""
    return f"{safe_name(sample)},{safe_name(label)},{safe_name(tell)},{cell[:8]}.png"


def environment_key(scoring_only: bool) -> str:
    """Return the journal's key for the environment of its numbers, or of scores that were computed later."""
    return "environment of scores" if scoring_only else "environment"
