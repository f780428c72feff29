"""The README.md of a published folder: its tables, what they were computed with, and how to verify them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from restorebench.publishing.provenance import PROVENANCE
from restorebench.tables.build import Tables
from restorebench.toolbox.cells import visible
from restorebench.toolbox.counts import counted

_SHOWN = 12
"""Characters of a checksum that the page shows."""


def page(leaderboard: str, tables: Tables, about: Mapping[str, Any]) -> str:
    """Return the page as Markdown. leaderboard: the tables as the reporter of that name writes them.

    about: the manifest.
    """
    rows = len({cell.name for cell in tables.board.cells})
    failed = len(tables.failures.drop(columns=["score", "reason"]).drop_duplicates())
    parts = [leaderboard.rstrip(), "## How these numbers were made", _made(about, rows, failed)]
    if PROVENANCE in about:
        parts += ["## Who published which rows", _published_by(about[PROVENANCE])]
    return "\n\n".join([*parts, "## Verify them", _verify(about.get("images") or {})]) + "\n"


def _made(about: Mapping[str, Any], rows: int, failed: int) -> str:
    tasks = counted(len(about["suite"]["tasks"]), "task")
    lines = [
        f"{counted(rows, 'row')} on {tasks}, seed {about['suite']['seed']}; {counted(failed, 'failure')}.",
        f"{_computed_with(about)}.",
        "`suite.yaml` is the suite as it was run; `manifest.json` has all options, weights, digests and versions.",
    ]
    return "\n".join(f"* {line}" for line in (lines if PROVENANCE not in about else [lines[0], lines[2]]))


def _computed_with(about: Mapping[str, Any]) -> str:
    versions = about.get("versions") or {}
    return (
        f"restorebench {versions.get('restorebench', '?')}, torch {versions.get('torch', '?')},"
        f" Python {about.get('python', '?')}, {about.get('processor') or 'an unnamed processor'},"
        f" {', '.join(about.get('gpus') or ()) or 'no GPU'}"
    )


def _published_by(provenance: Mapping[str, Any]) -> str:
    """List the folders that rows were joined from."""
    rows: dict[str, list[str]] = {}
    for name, folder in provenance["rows"].items():
        rows.setdefault(folder, []).append(name)
    lines = []
    for folder, names in rows.items():
        facts = provenance["folders"].get(folder, {})
        who = facts.get("by") or "a folder"
        lines.append(f"{', '.join(names)}: {who} with checksums {folder[:_SHOWN]}, {_computed_with(facts)}")
    return "\n".join(f"* {plain(line)}" for line in lines)


def plain(text: str) -> str:
    """Return a text of somebody else so that Markdown shows it as it is."""
    return re.sub(r"([\\`*_\[\]<>&|#])", r"\\\1", " ".join(visible(text).split()))


def _verify(images: Mapping[str, Any]) -> str:
    text = (
        "```\nrestorebench verify .           # two images of each task are restored again\n"
        "restorebench verify . --full    # every image\n```"
    )
    lines = [
        *(f"* {note}" for note in images.get("notes") or ()),
        *(f"* Images: {credit}." for credit in images.get("credits") or ()),
    ]
    return "\n\n".join([text, "\n".join(lines)]) if lines else text
