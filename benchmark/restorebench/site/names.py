"""The addresses of pages that several pages link to."""

from __future__ import annotations

from urllib.parse import quote

from restorebench.journal.layout import safe_name


def method_page(name: str) -> str:
    """Return the file of the page of a method."""
    return f"methods/{_apart(name)}.html"


def detector_page(name: str) -> str:
    """Return the file of the page of a detector."""
    return f"detectors/{_apart(name)}.html"


def method_link(name: str) -> str:
    """Return the address of the page of a method, relative to the front page."""
    return quote(method_page(name))


def detector_link(name: str) -> str:
    """Return the address of the page of a detector, relative to the front page."""
    return quote(detector_page(name))


def _apart(name: str) -> str:
    """Return a file name that is not the one of the list of all; no safe name ends in a comma."""
    return "index," if name == "index" else safe_name(name)
