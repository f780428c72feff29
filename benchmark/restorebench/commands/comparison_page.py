"""Write a comparison as one page that opens without a network: table, drawn intervals and images to look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from restorebench import __version__
from restorebench.commands import showing, wording
from restorebench.commands.comparing import Comparison
from restorebench.commands.looking import Look, looks
from restorebench.commands.pages import escaped, figures, page
from restorebench.commands.panels import Shown
from restorebench.commands.plotting import require_writable, write
from restorebench.contract.errors import RestorebenchError
from restorebench.tables.bootstrap import DRAWS
from restorebench.tables.leaderboard import AVERAGE

LARGEST = 320
"""The longest side in px of what the page holds of an image; there may be six with four panels each."""
_WIDTH, _HEIGHT = 200, 20  # of an interval's drawing
_WIDEST = 3.0  # the drawing's ends, as a multiple of the largest difference; longer intervals are cut there


def require_page(file: Path) -> None:
    """Refuse, before any work, a file of another kind, or one that cannot be written.

    Raises:
        RestorebenchError: it does not end in .html, or its folder cannot be written.
    """
    if file.suffix.lower() != ".html":
        raise RestorebenchError(f"--html {file}: end the name in .html")
    require_writable(file)


def write_page(found: Comparison, file: Path) -> None:
    """Write a comparison into a file that `require_page` accepted. Only images that the run saved are shown.

    Raises:
        RestorebenchError: the file cannot be written.
    """
    title = f"{found.a} against {found.b}"
    body = [f"<h1>{escaped(title)}</h1>", _lead(found), _facts(found), *_tasks(found), *_images(found)]
    body.append(f'<p class="soft">Written by restorebench {escaped(__version__)}.</p>')
    write(file, page(title, body))


def _lead(found: Comparison) -> str:
    """Say the main result in a sentence: that of the average, or of the only task."""
    rows = found.pairs.to_dict("records")
    average = [row for row in rows if row["task"] == AVERAGE] or (rows if len(rows) == 1 else [])
    if not rows:
        return "<p><strong>Nothing could be compared; the notes below say why.</strong></p>"
    if not average:
        return ""
    row = average[0]
    unit = f" {found.column.unit}" if found.column.unit else ""
    where = "On average over the tasks" if row["task"] == AVERAGE else f"On {row['task']}"
    text = f"{where}: {wording.number(row['difference'], found, '+')}{unit} for {found.a}; {row['verdict']}."
    return f"<p><strong>{escaped(text)}</strong></p>"


def _facts(found: Comparison) -> str:
    scenes = sorted(set(found.pairs.n_scenes))
    counted = f"{scenes[0]}" if len(scenes) == 1 else f"{scenes[0]} to {scenes[-1]}, by task" if scenes else "none"
    runs = list(dict.fromkeys(str(folder) for folder, _ in found.sides))
    facts = {
        "rows": f"{found.a} and {found.b}",
        "run" if len(runs) == 1 else "runs": ", ".join(runs),
        "compared by": wording.measure(found),
        "family": ", ".join(found.family),
        "scenes": counted,
        "error rate": f"{1 - found.level:.0%} for all pairs of the family on a task",
        "method": f"studentised bootstrap over scenes of the greatest statistic of all pairs, stepping down"
        f" (Romano and Wolf 2005), {DRAWS:,} draws",
    }
    lines = [f"<dt>{escaped(name)}</dt><dd>{escaped(text)}</dd>" for name, text in facts.items() if text]
    return f"<dl>{''.join(lines)}</dl>"


def _tasks(found: Comparison) -> Iterator[str]:
    """Yield the table of tasks, and how it is to be read."""
    rows = found.pairs.to_dict("records")
    if rows:
        unit = f" in {found.column.unit}" if found.column.unit else ""
        end = _end(rows)
        scale = f"{wording.number(-end, found, '+')} to {wording.number(end, found, '+')}"
        heads = {
            f"difference{unit}": "number",
            f"{found.level:.0%} interval": "number",
            f"drawn from {scale}": "",
            "p, corrected": "number",
            "wins": "count",
            "images": "count",
            "scenes": "count",
            "verdict": "",
        }
        head = "".join(f'<th scope="col" class="{kind}">{escaped(name)}</th>' for name, kind in heads.items())
        yield "<h2>Tasks</h2>"
        yield f'<table><thead><tr><th scope="col">task</th>{head}</tr></thead><tbody>'
        for task, row in zip(wording.task_names(found), rows, strict=True):
            cells = _cells(row, found, end)
            shown = "".join(
                f'<td class="{kind}" data-label="{escaped(name)}">{cell}</td>'
                for (name, kind), cell in zip(heads.items(), cells, strict=True)
            )
            yield f'<tr><th scope="row">{escaped(task)}</th>{shown}</tr>'
        yield "</tbody></table>"
    lines = wording.explained(found)
    if any(_beyond(row, _end(rows)) for row in rows):
        lines.append("an arrow in a drawing: the interval goes on beyond it.")
    yield f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>"


def _cells(row: Mapping[Any, Any], found: Comparison, end: float) -> list[str]:
    """Return the cells of a task after its name, in HTML."""
    return [
        escaped(wording.number(row["difference"], found, "+")),
        escaped(wording.interval(row, found)),
        _drawn(row, found, end),
        escaped(wording.p_value(row["p"])),
        f"{row['win_rate']:.0%}",
        str(row["n_images"]),
        str(row["n_scenes"]),
        escaped(row["verdict"]),
    ]


def _end(rows: list[dict[Any, Any]]) -> float:
    """Return where drawings end: where the longest interval does, or at a multiple of the largest difference."""
    differences = max(abs(row["difference"]) for row in rows)
    ends = [abs(row[side]) for row in rows for side in ("low", "high") if not wording.missing(row[side])]
    return float(min(max([differences, *ends]), _WIDEST * differences) or 1.0)


def _beyond(row: Mapping[Any, Any], end: float) -> bool:
    return not wording.missing(row["low"]) and max(abs(row["low"]), abs(row["high"])) > end


def _drawn(row: Mapping[Any, Any], found: Comparison, end: float) -> str:
    """Draw the difference as a point and its interval as a bar, with a line at zero."""

    def x(value: float) -> float:
        return _WIDTH / 2 + (_WIDTH / 2 - 8) * min(max(value / end, -1), 1)

    middle = _HEIGHT / 2
    colour = "var(--shown)" if not wording.missing(row["p"]) and row["separated"] else "var(--soft)"
    parts = [f'<line x1="{_WIDTH / 2}" x2="{_WIDTH / 2}" y1="0" y2="{_HEIGHT}" stroke="var(--ink)"/>']
    if not wording.missing(row["low"]):
        low, high = x(row["low"]), x(row["high"])
        ends = f'x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}"'
        parts.append(f'<line {ends} stroke="{colour}" stroke-width="3"/>')
        for at, away in ((low, -1), (high, 1)):
            if abs(row["low" if away < 0 else "high"]) > end:
                tip = f"{at + 7 * away:.1f},{middle} {at:.1f},{middle - 5} {at:.1f},{middle + 5}"
                parts.append(f'<polygon points="{tip}" fill="{colour}"/>')
    parts.append(f'<circle cx="{x(row["difference"]):.1f}" cy="{middle}" r="4.5" fill="{colour}"/>')
    said = wording.number(row["difference"], found, "+")
    if text := wording.interval(row, found):
        said += f", interval {text}"
    label = f'role="img" aria-label="{escaped(said)}"'
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" {label}>{"".join(parts)}</svg>'


def _images(found: Comparison) -> Iterator[str]:
    """Yield the images on which each of the two is ahead the most, or the command that shows them."""
    for look in looks(found):
        yield f"<h2>{escaped(look.ahead)} is ahead the most</h2>"
        lines = [
            f"{image.name}: {wording.number(image.a, found)} against {wording.number(image.b, found)}"
            for image in look.images
        ]
        yield f"<ul>{''.join(f'<li>{escaped(line)}</li>' for line in lines)}</ul>"
        try:
            yield from (figures(shown, longest=LARGEST) for shown in _saved(found, look))
        except RestorebenchError as error:
            yield f"<p>There are no pictures here, because {escaped(str(error))}. This command shows them:</p>"
        yield f"<pre>{escaped(look.command)}</pre>"


def _saved(found: Comparison, look: Look) -> tuple[Shown, ...]:
    """Read the images that the runs saved.

    Raises:
        RestorebenchError: one was not saved, or its data or plugins are not here.
    """
    (run, a), (other_run, b) = found.sides
    names = [image.name for image in look.images]
    if run == other_run:
        return showing.show(run, names, rows=(a, b), metric=found.metric, restore=False)
    return showing.show(run, names, rows=(a,), also=(other_run, b), metric=found.metric, restore=False)
