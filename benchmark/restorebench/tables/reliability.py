"""How often detectors are right at each predicted probability: the bins of a reliability diagram."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from restorebench.records import DetectionRecord
from restorebench.tables import intervals
from restorebench.tables.board import Board
from restorebench.tables.detector_scores import confidences
from restorebench.tables.leaderboard import Row

BINS = 10
"""How many bins of equal width the probabilities from 0 to 1 are divided into."""
COLUMNS = ("dataset", "detector", "low", "high", "images", "probability", "right", "right_low", "right_high")


class _Judged(NamedTuple):
    """One image: the probability of its most probable task, whether that task is present, and its scene."""

    probability: float
    right: bool
    scene: str


def reliability_table(board: Board, detected: Mapping[str, Mapping[str, DetectionRecord]]) -> pd.DataFrame:
    """Bin the images of every detector by the probability of the task that it finds most probable.

    A line for each dataset, detector and bin with images: the ends of the bin, the number of images, their mean
    probability, and the share of them on which that task is present, with the 95 % interval of `intervals.share`.
    The images are those of the calibration error: degraded ones whose detection has probabilities, of all tasks
    together. detected: by digest of the cell and by sample.
    """
    held: dict[tuple[str, str, int], list[_Judged]] = defaultdict(list)
    for cell in board.detector_cells:
        records = detected.get(cell.digest, {})
        for sample in cell.samples:
            if sample.id in records:
                for probability, right in confidences(cell.task, [records[sample.id]]):
                    place = min(int(probability * BINS), BINS - 1)  # 1 is in the last bin
                    held[cell.dataset, cell.detector, place].append(_Judged(probability, right, sample.scene))
    keys = list(dict.fromkeys((dataset, detector) for dataset, detector, _ in held))
    lines = [
        _line(*key, place, held[*key, place]) for key in keys for place in range(BINS) if (*key, place) in held
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _line(dataset: str, detector: str, place: int, images: list[_Judged]) -> Row:
    right, low, high = intervals.share([([each.right for each in images], [each.scene for each in images])])
    values = (
        *(dataset, detector, place / BINS, (place + 1) / BINS, len(images)),
        *(sum(each.probability for each in images) / len(images), right, low, high),
    )
    return dict(zip(COLUMNS, values, strict=True))
