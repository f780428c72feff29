"""Where a row stands among others: the fields of leaderboard.csv that follow from its comparisons."""

from __future__ import annotations

from collections import defaultdict

from restorebench.tables import intervals, leaderboard
from restorebench.tables.comparisons import Comparisons
from restorebench.tables.families import Verdict
from restorebench.tables.leaderboard import AVERAGE, EVERY_DATASET, Row


def standings(comparisons: Comparisons) -> dict[tuple[str, str, str], Row]:
    """Return the fields of STANDING by task, dataset and name of the row; blank fields are left out."""
    board = comparisons.board
    ranking = next((column.name for column in board.columns if column.ranks), None)
    gain = leaderboard.gain_column(board)
    rows: dict[tuple[str, str, str], Row] = defaultdict(dict)
    best: dict[tuple[str, str], int] = defaultdict(int)  # by dataset, or * for all, and name
    for where, verdict in comparisons.found.items():
        if where.against_identity and gain is not None and where.column == gain.name:
            for name, fields in _against_identity(verdict).items():
                rows[where.task, where.dataset, name] |= fields
        elif not where.against_identity and where.column == ranking and verdict.compared is not None:
            letters = verdict.letters()
            for name, (low, high) in verdict.ranks().items():
                rows[where.task, where.dataset, name] |= {
                    "rank_low": low,
                    "rank_high": high,
                    "group": letters[name],
                }
                if where.task in board.tasks:
                    for dataset in (where.dataset, EVERY_DATASET):
                        best[dataset, name] += name in verdict.best
    for (task, dataset, name), row in rows.items():
        if task == AVERAGE:
            row["best_in"] = best.get((dataset, name))
    return dict(rows)


def _against_identity(verdict: Verdict) -> dict[str, Row]:
    """Return gain, win rate and harm rate of every row that was compared with identity, by name."""
    contest = verdict.contest
    rows: dict[str, Row] = {}
    for pair, (row, identity) in enumerate(verdict.pairs):
        worse = [((task.values[row] < task.values[identity]).tolist(), task.scenes) for task in contest.tasks]
        rate, harm_low, harm_high = intervals.share(worse)
        fields: Row = {
            "gain": contest.means[row] - contest.means[identity],
            "win_rate": verdict.win_rate[pair],
            "harm_rate": rate,
            "harm_low": harm_low,
            "harm_high": harm_high,
        }
        rows[verdict.names[identity]] = {"gain": 0.0}
        if verdict.compared is not None:
            fields |= {"gain_low": verdict.compared.low[pair], "gain_high": verdict.compared.high[pair]}
        rows[verdict.names[row]] = fields
    return rows
