"""Who published each row of a folder that joins rows of several, and with which versions and hardware."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from restorebench.publishing.folder import PublishedFolder
from restorebench.publishing.layout import CHECKSUMS
from restorebench.toolbox.files import file_digest

PROVENANCE = "provenance"
"""The key of a manifest that holds it: `folders`, by the sha256 of their checksums, and `rows`, by name."""

_FACTS = ("published_with", "processor", "gpus", "platform", "python", "versions", "code", "git_commit")
"""What is kept of the manifest of a folder that rows came from."""


def of_rows(published: PublishedFolder, by: str = "") -> dict[str, Any]:
    """Return the provenance of the rows of a published folder. Rows that it was joined from keep their own.

    by: who published it.
    """
    about = published.manifest
    itself = file_digest(published.path / CHECKSUMS)
    told = about.get(PROVENANCE) or {"folders": {}, "rows": {}}
    facts = {key: about[key] for key in _FACTS if key in about} | ({"by": by} if by else {})
    folders = {**told["folders"], itself: facts}
    rows = {cell.name: itself for cell in published.board.cells}
    rows |= {name: folder for name, folder in told["rows"].items() if name in rows and folder in folders}
    return {"folders": {folder: folders[folder] for folder in dict.fromkeys(rows.values())}, "rows": rows}


def facts_of(manifest: Mapping[str, Any], row: str) -> Mapping[str, Any]:
    """Return what is known of the folder that a row came from: the manifest itself where none was joined."""
    provenance = manifest.get(PROVENANCE)
    if provenance is None:
        return manifest
    facts: Mapping[str, Any] = provenance["folders"].get(provenance["rows"].get(row), {})
    return facts
