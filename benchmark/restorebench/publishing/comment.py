"""What verification found of published folders, as Markdown for a pull request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from restorebench.contract.errors import PublishedFolderError
from restorebench.publishing.folder import read_lines
from restorebench.publishing.verdicts import State, Verdict
from restorebench.publishing.verify import Verification
from restorebench.records import row_name
from restorebench.tables.leaderboard import AVERAGE, STANDING
from restorebench.toolbox.cells import visible

_MOST = 20
"""Problems and notes of a folder that are written out."""
_LONGEST = 300  # characters of a line

_MEANING = {
    State.REPORTED: "its tables do not follow from its records",
    State.RECOMPUTED: "its tables follow from its records; no image was looked at",
    State.RESCORED: "its records follow from its published images",
    State.REPRODUCED: "its images were restored again and score the same",
}


def comment(found: Sequence[Verification], refused: Mapping[Path, str] = {}) -> str:
    """Return a section for every folder. refused: why a folder could not be read, by its path."""
    parts = [_section(each) for each in found]
    parts += [f"### {_plain(str(path))}: refused\n\n{_plain(why)}" for path, why in refused.items()]
    if not parts:
        return "No published folder was changed.\n"
    states = [state for state in State if any(each.states[state] for each in found)]
    legend = "\n".join(f"* {state}: {_MEANING[state]}." for state in reversed(states))
    return "\n\n".join([*parts, legend] if legend else parts) + "\n"


def _section(done: Verification) -> str:
    count = len(done.problems)
    verdict = "nothing is wrong" if not count else f"{count} thing{'s do' if count > 1 else ' does'} not fit"
    parts = [f"### {_plain(str(done.folder))}: {verdict}", _table(done)]
    for title, lines in (("Does not fit", list(map(str, done.problems))), ("Notes", list(done.notes))):
        if lines:
            more = [f"* and {len(lines) - _MOST} more"] if len(lines) > _MOST else []
            parts.append("\n".join([f"{title}:", "", *(f"* {_plain(line)}" for line in lines[:_MOST]), *more]))
    parts.append(f"`restorebench verify FOLDER --word {done.word}` draws the same images.")
    return "\n\n".join(parts)


def _table(done: Verification) -> str:
    """Lay out a line for every row: what is known of all its tasks, and what its average says."""
    rows: dict[str, list[Verdict]] = {}
    for verdict in done.rows:
        rows.setdefault(verdict.row[2], []).append(verdict)
    standing = _standing(done.folder)
    column = next(iter(next(iter(standing.values()), {})), "average")
    order = list(State)
    lines = [f"| row | state | images | {_plain(column)} | ranks | group |", "|---|---|---|---|---|---|"]
    for name, verdicts in rows.items():
        state = min((each.state for each in verdicts), key=order.index)
        looked_at, of = sum(each.images for each in verdicts), sum(each.of for each in verdicts)
        again = "" if state is State.REPORTED else f"{looked_at} of {of}"
        shown = standing.get(name, {})
        ranks = _ranks(shown.get("rank_low", ""), shown.get("rank_high", ""))
        cells = [name, str(state), again, shown.get(column, ""), ranks, shown.get("group", "")]
        lines.append(f"| {' | '.join(map(_plain, cells))} |")
    return "\n".join(lines)


def _standing(folder: Path) -> dict[str, dict[str, str]]:
    """Return the first score and the standing of each row on average, by its name, from leaderboard.csv."""
    try:
        lines = read_lines(folder / "leaderboard.csv", ("task", "restorer", "tell", *STANDING))
    except PublishedFolderError:
        return {}  # noted as a problem
    found: dict[str, dict[str, str]] = {}
    for line in lines:
        if line["task"] == AVERAGE:
            first = next((name for name in line if "@" in name), "average")
            shown = {first: line.get(first, ""), **{key: line[key] for key in STANDING}}
            found.setdefault(row_name(line["restorer"], line["tell"]), shown)
    return found


def _ranks(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"


def _plain(text: str) -> str:
    """Return a text of a stranger in one line, so that Markdown shows it as it is and notifies nobody."""
    line = " ".join(visible(text).split())
    line = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
    escaped = re.sub(r"([\\`*_\[\]<>&|#~])", r"\\\1", line)
    return re.sub(r"(?<!\w)@(?=\w)", "@\N{ZERO WIDTH SPACE}", escaped)
