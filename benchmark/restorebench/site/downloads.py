"""The files that a site offers to download: what was published, LaTeX tables and BibTeX."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing.layout import CHECKSUMS, IMAGES, MANIFEST, PAGE, SIGNATURE, SUITE
from restorebench.publishing.writing import write_tables
from restorebench.site.boards import SiteBoard
from restorebench.site.cards import bibtex
from restorebench.site.gallery import FILES
from restorebench.toolbox.files import atomic_write_text

CITATIONS = "citations.bib"
_LATEX = "latex"
_SUFFIXES = frozenset({".csv", ".json", ".yaml", ".md", ".webp"})
_SAID = {
    "leaderboard.csv": "every row of the board: means, intervals, gains, ranks",
    "records.csv": "the scores of every image",
    "comparisons.csv": "every pair of rows that was compared",
    "telling.csv": "what it brings to tell a restorer the degradation",
    "regret.csv": "what a detector's mistakes cost",
    "detectors.csv": "the scores of detectors by task",
    "labels.csv": "the scores of detectors by label",
    "confusion.csv": "what detectors say of each task",
    "detections.csv": "what detectors say of each image",
    "cost.csv": "time, memory and parameters",
    "executions.csv": "how each image was computed",
    "samples.csv": "the images, their scenes and kinds",
    "failures.csv": "what failed, and why",
    MANIFEST: "options, weights, digests and versions",
    SUITE: "the suite as it was run",
    PAGE: "all tables as Markdown, and credits",
    CHECKSUMS: "the sha256 of every file",
    SIGNATURE: "the signature of the checksums",
    CITATIONS: "what to cite, as BibTeX",
}


@dataclass(frozen=True)
class Download:
    """A file. link: relative to the page of the board."""

    name: str
    link: str
    size: int
    says: str

    @property
    def shown_size(self) -> str:
        return f"{self.size / 1e6:.1f} MB" if self.size >= 1e6 else f"{max(self.size / 1e3, 0.1):.1f} kB"


def write_downloads(site: Path, board: SiteBoard, catalog: Catalog) -> tuple[list[Download], list[str]]:
    """Write the files of a board into a site; return those to list, and the names of files that were left out.

    Raises:
        PublishedFolderError: a file of the published folder is a link out of it.
    """
    folder = site / board.place
    left_out = _copy(board, folder / FILES)
    latex = folder / _LATEX
    latex.mkdir(parents=True, exist_ok=True)
    write_tables(catalog, board.tables, latex, "latex")
    atomic_write_text(folder / CITATIONS, bibtex(catalog, board))
    return list(_listed(folder)), left_out


def _copy(board: SiteBoard, to: Path) -> list[str]:
    """Copy what was published. Files that `publish` does not write, such as pages, are left out."""
    source, left_out = board.folder.path, []
    names = [*board.files, CHECKSUMS, *([SIGNATURE] if (source / SIGNATURE).is_file() else [])]
    for name in names:
        known = name in (CHECKSUMS, SIGNATURE) or PurePosixPath(name).suffix in _SUFFIXES
        if not known:
            left_out.append(name)
            continue
        if not (source / name).resolve().is_relative_to(source.resolve()):
            raise PublishedFolderError(f"{source / name} is a link out of the folder; publish the file itself")
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, to / name)
    return left_out


def _listed(folder: Path) -> Iterator[Download]:
    """Yield the files to list: the citations, LaTeX, then what was published, without its images."""
    yield _download(folder, CITATIONS, _SAID[CITATIONS])
    for path in sorted((folder / _LATEX).iterdir(), key=lambda path: (path.name != "leaderboard.tex", path.name)):
        what = "all tables, to compile" if path.name == "leaderboard.tex" else "a table to \\input into a paper"
        yield _download(folder, f"{_LATEX}/{path.name}", what)
    files = [path.relative_to(folder / FILES).as_posix() for path in (folder / FILES).rglob("*") if path.is_file()]
    order = list(_SAID)
    for name in sorted(files, key=lambda name: (order.index(name) if name in order else len(order), name)):
        if not name.startswith(f"{IMAGES}/"):
            yield _download(folder, f"{FILES}/{name}", _SAID.get(name, ""))


def _download(folder: Path, name: str, says: str) -> Download:
    return Download(name.rpartition("/")[2], quote(name), (folder / name).stat().st_size, says)
