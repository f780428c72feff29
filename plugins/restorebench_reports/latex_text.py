"""Any text as LaTeX source that prints it, with pdfLaTeX, XeLaTeX and LuaLaTeX."""

from __future__ import annotations

import re
import unicodedata

from restorebench.toolbox.cells import visible

_SPECIAL = {
    **{each: f"\\{each}" for each in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "`": "\\textasciigrave{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "{\\char34}",  # a letter of babel's in some languages
    **{each: f"{{{each}}}" for each in "[]*"},  # after a line end they would be its argument
}
_JOINED = "-',"
"""Two of these in a row would print one other sign; LuaTeX joins them even across an empty group."""
_ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True)
)
_LETTERS = dict(zip("ßøØæÆœŒłŁ", ("ss", "o", "O", "ae", "AE", "oe", "OE", "l", "L"), strict=True))


def escaped(text: str) -> str:
    """Return the source that prints a text in one line, in ASCII, for any engine and font.

    Latin letters with one accent are printed. Other signs beyond ASCII, which standard fonts lack, become their
    number, such as `U+5B57`.
    """
    flat = unicodedata.normalize("NFC", visible(" ".join(text.split())))
    parts: list[str] = []
    for before, each in zip(["", *flat], flat, strict=False):
        parts.append("{\\kern0pt}" if each == before and each in _JOINED else "")
        parts.append(_one(each))
    return "".join(parts)


def _one(each: str) -> str:
    if each.isascii():
        return _SPECIAL.get(each, each)
    if each in _LETTERS:
        return f"\\{_LETTERS[each]}{{}}"
    parts = unicodedata.normalize("NFD", each)
    base, marks = parts[0], parts[1:]
    if base.isascii() and base.isalpha() and marks in _ACCENTS:
        return f"\\{_ACCENTS[marks]}{{{base}}}"
    return f"\\texttt{{U+{ord(each):04X}}}"


def stacked(text: str, italic: bool = False, most: int = 11) -> str:
    """Return a heading broken after hyphens, colons and the like into lines of about `most` signs."""
    lines = [""]
    for part in re.findall(r"[^-:+_/ ]*[-:+_/ ]?", text):
        if lines[-1] and len(lines[-1] + part.rstrip()) > most:
            lines.append("")
        lines[-1] += part
    sources = [escaped(line) for line in lines if line.strip()]
    sources = [f"\\textit{{{source}}}" for source in sources] if italic else sources
    if len(sources) < 2:
        return "".join(sources)
    return "\\begin{tabular}[b]{@{}r@{}}" + "\\\\".join(sources) + "\\end{tabular}"
