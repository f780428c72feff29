"""The README.md of a published folder: its tables, what they were computed with, and how to verify them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restorebench.publishing.images import Kept
from restorebench.tables.build import Tables


def page(leaderboard: str, tables: Tables, about: Mapping[str, Any], kept: Kept) -> str:
    """Return the page as Markdown. leaderboard: the tables as the reporter of that name writes them.

    about: the manifest.
    """
    rows = len({cell.name for cell in tables.board.cells})
    failed = len(tables.failures.drop(columns=["score", "reason"]).drop_duplicates())
    parts = [leaderboard.rstrip(), "## How these numbers were made", _made(about, rows, failed)]
    return "\n\n".join([*parts, "## Verify them", _verify(kept)]) + "\n"


def _made(about: Mapping[str, Any], rows: int, failed: int) -> str:
    versions = about.get("versions") or {}
    lines = [
        f"{rows} rows on {len(about['suite']['tasks'])} tasks, seed {about['suite']['seed']}; {failed} failures.",
        f"restorebench {versions.get('restorebench', '?')}, torch {versions.get('torch', '?')},"
        f" Python {about.get('python', '?')}, {about.get('processor') or 'an unnamed processor'},"
        f" {', '.join(about.get('gpus') or ()) or 'no GPU'}.",
        "`suite.yaml` is the suite as it was run; `manifest.json` has all options, weights, digests and versions.",
    ]
    return "\n".join(f"* {line}" for line in lines)


def _verify(kept: Kept) -> str:
    text = (
        "```\nrestorebench verify .           # two images of each task are restored again\n"
        "restorebench verify . --full    # every image\n```"
    )
    lines = [*(f"* {note}" for note in kept.notes), *(f"* Images: {credit}." for credit in kept.credits)]
    return "\n\n".join([text, "\n".join(lines)]) if lines else text
