"""What the cards of installed plugins say of what a site shows, and its citations as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterator

from restorebench.contract.cards import Card
from restorebench.contract.catalog import Catalog
from restorebench.contract.errors import RestorebenchError
from restorebench.site.about import About
from restorebench.site.boards import SiteBoard

_CITATION = re.compile(r"(?P<authors>.+? et al\.|[^,]+), (?P<title>.+), (?P<venue>[^,]+?) (?P<year>[0-9]{4})")
_SPECIAL = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{each: f"\\{each}" for each in "%#&$_"},
}


def card_of(catalog: Catalog, kind: str, name: str) -> Card | None:
    """Return the card of that name, or None where no plugin here, or no working one, provides it."""
    try:
        card: Card = catalog.find(kind, name)
    except RestorebenchError:
        return None
    return card


def bibtex(catalog: Catalog, board: SiteBoard) -> str:
    """Return the citations of what a board shows, each once; a comment for what has none."""
    entries: dict[str, list[str]] = {}
    lacking = []
    for kind, name in _cited(board.about):
        card = card_of(catalog, kind, name)
        if card is not None and card.citation:
            entries.setdefault(card.citation, []).append(name)
        else:
            why = "its card has no citation" if card is not None else "no plugin with it was installed"
            lacking.append(f"% {_one_line(name)} ({kind}): {why}.")
    head = [f"% What is cited on the board {_one_line(board.title)}, as the cards of its plugins say."]
    keys = _keys([names[0] for names in entries.values()])
    told = [_entry(key, text, names) for key, (text, names) in zip(keys, entries.items(), strict=True)]
    return "\n".join([*head, *lacking, "", *told])


def _keys(names: list[str]) -> list[str]:
    """Return a key for each name, each once."""
    keys: list[str] = []
    for name in names:
        wanted = re.sub(r"[^A-Za-z0-9-]", "", name) or "unnamed"
        keys.append(wanted if wanted not in keys else f"{wanted}-{len(keys)}")
    return keys


def _cited(about: About) -> Iterator[tuple[str, str]]:
    """Yield the kind and the name of every plugin of a run whose card may have a citation, each once."""
    named = [
        *(("restorer", cell.name) for cell in about.cells),
        *(("detector", cell.name) for cell in about.detector_cells),
        *(("metric", column.partition("@")[0]) for column in about.columns),
    ]
    yield from dict.fromkeys(named)


def _entry(key: str, citation: str, names: list[str]) -> str:
    """Return an entry; the kind is `misc`, as a card does not tell a journal from a conference."""
    if citation.lstrip().startswith("@"):
        return f"{citation.strip()}\n"
    found = _CITATION.fullmatch(citation.strip())
    fields = {"note": citation}
    if found is not None:
        authors = found["authors"].removesuffix(" et al.")
        fields = {
            "author": f"{authors} and others" if authors != found["authors"] else authors,
            "title": found["title"],
            "howpublished": found["venue"],
            "year": found["year"],
        }
    lines = [f"  {name} = {{{_escaped(text)}}}," for name, text in fields.items()]
    return "\n".join(
        [f"@misc{{{key},", *lines, f"  keywords = {{{_escaped(', '.join(dict.fromkeys(names)))}}},", "}", ""]
    )


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(each, each) for each in _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split())
