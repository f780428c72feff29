"""Published folders whose numbers may be joined with others or quoted, without restoring an image again."""

from __future__ import annotations

from pathlib import Path

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing.bundled import departure
from restorebench.publishing.folder import PublishedFolder, read_published
from restorebench.publishing.layout import MANIFEST, against_checksums, read_checksums
from restorebench.publishing.publish import not_run, shortfall
from restorebench.publishing.recompute import recompute
from restorebench.toolbox.counts import counted


def true_folder(path: Path, catalog: Catalog) -> PublishedFolder:
    """Read a published folder whose files are those of its checksums, and whose tables follow from its records.

    Raises:
        PublishedFolderError: it is not such a folder; names the first thing that does not fit.
    """
    for name, what in against_checksums(path, read_checksums(path)):
        raise PublishedFolderError(f"{path / name} {what}; publish the run again")
    published = read_published(path)
    for problem in recompute(published, catalog).problems:
        raise PublishedFolderError(
            f"{path}: {problem}; its tables do not follow from its records: publish the run again"
        )
    if other := departure(published.manifest["suite"]):
        raise PublishedFolderError(
            f"{path / MANIFEST}: {other[0]} is {other[2]}, and {other[1]} in the bundled suite of that name and"
            " version; its rows cannot be compared with others of that suite"
        )
    listed = {(cell["restorer"], cell["tell"]) for cell in published.manifest["cells"]}
    picked = {(pick["label"] or pick["name"], pick["tell"]) for pick in published.manifest["suite"]["restorers"]}
    if lacking := sorted(listed - picked):
        raise PublishedFolderError(f"{path / MANIFEST}: its suite does not list {lacking[0][0]}; publish it again")
    return published


def require_whole(published: PublishedFolder) -> None:
    """Refuse a board that lacks images, scores or tasks of its suite.

    Raises:
        PublishedFolderError: says what it lacks.
    """
    missing = not_run(published.cells)
    left = counted(missing, "image was", "images were")
    why = [f"{left} not run"] if missing else shortfall(published.board, published.cells)
    if why:
        raise PublishedFolderError(
            f"{published.path} is incomplete: {', '.join(why)}; run the whole suite, and publish it again"
        )
