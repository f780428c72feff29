"""The optional `manifest.csv` of a paired root: scene and kind of each sample."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from restorebench import TEN_NAMES, RestorebenchError, components, composite
from restorebench.toolbox.counts import counted
from restorebench.toolbox.images import SUFFIXES
from restorebench_datasets.samples import few

KINDS = ("captured", "published", "derived", "synthetic")

_PAIRING = re.compile(r"\bpairing \w+ here\b")  # says nothing about how the images themselves were made
_MADE_HERE = re.compile(r"\bhere\b|\bderived\b|^standard-protocol\b")


@dataclass(frozen=True)
class Facts:
    """The facts that a manifest gives about one sample; None for a fact that it does not give."""

    scene: str | None = None
    kind: str | None = None


def read_manifest(root: Path, task: str, ids: Collection[str]) -> dict[str, Facts]:
    """Map the ids of a task's samples to the facts in `manifest.csv`; empty if there is no such file.

    A row names its sample by id, or by id and extension: `a` or `a.png`. The parts of a mixture may be in any
    order.

    Raises:
        RestorebenchError: the file is not text, or lacks the column task or name; a row of this task matches no
            sample, or two match one; or a row has a task that is neither one of the ten nor a folder.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        return {}
    found: dict[str, Facts] = {}
    unknown_tasks: list[str] = []
    unmatched: list[str] = []
    repeated: list[str] = []
    for row in _rows(path):
        named = composite(components(row["task"].strip().lower()))
        if named != task:
            if not row["task"] or not (set(components(named)) <= set(TEN_NAMES) or (root / row["task"]).is_dir()):
                unknown_tasks.append(row["task"] or "(empty)")
            continue
        name = _id(row["name"], ids)
        if name is None:
            unmatched.append(row["name"])
            continue
        if name in found:
            repeated.append(row["name"])
        found[name] = Facts(row.get("scene") or row.get("scene_group") or None, _kind(row.get("kind")))
    complaints = {
        "whose task is neither known nor a folder": list(dict.fromkeys(unknown_tasks)),
        f"of {task} without a sample": unmatched,
        f"of {task} for a sample that already has a row": repeated,
    }
    problems = [
        f"{counted(len(names), 'row')} {what}: {few(names)}" for what, names in complaints.items() if names
    ]
    if problems:
        raise RestorebenchError(f"{path}: {'; '.join(problems)}; correct or remove these rows")
    return found


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file, restval="")
            missing = {"task", "name"} - set(table.fieldnames or ())
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RestorebenchError(f"{path}: is not a CSV file in UTF-8 ({error}); save it as one") from error
    if missing:
        raise RestorebenchError(
            f"{path}: lacks the column {', '.join(sorted(missing))}; add it or rename the file"
        )
    return rows


def _id(name: str, ids: Collection[str]) -> str | None:
    """Return the id that a row names, with or without an image's extension; None if there is no such id."""
    if name in ids:
        return name
    plain = PurePosixPath(name)
    stem = plain.with_suffix("").as_posix() if plain.suffix.lower() in SUFFIXES else name
    return stem if stem in ids else None


def _kind(text: str | None) -> str | None:
    """Return one of `KINDS`: the word itself, or the kind that free text describes.

    The kind is derived if the text says that either image was made "here", is derived, or follows a
    "standard-protocol", which is a recipe for making it. The words "pairing derived here" do not count, as they
    say nothing about the images.
    """
    if not text or not text.strip():
        return None
    lowered = text.strip().lower()
    if lowered in KINDS:
        return lowered
    if _MADE_HERE.search(_PAIRING.sub("", lowered)):
        return "derived"
    if lowered.startswith("real") or "captured" in lowered:
        return "captured"
    return "synthetic" if "synthetic" in lowered else "published"
