"""The published folders that a site shows: found, checked against their checksums, and their tables computed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from restorebench.contract.errors import PublishedFolderError
from restorebench.journal.layout import safe_name
from restorebench.publishing.folder import PublishedFolder, read_manifest, read_published
from restorebench.publishing.layout import MANIFEST, against_checksums, read_checksums
from restorebench.site.about import About, about_of
from restorebench.site.signatures import Signature, signature_of
from restorebench.tables.build import Tables, tables_of


@dataclass(frozen=True)
class SiteBoard:
    """A published suite version. files: those that its checksums list.

    place: its folder in the site; empty where it is all of the site. signature: None where it is not signed.
    """

    folder: PublishedFolder
    tables: Tables
    about: About
    place: str
    files: tuple[str, ...]
    signature: Signature | None = None

    @property
    def suite(self) -> str:
        return self.tables.board.suite

    @property
    def version(self) -> str:
        return self.tables.board.version

    @property
    def title(self) -> str:
        return f"{self.suite} {self.version}"

    def file(self, page: str = "index.html") -> str:
        """Return the path of one of its pages in the site."""
        return f"{self.place}/{page}" if self.place else page

    def link(self, page: str = "index.html") -> str:
        """Return the address of one of its pages or files, relative to the front page."""
        return quote(self.file(page))


def find_boards(results: Path, signers: Path | None = None) -> list[SiteBoard]:
    """Read every `SUITE/VERSION` below a folder; suites by name, the newest version of each first.

    signers: as in `signature_of`.

    Raises:
        PublishedFolderError: there is none, or one is damaged or not as its checksums or its signature say.
    """
    found = {path.parent for path in results.glob(f"*/*/{MANIFEST}") if path.is_file()}
    folders = sorted(path for path in found if not path.name.startswith("."))  # `publish` is making one
    if not folders:
        raise PublishedFolderError(_nothing(results))
    boards: dict[str, SiteBoard] = {}
    for folder in folders:
        board = replace(read_board(folder), signature=signature_of(folder, signers))
        if board.place in boards:
            first = boards[board.place].folder.path
            raise PublishedFolderError(f"{folder} and {first} are both {board.title}; remove one of them")
        boards[board.place] = board
    newest_first = sorted(boards.values(), key=lambda board: _natural(board.version), reverse=True)
    return sorted(newest_first, key=lambda board: board.suite)


def _nothing(results: Path) -> str:
    """Say why a folder has no boards.

    Raises:
        PublishedFolderError: it holds runs that are not published.
    """
    if not results.is_dir():
        return f"{results} is no folder; give the one in which `restorebench publish` made SUITE/VERSION"
    for above, found in (
        (results.parent.parent, [results / MANIFEST]),
        (results.parent, results.glob(f"*/{MANIFEST}")),
    ):
        if there := [path.parent for path in found if path.is_file()]:
            read_manifest(there[0])
            return f"{results} is inside the folder of published suites; give {above}"
    return f"{results} has no SUITE/VERSION/{MANIFEST}; `restorebench publish RUN --to {results}` makes one"


def read_board(folder: Path, alone: bool = False) -> SiteBoard:
    """Read a published folder. alone: it is all of the site.

    Raises:
        PublishedFolderError: it is damaged or not as its checksums say.
    """
    listed = read_checksums(folder)
    for name, what in against_checksums(folder, listed):
        raise PublishedFolderError(f"{folder / name} {what}; `restorebench verify {folder}` says more")
    published = read_published(folder)
    tables = tables_of(published.board, published.cells, published.detections)
    place = f"boards/{safe_name(published.board.suite)}/{safe_name(published.board.version)}"
    return SiteBoard(published, tables, about_of(published), "" if alone else place, tuple(listed))


def _natural(version: str) -> list[tuple[bool, int, str]]:
    """Return a key by which 10 comes after 9."""
    parts = re.findall(r"[0-9]+|[^0-9]+", version)
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
