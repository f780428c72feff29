"""What it brings to tell a restorer the degradation, and what is lost where a detector tells it instead."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from restorebench.contract.tasks import CLEAN, composite
from restorebench.tables import comparisons
from restorebench.tables.board import Board, Column
from restorebench.tables.comparisons import Lineup, Part
from restorebench.tables.detector_scores import NONE
from restorebench.tables.families import Contest, Verdict, verdicts
from restorebench.tables.scored import ScoredCell

TOLD_GAIN, DETECTOR_REGRET = "told_gain", "detector_regret"
_TASK, _NOTHING = "task", "nothing"


@dataclass(frozen=True)
class _Question:
    """One pair of rows of a restorer: told the task, and told nothing or by a detector."""

    part: Part
    restorer: str
    tell: str
    column: Column


def telling_table(board: Board, parts: Sequence[Part]) -> pd.DataFrame:
    """Compare every restorer that is told the task with itself when it is told nothing, and by each detector.

    told_gain: score if told the task minus score if told nothing. detector_regret: score if told the task minus
    score if told by the detector; negative where its mistakes help. Both are positive where the task helps, also
    for columns in which less is better. Each pair is a family of its own.
    """
    lineup = Lineup()
    asked = [
        (question, contest)
        for part in parts
        for column in board.columns
        if column.ranks
        for question, contest in _questions(part, column, lineup)
    ]
    found = verdicts([contest for _, contest in asked])
    rows = [_row(board, question, verdict) for (question, _), verdict in zip(asked, found, strict=True)]
    names = ("suite", "suite_version", "task", "dataset", "restorer", "column", "kind", "detector")
    return pd.DataFrame(rows, columns=[*names, "n_images", "n_scenes", "value", "low", "high"])


def _questions(part: Part, column: Column, lineup: Lineup) -> Iterator[tuple[_Question, Contest]]:
    sound = comparisons.sound(part, column.name)
    tells: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name, cells in sound.items():
        facts = cells[0].facts
        tells[facts.restorer, facts.setup][facts.tell] = name
    for (restorer, _), by_tell in tells.items():
        for tell, name in by_tell.items():
            if tell != _TASK and _TASK in by_tell:
                pair = [by_tell[_TASK], name]
                contest = lineup.contest(part, sound, pair, column)
                yield _Question(part, restorer, tell, column), contest


def _row(board: Board, question: _Question, verdict: Verdict) -> dict[str, Any]:
    sign = 1 if question.column.higher_is_better else -1
    told, other = verdict.contest.means
    row: dict[str, Any] = {
        "suite": board.suite,
        "suite_version": board.version,
        "task": question.part.task,
        "dataset": question.part.dataset,
        "restorer": question.restorer,
        "column": question.column.name,
        "kind": TOLD_GAIN if question.tell == _NOTHING else DETECTOR_REGRET,
        "detector": "" if question.tell == _NOTHING else question.tell,
        "n_images": verdict.images,
        "n_scenes": verdict.scenes,
        "value": sign * (told - other),
    }
    if verdict.compared is not None:
        ends = sorted((sign * verdict.compared.low[0], sign * verdict.compared.high[0]))
        row |= {"low": ends[0], "high": ends[1]}
    return row


def regret_table(board: Board, cells: Iterable[ScoredCell]) -> pd.DataFrame:
    """Split the regret of every restorer and detector by the true task and what the detector said.

    One row per task and verdict: how many images, and the mean loss against being told the task, by the first
    column that ranks. On clean inputs the loss is blank, and the images with a label are the false alarms.
    """
    column = next((column for column in board.columns if column.ranks), None)
    held = {(c.facts.dataset, c.facts.task, c.facts.restorer, c.facts.setup, c.facts.tell): c for c in cells}
    rows: list[dict[str, Any]] = []
    for (dataset, task, restorer, setup, tell), cell in held.items():
        told = held.get((dataset, task, restorer, setup, _TASK))
        if column is not None and told is not None and tell not in (_TASK, _NOTHING):
            for verdict, losses in sorted(_losses(told, cell, column).items()):
                rows.append(
                    {
                        "suite": board.suite,
                        "suite_version": board.version,
                        "dataset": dataset,
                        "restorer": restorer,
                        "detector": tell,
                        "task": task,
                        "verdict": verdict,
                        "column": column.name,
                        "images": len(losses),
                        "loss": None if task == CLEAN else sum(losses) / len(losses),
                    }
                )
    names = ("suite", "suite_version", "dataset", "restorer", "detector", "task", "verdict", "column")
    return pd.DataFrame(rows, columns=[*names, "images", "loss"]).astype({"loss": float})


def _losses(told: ScoredCell, cell: ScoredCell, column: Column) -> dict[str, list[float]]:
    """Return the losses by image under each verdict of the detector."""
    sign = 1 if column.higher_is_better else -1
    outcomes = cell.outcomes
    lost = (sign * (told.means(column.name) - cell.means(column.name)))[outcomes.samples]
    losses: dict[str, list[float]] = defaultdict(list)
    for record in np.flatnonzero(outcomes.ok & (outcomes.repetitions == 0) & ~np.isnan(lost)):
        said = outcomes.told[record]
        losses[composite(said) if said else NONE].append(float(lost[record]))
    return losses
