"""The report `latex`: a table per metric for papers, and a page that shows them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from restorebench import CLEAN
from restorebench.toolbox.cells import visible
from restorebench.toolbox.files import atomic_write_text
from restorebench_reports.figures.chosen import AVERAGES, FAMILIES, Place, Row, rows
from restorebench_reports.latex_text import escaped, stacked
from restorebench_reports.options import LatexOptions

_KNOWLEDGE = (
    "told nothing, or what a bundled detector says of the image",
    "told the task, or what another detector says",
    "yardsticks, which saw the clean image, in italics",
)
_FAMILIES = dict(zip(FAMILIES, _KNOWLEDGE, strict=True))
"""What rows may know, which decides what they are compared with; in the order in which they stand in a table."""
_HEAD = "\\begin{table}\\centering"


class Latex:
    """Writes `leaderboard-METRIC_PROTOCOL.tex` for each metric, to \\input into a paper, and leaderboard.tex."""

    def __init__(self, options: LatexOptions, runtime: None) -> None:
        self._options = options

    def write(self, tables: Any, folder: Path) -> list[Path]:
        """Write the files and return them: a tabular each, and a document that compiles alone."""
        captions: dict[str, str] = {}
        files = []
        shown = () if tables.leaderboard.empty else tables.board.columns  # a suite may have detectors alone
        for column in shown:
            if not column.unavailable:
                name, table = _file_name(column.name, captions), _Table(tables, column, self._options)
                captions[name] = table.caption()
                files.append(folder / f"{name}.tex")
                atomic_write_text(files[-1], "\n".join([*_remarks(name, captions[name]), *table.lines(), ""]))
        lines = len(_places(tables) if self._options.tasks_down else rows(tables, ()))
        lacking = {column.name: column.unavailable for column in tables.board.columns if column.unavailable}
        files.append(folder / "leaderboard.tex")
        atomic_write_text(files[-1], _document(captions, lines * (2 if self._options.intervals else 1), lacking))
        return files


def _file_name(column: str, taken: Mapping[str, Any]) -> str:
    """Return the name of a file for a column, without its ending; each only once."""
    name = "leaderboard-" + re.sub(r"[^A-Za-z0-9-]", "_", column)
    return name if name not in taken else f"{name}_{len(taken)}"


def _places(tables: Any) -> list[Place]:
    frame = tables.leaderboard
    keys = list(dict.fromkeys(zip(frame.task, frame.dataset, strict=True)))
    several = len({dataset for _, dataset in keys}) > 1
    return [Place(task, dataset, f"{task} ({dataset})" if several else task) for task, dataset in keys]


class _Table:
    """The table of one metric."""

    def __init__(self, tables: Any, column: Any, options: LatexOptions) -> None:
        self._tables, self._column, self._options = tables, column, options
        self._rows, self._places = rows(tables, ()), _places(tables)
        self._values = {
            (row["task"], row["dataset"], row["restorer"], row["tell"]): row
            for row in tables.leaderboard.to_dict("records")
        }
        self._best = {
            place: tables.compared.best(place.task, place.dataset, column.name) for place in self._places
        }
        self._second = {
            place: tables.compared.second(place.task, place.dataset, column.name) for place in self._places
        }

    def lines(self) -> Iterator[str]:
        """Yield the lines of the tabular."""
        down = self._options.tasks_down
        titles = [stacked(place.title) for place in self._places]
        if down:
            titles = [stacked(row.name, italic=row.family == "yardstick") for row in self._rows]
        arrow = "\\uparrow" if self._column.higher_is_better else "\\downarrow"
        yield f"\\begin{{tabular}}{{l{'r' * len(titles)}}}"
        yield "\\toprule"
        yield " & ".join([f"{escaped(self._column.name)} ${arrow}$", *titles]) + " \\\\"
        if down:
            yield "\\midrule"
            for place in self._places:
                yield from self._line(escaped(place.title), [(row, place) for row in self._rows])
        else:
            family = ""
            for row in self._rows:
                if row.family != family:
                    yield "\\midrule"
                family = row.family
                yield from self._line(self._title(row), [(row, place) for place in self._places])
        yield "\\bottomrule"
        yield "\\end{tabular}"

    def _line(self, title: str, cells: Sequence[tuple[Row, Place]]) -> Iterator[str]:
        close = "[-0.4ex]" if self._options.intervals else ""
        yield " & ".join([title, *(self._cell(row, place) for row, place in cells)]) + f" \\\\{close}"
        if self._options.intervals:
            yield " & ".join(["", *(self._interval(row, place) for row, place in cells)]) + " \\\\"
            yield "\\addlinespace[0.4ex]"

    def _title(self, row: Row) -> str:
        return f"\\textit{{{escaped(row.name)}}}" if row.family == "yardstick" else escaped(row.name)

    def _value(self, row: Row, place: Place, end: str = "") -> str | None:
        found = self._values.get((place.task, place.dataset, *row.key), {}).get(self._column.name + end)
        return None if found is None or found != found else _number(found, self._column.decimals)

    def _cell(self, row: Row, place: Place) -> str:
        text = self._value(row, place)
        if text is None:
            return "--"
        if row.name in self._best[place]:
            return f"\\textbf{{{text}}}"
        if row.name in self._second[place]:
            return f"\\underline{{{text}}}"
        incomplete = self._values[(place.task, place.dataset, *row.key)]["incomplete"]
        return f"{text}\\rlap{{$^\\dagger$}}" if incomplete else text

    def _interval(self, row: Row, place: Place) -> str:
        low, high = (self._value(row, place, end) for end in ("_low", "_high"))
        return "" if low is None or high is None else f"{{\\scriptsize {{[}}{low}, {high}{{]}}}}"

    def caption(self) -> str:
        """Return a caption that says what the numbers and their marks mean."""
        board, column, procedure = self._tables.board, self._column, self._tables.procedure
        unit = f" in {escaped(column.unit)}" if column.unit else ""
        better = "higher" if column.higher_is_better else "lower"
        parts = [
            f"Mean {escaped(column.name)}{unit} on {escaped(board.suite)} (version {escaped(board.version)}),"
            f" {better} is better; {self._counts()}."
        ]
        if self._options.intervals:
            parts.append(
                f"Below each score its {_percent(procedure['level'])} interval, which is of this score alone."
            )
        if any(self._best.values()):
            parts += self._marks()
        else:
            parts.append("No rows are compared.")
        parts += self._families()
        if any(row["incomplete"] for row in self._values.values()):
            parts.append("$\\dagger$: some images are missing or failed.")
        return " ".join(parts)

    def _marks(self) -> Iterator[str]:
        procedure = self._tables.procedure
        yield "Bold: no row of the same family was shown to be better."
        if any(self._second.values()):
            yield "Underlined: only bold rows of the same family were shown to be better."
        yield (
            f"Pairs are compared image by image ({escaped(procedure['method'])}; {procedure['draws']} draws of"
            f" scenes, error rate {_percent(1 - procedure['level'])} for each task and family, at least"
            f" {procedure['fewest_scenes']} scenes)."
        )
        if any(place.task == CLEAN for place in self._places):
            yield "On clean inputs nothing is compared."

    def _families(self) -> Iterator[str]:
        """Say which family each part of the table is, and which rows it has where it cannot be seen."""
        members = {family: [row.name for row in self._rows if row.family == family] for family in _FAMILIES}
        held = {family: names for family, names in members.items() if names}
        if self._options.tasks_down and len(held) > 1:
            texts = [f"{', '.join(map(escaped, names))} ({_FAMILIES[family]})" for family, names in held.items()]
            yield f"Families: {'; '.join(texts)}."
        elif len(held) > 1:
            yield f"Families, from top to bottom: {'; '.join(_FAMILIES[family] for family in held)}."
        else:
            yield f"All rows: {'; '.join(_FAMILIES[family] for family in held)}."

    def _counts(self) -> str:
        single = [row for row in self._values.values() if row["task"] not in AVERAGES] or [*self._values.values()]
        texts = []
        for name, word in (("n_images", "images"), ("n_scenes", "scenes")):
            low, high = min(row[name] for row in single), max(row[name] for row in single)
            texts.append(f"{low} {word}" if low == high else f"{low} to {high} {word}")
        return f"{' of '.join(texts)} per task"


def _number(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.replace("-", "$-$", 1)


def _percent(share: float) -> str:
    return f"{share * 100:.0f}\\,\\%"


def _remarks(name: str, caption: str) -> list[str]:
    """Return the comment above a tabular: how to use it, and a caption to copy."""
    return [
        "% Written by restorebench. It needs \\usepackage{booktabs}; in a paper:",
        f"% {_HEAD} \\input{{{name}}}",
        f"% \\caption{{{visible(caption)}}}",
        "% \\end{table}",
    ]


def _document(captions: Mapping[str, str], lines: int, lacking: Mapping[str, str]) -> str:
    """Return a document with every table, each on a page that is large enough for it.

    captions: by the name of the file. lines: of the longest table. lacking: columns without a table, and why.
    """
    height = max(210, 80 + 6 * lines)
    parts = [
        "% Compile with pdflatex. To use a table in a paper, \\input its file; see there.",
        "\\documentclass{article}",
        f"\\usepackage[paperwidth=297mm,paperheight={height}mm,margin=15mm]{{geometry}}",
        "\\usepackage{booktabs}",
        "\\usepackage{graphicx}",
        "\\begin{document}",
    ]
    for name, caption in captions.items():
        fitted = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}"
        parts += [
            _HEAD,
            f"{fitted}{{\\input{{{name}}}}}",
            f"\\caption{{{caption}}}",
            "\\end{table}",
            "\\clearpage",
        ]
    parts += [f"No table of {escaped(name)}: {escaped(why)}.\n" for name, why in lacking.items()]
    return "\n".join([*parts, "\\end{document}", ""])
