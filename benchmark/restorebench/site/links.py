"""Find the dead links of a made site: files that are missing, and anchors that a page does not have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from restorebench.contract.errors import RestorebenchError

_HOLDING = {"href", "src"}


@dataclass(frozen=True)
class DeadLink:
    """A link that leads nowhere. page: relative to the site. why: such as `no such file`."""

    page: str
    link: str
    why: str

    def __str__(self) -> str:
        return f"{self.page}: {self.link}: {self.why}"


class _Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in _HOLDING and value is not None:
                self.links.append(value)
                if name == "src" or tag == "link":
                    self.loaded.add(value)
            elif name == "id" and value:
                self.anchors.add(value)


def dead_links(site: Path) -> list[DeadLink]:
    """Return every link of a site that leads nowhere, or to a file out of it; other sites are not asked.

    Raises:
        RestorebenchError: the folder has no pages.
    """
    pages = {path.relative_to(site).as_posix(): _read(path) for path in sorted(site.rglob("*.html"))}
    if "index.html" not in pages:
        raise RestorebenchError(f"{site} has no index.html; give the folder that `restorebench site` made")
    return [dead for name, page in pages.items() for dead in _dead(site, name, page, pages)]


def _read(path: Path) -> _Page:
    page = _Page()
    try:
        page.feed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RestorebenchError(f"{path} cannot be read: {error}") from error
    return page


def _dead(site: Path, name: str, page: _Page, pages: dict[str, _Page]) -> Iterator[DeadLink]:
    for link in dict.fromkeys(page.links):
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto", "data") or parts.netloc:
            if link in page.loaded and parts.scheme != "data":
                yield DeadLink(name, link, "would be loaded from elsewhere")
            continue
        target = _target(name, unquote(parts.path))
        if target is None:
            yield DeadLink(name, link, "leads out of the site")
        elif (site / target).is_dir() or not (site / target).is_file():
            yield DeadLink(name, link, "no such file")
        elif parts.fragment and target in pages and not _has(pages[target], unquote(parts.fragment)):
            yield DeadLink(name, link, "no such place on that page")


def _target(page: str, path: str) -> str | None:
    """Return the file that a link of a page leads to, relative to the site; None if it is outside."""
    if path.startswith("/"):
        return None
    parts: list[str] = [] if not path else list(PurePosixPath(page).parent.parts)
    for part in PurePosixPath(path or page).parts:
        if part == "..":
            if not parts:
                return None
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _has(page: _Page, fragment: str) -> bool:
    """Tell whether a page has an anchor; a fragment with `=` is for its script."""
    return fragment in page.anchors or "=" in fragment
