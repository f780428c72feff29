"""How `results claims` prints published figures beside what was executed here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from restorebench.cli.grids import Grid, fitted, paragraphs
from restorebench.toolbox.cells import guarded
from restorebench.toolbox.counts import counted

if TYPE_CHECKING:
    from restorebench.publishing.claims import Claim, State

    Known = Sequence[tuple[Claim, State]]


def as_text(known: Known, width: int | None) -> str:
    """Lay out a table for each method and source, with what is missing and the commands below it.

    width: characters of a line; None for any number.
    """
    groups: dict[tuple[str, str, str, str], list[tuple[Claim, State]]] = {}
    for claim, state in known:
        groups.setdefault((claim.method, claim.paper, claim.table, claim.how), []).append((claim, state))
    parts = [_group(group, width) for group in groups.values()]
    executed = sum(_is_executed(state) for _, state in known)
    figures = [claim for claim, _ in known if claim.value is not None]
    read = sum(claim.how == "read" for claim in figures)
    listed = counted(len(figures), "figure")
    last = (
        f"{listed}, {read} of them read in a published source; {executed} executed here."
        " Figures that are second-hand or from memory are no published figures, and no difference is computed from"
        " them."
    )
    return "\n\n".join([*parts, paragraphs([last], width)])


def _group(group: Known, width: int | None) -> str:
    first = group[0][0]
    source = ", ".join(part for part in (first.paper, first.table) if part)
    head = paragraphs([f"{first.method}: {source}: {first.how or 'no figure'}"], width)
    lines = paragraphs(list(_missing(group)), width)
    commands = [command for claim, state in group if not _is_executed(state) for command in claim.commands]
    told = "\n".join(f"  {command}" for command in dict.fromkeys(commands))  # never cut: they are to be copied
    grid = "" if first.value is None else fitted(_grid(group), width)
    return "\n".join(part for part in (head, grid, lines, told) if part)


def _grid(group: Known) -> Grid:
    rows = tuple(dict.fromkeys(claim.dataset for claim, _ in group))
    columns = tuple(dict.fromkeys(claim.metric for claim, _ in group))
    cells = {(claim.dataset, claim.metric): _cell(claim, state) for claim, state in group}
    table = tuple(tuple(cells.get((row, column), "") for column in columns) for row in rows)
    return Grid("dataset", rows, columns, table)


def _cell(claim: Claim, state: State) -> str:
    from restorebench.publishing.claims import Executed

    digits = _digits(claim)
    text = f"{claim.value:.{digits}f}"
    if not isinstance(state, Executed):
        return text
    text += f", here {state.value:.{digits}f}"
    if state.low is not None and state.high is not None:
        text += f" ({state.low:.{digits}f} to {state.high:.{digits}f})"
    return text if state.difference is None else f"{text}, {state.difference:+.{digits}f}"


def _digits(claim: Claim) -> int:
    return 2 if claim.metric in ("psnr", "fid") else 3


def _missing(group: Known) -> Iterable[str]:
    """Say what is missing to execute the claims of a group, each reason once, and of which data unless of all."""
    lines: dict[str, list[str]] = {}
    for claim, state in group:
        if claim.value is not None and not claim.column:
            lines.setdefault(f"{claim.metric} is not computed here", []).append(claim.dataset)
        elif not _is_executed(state):
            reason = "; ".join(filter(None, [getattr(state, "why", ""), f"needs {claim.needs}"]))
            lines.setdefault(reason, []).append(claim.dataset)
    everything = {claim.dataset for claim, _ in group}
    for reason, datasets in lines.items():
        names = "" if set(datasets) == everything else f" ({'; '.join(dict.fromkeys(datasets))})"
        yield f"not run{names}: {reason}"


def _is_executed(state: State) -> bool:
    from restorebench.publishing.claims import Executed

    return isinstance(state, Executed)


def as_rows(known: Known) -> list[list[str]]:
    """Return one line for each claim, below a line of names, for a CSV file."""
    lines = [as_plain(claim, state) for claim, state in known]
    names = list(lines[0]) if lines else []
    return [names, *([guarded("" if line[name] is None else str(line[name])) for name in names] for line in lines)]


def as_plain(claim: Claim, state: State) -> dict[str, Any]:
    """Return a claim and its state as JSON-ready data; what is not known is null."""
    from dataclasses import asdict

    found: Mapping[str, Any] = asdict(state)
    here = {f"here_{name}": found.get(name) for name in ("row", "value", "low", "high", "difference")}
    return {
        **asdict(claim),
        "state": "executed" if _is_executed(state) else "not run",
        **here,
        "here_folder": str(found["folder"]) if "folder" in found else None,
        "missing": None if _is_executed(state) else "; ".join(filter(None, [found.get("why"), claim.needs])),
        "commands": None if _is_executed(state) else " && ".join(claim.commands),
    }
