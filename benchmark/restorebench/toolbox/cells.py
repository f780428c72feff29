"""Text from strangers in tables: one rule for the cells of every CSV file, one for what people are shown.

In a CSV file a text that begins with a character that makes spreadsheets calculate, or with an apostrophe, gets an
apostrophe in front. Removing the first apostrophe of a cell that begins with one gives every text back; numbers
begin with none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

_CALCULATING = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last four are the full-width forms of the first four; some locales' spreadsheets take one for the other."""


def guarded(text: str) -> str:
    """Return the cell of a text, which no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith((*_CALCULATING, "'")) else text


def unguarded(cell: str) -> str:
    """Return the text of a cell: what `guarded` was given."""
    return cell.removeprefix("'")


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Lay rows out as CSV with LF line ends; any text comes back as it was, line ends inside it too."""
    lines = []
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\r\n").writerow(
            row
        )  # what is in a line end gets quotes: CR as well as LF
        lines.append(line.getvalue().removesuffix("\r\n") + "\n")
    return "".join(lines)


def visible(text: str, keep: str = "") -> str:
    """Write characters that have no shape of their own as escapes: `\\x1b`, `\\u202e`. keep: those that may stay.

    Control characters drive terminals, and marks of direction make a name read as another.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in keep else each.encode("unicode_escape").decode() for each in text
    )
