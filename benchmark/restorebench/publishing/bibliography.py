"""BibTeX of the methods in a published folder, and of this package."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from restorebench.contract.cards import Card
from restorebench.contract.errors import RestorebenchError
from restorebench.publishing.quoting import Quoted

_PAPER = re.compile(r"(?P<authors>[^,]+), (?P<title>.+), (?P<venue>[^,]*?) (?P<year>\d{4})")
_ESCAPES = str.maketrans(
    {each: f"\\{each}" for each in "#$%&_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
)


def bibliography(quoted: Quoted, row: str | None = None) -> str:
    """Return an entry for every paper that the restorers and detectors of a folder name, and one for the package.

    row: only of this row. What cannot be cited is in comments.

    Raises:
        UnknownName: there is no such row.
    """
    entries: dict[str, str] = {}
    for kind, name in _plugins(quoted, row):
        text, key = _citation(quoted, kind, name)
        entries.setdefault(text, text if text.startswith("%") else _entry(key, text))
    return "\n\n".join([*entries.values(), _package()]) + "\n"


def _plugins(quoted: Quoted, row: str | None) -> list[tuple[str, str]]:
    """Name the restorers and detectors that take part, each once."""
    manifest = quoted.published.manifest
    rows = set(quoted.rows if row is None else [quoted.of_row(row) and row])
    cells = [cell for cell in quoted.published.board.cells if cell.name in rows]
    told = {cell.tell for cell in cells}
    restorers = [("restorer", cell.plugin) for cell in cells]
    detectors = [("detector", cell["name"]) for cell in manifest["detector_cells"] if cell["detector"] in told]
    return list(dict.fromkeys([*restorers, *detectors]))


def _citation(quoted: Quoted, kind: str, name: str) -> tuple[str, str]:
    """Return what a card says of its paper, or a comment that says why there is none; and the key of an entry."""
    try:
        card: Card = quoted.catalog.find(kind, name)
    except RestorebenchError:
        return f"% {kind} {_line(name)} is not installed here, so its paper is not known", ""
    if not card.citation:
        return f"% {kind} {_line(name)} names no paper", ""
    return card.citation, re.sub(r"[^A-Za-z0-9:-]", "-", name)


def _entry(key: str, citation: str) -> str:
    """Return the entry of a paper; a citation of another form than `AUTHORS, TITLE, VENUE YEAR` becomes a note."""
    found = _PAPER.fullmatch(citation)
    if found is None:
        return _formatted("misc", key, {"note": _escaped(citation)})
    authors = re.sub(r"\s+et al\.$", " and others", found["authors"])
    return _formatted(
        "inproceedings",
        key,
        {
            "author": _escaped(authors),
            "title": f"{{{_escaped(found['title'])}}}",  # twice in braces, which keep its capitals
            "booktitle": _escaped(found["venue"]),
            "year": found["year"],
        },
    )


def _package() -> str:
    facts = citation_facts()
    fields = {
        "author": " and ".join(f"{{{_escaped(_name(author))}}}" for author in facts["authors"]),
        "title": f"{{{_escaped(facts['title'])}}}",
        "version": _escaped(str(facts["version"])),
        "note": f"Licence: {_escaped(str(facts['license']))}",
    }
    return _formatted("software", "restorebench", fields)


def citation_facts() -> dict[str, Any]:
    """Return what CITATION.cff says of this package, from a checkout or from the installed package.

    Raises:
        RestorebenchError: the installation lacks the file.
    """
    here = Path(__file__).resolve().parent.parent
    for path in (here / "CITATION.cff", here.parent.parent / "CITATION.cff"):  # in a wheel, then in a checkout
        if path.is_file():
            return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
    raise RestorebenchError(f"{here / 'CITATION.cff'} is missing; install restorebench again")


def _name(author: dict[str, str]) -> str:
    given = " ".join(author[part] for part in ("given-names", "family-names") if part in author)
    return author.get("name") or given


def _formatted(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}\n}}"


def _escaped(text: str) -> str:
    """Escape the characters that mean something to LaTeX."""
    return _line(text).translate(_ESCAPES)


def _line(text: str) -> str:
    return " ".join(text.split())
