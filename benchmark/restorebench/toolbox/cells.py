"""Escaping of text that comes from data: one rule for the cells of CSV files, one for text shown to people.

In a CSV file, a text that begins with an apostrophe or with a character that makes spreadsheets calculate gets an
apostrophe in front. A reader gets the text back by removing the first apostrophe of a cell that begins with one.
Numbers never begin with an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

_CALCULATING = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms of the first four; spreadsheets treat them alike in some locales."""


def guarded(text: str) -> str:
    """Return the cell for a text, escaped so that no spreadsheet treats it as a formula."""
    return f"'{text}" if text.startswith((*_CALCULATING, "'")) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell that `guarded` made."""
    return cell.removeprefix("'")


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Format rows as CSV with LF line ends; every text can be read back unchanged, even one with line ends."""
    lines = _Lines()
    # The writer quotes texts that hold a character of its line end, so CRLF protects both CR and LF.
    csv.writer(lines, lineterminator="\r\n").writerows(rows)
    return "".join(lines.texts)


class _Lines:
    """A file for `csv.writer`, which writes one row at a time: keeps the rows with LF line ends."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, row: str) -> None:
        self.texts.append(row.removesuffix("\r\n") + "\n")


def visible(text: str, keep: str = "") -> str:
    """Write characters without a visible shape as escapes: `\\x1b`, `\\u202e`; those in `keep` stay as they are.

    Control characters drive terminals, and direction marks make one name look like another.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )
