"""The optional `manifest.csv` of a paired root: scene and kind of each sample."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from restorebench import RestorebenchError


@dataclass(frozen=True)
class Facts:
    """What a manifest says of one sample; None where it says nothing."""

    scene: str | None = None
    kind: str | None = None


def read_manifest(root: Path) -> dict[tuple[str, str], Facts]:
    """Map (task, name) to what `manifest.csv` says; empty where there is no such file.

    Raises:
        RestorebenchError: the file cannot be read as text, or lacks one of the columns task and name.
    """
    path = root / "manifest.csv"
    if not path.is_file():
        return {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            missing = {"task", "name"} - set(table.fieldnames or ())
            rows = list(table)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RestorebenchError(f"{path}: is not a CSV file in UTF-8 ({error}); save it as one") from error
    if missing:
        raise RestorebenchError(
            f"{path}: lacks the column {', '.join(sorted(missing))}; add it or rename the file"
        )
    return {(row["task"], row["name"]): Facts(_scene(row), _kind(row.get("kind"))) for row in rows}


def _scene(row: dict[str, str]) -> str | None:
    return row.get("scene") or row.get("scene_group") or None


def _kind(text: str | None) -> str | None:
    """Map free text to `derived`, `captured`, `synthetic` or `published`; the first that fits.

    A pair is derived as soon as any part of it was: "real bracket, pairing derived here" is derived.
    """
    if not text:
        return None
    lowered = text.lower()
    if "derived" in lowered:
        return "derived"
    if lowered.startswith("real") or "captured" in lowered:
        return "captured"
    return "synthetic" if "synthetic" in lowered else "published"
