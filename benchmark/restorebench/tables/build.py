"""Build tables from records, in the order of the board, whatever the order of the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from restorebench.records import DetectionRecord, Record
from restorebench.tables import averages, leaderboard
from restorebench.tables.board import Board
from restorebench.tables.comparisons import PROCEDURE, Comparisons, Part, compared, parts_of
from restorebench.tables.detector_tables import detection_tables
from restorebench.tables.gathering import gathered
from restorebench.tables.image_tables import cost_table, failures_table, records_table
from restorebench.tables.reliability import reliability_table
from restorebench.tables.scored import ScoredCell, scored_cells
from restorebench.tables.standings import standings
from restorebench.tables.status import RENDERED
from restorebench.tables.telling import regret_table, telling_table


@dataclass(frozen=True)
class Tables:
    """The tables of a run, as pandas frames. Only cost varies between equal runs.

    leaderboard has two more columns than leaderboard.csv: `incomplete` and `yardstick`, true or false. The text of
    `status` says the same. reliability is not written to a file; it has no rows where the probabilities of single
    images are not known, as in tables that were read from a run folder.
    """

    board: Board
    leaderboard: pd.DataFrame
    comparisons: pd.DataFrame
    compared: Comparisons
    telling: pd.DataFrame
    regret: pd.DataFrame
    records: pd.DataFrame
    detectors: pd.DataFrame
    labels: pd.DataFrame
    confusion: pd.DataFrame
    reliability: pd.DataFrame
    cost: pd.DataFrame
    failures: pd.DataFrame

    @property
    def procedure(self) -> Mapping[str, Any]:
        """How rows were compared: the level, the fewest scenes and so on, as in the manifest."""
        return PROCEDURE


def build(board: Board, records: Iterable[Record], detections: Iterable[DetectionRecord] = ()) -> Tables:
    """Build every table, in the order of the board. The order of the records does not matter."""
    return tables_of(board, scored_cells(board, gathered(board, records)), detections)


def tables_of(board: Board, cells: Sequence[ScoredCell], detections: Iterable[DetectionRecord] = ()) -> Tables:
    """Build every table from the scored cells of a board, which are in its order."""
    detected: dict[str, dict[str, DetectionRecord]] = defaultdict(dict)
    for detection in detections:
        detected[detection.digest][detection.sample] = detection
    averaged = averages.parts(board, cells)
    single = parts_of(cells)
    found = compared(board, [*single, *averaged])
    scores, labels, confusion = detection_tables(board, detected)
    return Tables(
        board=board,
        leaderboard=_leaderboard(board, cells, averaged, found),
        comparisons=found.frame(),
        compared=found,
        telling=telling_table(board, [*single, *averaged]),
        regret=regret_table(board, cells),
        records=records_table(board, cells),
        detectors=scores,
        labels=labels,
        confusion=confusion,
        reliability=reliability_table(board, detected),
        cost=cost_table(cells),
        failures=failures_table(board, cells, detected),
    )


def _leaderboard(
    board: Board, cells: Sequence[ScoredCell], averaged: Sequence[Part], found: Comparisons
) -> pd.DataFrame:
    standing = standings(found)
    rows = leaderboard.rows(board, cells, standing) + averages.rows(board, averaged, standing)
    frame = pd.DataFrame(rows, columns=[*leaderboard.columns(board), *RENDERED])
    return frame.astype(dict.fromkeys(("rank_low", "rank_high", "best_in"), "Int64"))
