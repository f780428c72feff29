"""Published folders -> a site: static pages that load nothing from elsewhere. Read this first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from restorebench.contract.catalog import Catalog, require_unbroken
from restorebench.engine.environment import version
from restorebench.plan.discovery import discovered
from restorebench.plan.plan import Plan
from restorebench.publishing.publish import draft
from restorebench.publishing.signing import require_signers
from restorebench.site import figures, target
from restorebench.site.boards import SiteBoard, find_boards, read_board
from restorebench.site.detectors import SHADES, Detector, detectors_of, overall
from restorebench.site.downloads import CITATIONS, write_downloads
from restorebench.site.front import entry_of
from restorebench.site.gallery import gallery_of
from restorebench.site.methods import Method, methods_of
from restorebench.site.names import detector_link, detector_page, method_link, method_page
from restorebench.site.rendering import Pages
from restorebench.site.rows import Table, table_of

MOST_SHOWN = 200
"""How many rows a board shows before the reader asks for more; board.js has the same."""


TITLE = "restorebench"
NO_FIGURES = "no figures: they need the extra report: pip install 'restorebench[report]'"


@dataclass(frozen=True)
class Site:
    """A site that was made. notes: what it lacks, such as figures without the extra that draws them."""

    folder: Path
    boards: int
    pages: int
    notes: tuple[str, ...]


def build(
    results: str | Path,
    out: str | Path = "public",
    *,
    title: str = TITLE,
    plugins: Sequence[str | Path] = (),
    signers: str | Path | None = None,
) -> Site:
    """Make a site of every `SUITE/VERSION` below `results`, which `publish` wrote.

    out: the folder of the site; one that this function made before is replaced, and other files in it stay. title:
    shown on every page. plugins: plugin files whose cards tell of methods. signers: a file with a line
    `NAME KEYTYPE KEY` for everybody whose signature is shown with the name.

    Raises:
        RestorebenchError: a folder is damaged, or the site cannot be written.
    """
    paths = [Path(plugin) for plugin in plugins]
    catalog = discovered(paths)
    require_unbroken(catalog, paths)
    trusted = None if signers is None else Path(signers)
    if trusted is not None:
        require_signers(trusted)
    boards = find_boards(Path(results), trusted)
    notes: list[str] = []
    if not figures.can_draw():
        notes.append(NO_FIGURES)
    with target.replaced(Path(out), [board.folder.path for board in boards]) as folder:
        pages = _pages(folder, title)
        tables = [(board, table_of(board)) for board in boards]
        pages.write("index.html", "front.html", boards=[entry_of(board, table) for board, table in tables])
        _write(pages, folder, tables, catalog, notes)
        count = sum(1 for _ in folder.rglob("*.html"))
    return Site(Path(out), len(boards), count, tuple(notes))


def build_of_run(run: str | Path, plan: Plan, out: str | Path) -> Site:
    """Make the pages of one run that is not published: its board is the first page, and a mark on each says so.

    plan: of the run, as it is now. out: as in `build`.

    Raises:
        RestorebenchError: the run lacks something, or the pages cannot be written.
    """
    notes = [] if figures.can_draw() else [NO_FIGURES]
    with target.replaced(Path(out), (), target.RUN_PAGE) as folder, TemporaryDirectory() as drafted:
        lacking = draft(Path(run), plan, Path(drafted))
        board = read_board(Path(drafted), alone=True)
        pages = _pages(folder, TITLE, published=False, lacking=lacking)
        _write(pages, folder, [(board, table_of(board))], plan.catalog, notes)
        count = sum(1 for _ in folder.rglob("*.html"))
    return Site(Path(out), 1, count, tuple(notes))


def _pages(folder: Path, title: str, *, published: bool = True, lacking: Sequence[str] = ()) -> Pages:
    """Return the pages of a site. lacking: how a run that is not published is not the whole of its suite."""
    shown = {
        "site_title": title,
        "version": version("restorebench"),
        "method_link": method_link,
        "detector_link": detector_link,
        "shades": SHADES,
        "unpublished": not published,
        "lacking": lacking,
    }
    return Pages(folder, shown)


def _write(
    pages: Pages,
    folder: Path,
    tables: Sequence[tuple[SiteBoard, Table]],
    catalog: Catalog,
    notes: list[str],
) -> None:
    """Write everything but the front page."""
    pages.write_assets()
    boards = [board for board, _ in tables]
    methods, detectors = methods_of(tables, catalog), detectors_of(boards, catalog)
    for board, table in tables:
        _write_board(pages, folder, board, table, catalog, notes)
    _write_methods(pages, methods, detectors)


def _write_board(
    pages: Pages, folder: Path, board: SiteBoard, table: Table, catalog: Catalog, notes: list[str]
) -> None:
    files, left_out = write_downloads(folder, board, catalog)
    notes += [f"{board.title}: {name} is no file that `publish` writes, and was left out" for name in left_out]
    gallery = gallery_of(board)
    entry = entry_of(board, table)
    pages.write(
        board.file(),
        "board.html",
        board=board,
        entry=entry,
        table=table,
        most_shown=MOST_SHOWN,
        figures=figures.figures_of(board, catalog, len(table.rows), [each.row.name for each in entry.drawn]),
        can_draw=figures.can_draw(),
        detectors=overall(board),
        files=files,
        citations=CITATIONS,
        has_images=bool(gallery["places"]),
    )
    pages.write(board.file("gallery.html"), "gallery.html", board=board, gallery=gallery)


def _write_methods(pages: Pages, methods: Sequence[Method], detectors: Sequence[Detector]) -> None:
    pages.write("methods/index.html", "methods.html", methods=methods)
    for method in methods:
        pages.write(method_page(method.name), "method.html", method=method)
    pages.write("detectors/index.html", "detectors.html", detectors=detectors)
    for detector in detectors:
        pages.write(detector_page(detector.name), "detector.html", detector=detector)
