"""Compare the methods of any tidy table: a row per score, whatever tool it comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from restorebench.contract.errors import RestorebenchError, nearest
from restorebench.tables import bootstrap, pairwise
from restorebench.tables.bootstrap import Array
from restorebench.tables.families import Contest, Scores, Verdict, verdicts
from restorebench.tables.leaderboard import AVERAGE


def compare_table(
    frame: pd.DataFrame,
    *,
    method: str,
    value: str,
    scene: str,
    task: str | None = None,
    image: str | None = None,
    higher_is_better: bool = True,
    level: float = pairwise.LEVEL,
    draws: int = bootstrap.DRAWS,
) -> pd.DataFrame:
    """Compare every pair of methods, paired by scene, with one error rate per task.

    >>> scores = pd.DataFrame({
    ...     "method": ["ours"] * 6 + ["theirs"] * 6, "scene": list("abcdef") * 2,
    ...     "psnr": [27.1, 25.4, 30.2, 28.8, 26.5, 29.9, 26.0, 24.5, 28.9, 27.9, 25.1, 28.7],
    ... })
    >>> found = compare_table(scores, method="method", value="psnr", scene="scene").round(2)
    >>> print(found[["a", "b", "difference", "low", "high", "p", "separated"]].to_string(index=False))
       a      b  difference  low  high   p  separated
    ours theirs        1.13  0.9  1.37 0.0       True

    frame: a row per score. method, value, scene, task, image: names of its columns. scene: what is independent,
    such as a photograph from which several images were made. image: tells the images of a scene apart; without it,
    methods are compared by the means of scenes, weighted by their numbers of rows. level: of the intervals. draws:
    of the bootstrap.

    Returns one row per pair, and with several tasks also the pairs of the unweighted average over tasks:
    difference (mean of a minus mean of b, in the unit of the value), low and high (its interval), sd (of the
    differences image by image), win_rate (share of images on which a is better), p (adjusted for all pairs of the
    task), p_board (for all pairs of all tasks), separated (p <= 1 - level) and scenes_needed (from how many scenes
    on the pair would be separated with a chance of 0.8, if the difference and spread seen are the true ones). p,
    low and high are missing below six scenes.

    Raises:
        RestorebenchError: a column is not there, a value is no finite number, or methods lack scores of others.
    """
    found = _pairs(_contests(frame, method, value, scene, task, image, higher_is_better), level, draws)
    return found if task else found.drop(columns="task")


def rank_table(
    frame: pd.DataFrame,
    *,
    method: str,
    value: str,
    scene: str,
    task: str | None = None,
    image: str | None = None,
    higher_is_better: bool = True,
    level: float = pairwise.LEVEL,
    draws: int = bootstrap.DRAWS,
) -> pd.DataFrame:
    """Rank the methods as far as `compare_table` separates them, best mean first.

    >>> scores = pd.DataFrame({
    ...     "method": ["ours"] * 6 + ["theirs"] * 6, "scene": list("abcdef") * 2,
    ...     "psnr": [27.1, 25.4, 30.2, 28.8, 26.5, 29.9, 26.0, 24.5, 28.9, 27.9, 25.1, 28.7],
    ... })
    >>> found = rank_table(scores, method="method", value="psnr", scene="scene").round(2)
    >>> print(found[["method", "mean", "rank_low", "rank_high", "group"]].to_string(index=False))
    method  mean  rank_low  rank_high group
      ours 27.98         1          1     a
    theirs 26.85         2          2     b

    Takes what `compare_table` takes. Returns one row per task and method: its mean, rank_low and rank_high (the
    ranks that it can have) and group (letters: two methods that share one are not separated). Ranks and letters
    are missing below six scenes.
    """
    contests = _contests(frame, method, value, scene, task, image, higher_is_better)
    rows = []
    for name, verdict in zip(contests, verdicts(list(contests.values()), level, draws), strict=True):
        ranks, letters = verdict.ranks(), verdict.letters()
        for row in verdict.order:
            label = verdict.names[row]
            low, high = ranks.get(label, (None, None))
            rows.append((name, label, verdict.contest.means[row], low, high, letters.get(label)))
    columns = ["task", "method", "mean", "rank_low", "rank_high", "group"]
    return pd.DataFrame(rows, columns=columns).astype({"rank_low": "Int64", "rank_high": "Int64"})


PAIR_COLUMNS = (
    *("a", "b", "n_images", "n_scenes", "difference", "low", "high", "sd", "win_rate"),
    *("p", "p_board", "separated", "scenes_needed"),
)


def pair_rows(verdict: Verdict, board: Array | None) -> list[dict[str, Any]]:
    """Lay out the pairs of a verdict. board: their p adjusted over tasks too; None where there is none."""
    found = verdict.compared
    needed = None if found is None else found.scenes_needed(verdict.scenes)
    rows = []
    for pair, (first, second) in enumerate(verdict.pairs):
        row: dict[str, Any] = {
            "a": verdict.names[first],
            "b": verdict.names[second],
            "n_images": verdict.images,
            "n_scenes": verdict.scenes,
            "difference": verdict.contest.means[first] - verdict.contest.means[second],
            "sd": verdict.sd[pair],
            "win_rate": verdict.win_rate[pair],
        }
        if found is not None and needed is not None:
            row |= {
                "low": found.low[pair],
                "high": found.high[pair],
                "p": found.p[pair],
                "p_board": None if board is None else board[pair],
                "separated": bool(found.separated[pair]),
                "scenes_needed": ""
                if found.separated[pair] or not verdict.sd[pair] > 0
                else _scenes(needed[pair]),
            }
        rows.append(row)
    return rows


def _scenes(needed: float) -> str:
    most = pairwise.MOST_SCENES_NEEDED
    return str(int(needed)) if needed <= most else f">{most}"


def over_tasks(found: Sequence[Verdict]) -> list[Array | None]:
    """Adjust the p of every pair for all tasks too, so that a claim on any task holds at the same level.

    Holm's method over families (Goeman and Solari, "The sequential rejection principle of familywise error
    control", 2010): the smallest p is multiplied by the number of tasks, and a task whose pairs are all used up
    counts no more. Returns one array per verdict; None where nothing was compared.
    """
    families = {n: verdict.compared.p for n, verdict in enumerate(found) if verdict.compared is not None}
    adjusted = {n: np.ones_like(p) for n, p in families.items()}
    left = {n: len(p) for n, p in families.items()}
    least, alive = 0.0, len(families)
    every = [(float(p), n, pair) for n, all_p in families.items() for pair, p in enumerate(all_p)]
    for p, n, pair in sorted(every):
        least = max(least, min(1.0, alive * p))
        adjusted[n][pair] = least
        left[n] -= 1
        alive -= left[n] == 0
    return [adjusted.get(n) for n in range(len(found))]


def _pairs(contests: Mapping[str, Contest], level: float, draws: int) -> pd.DataFrame:
    """Compare the pairs of every task, and those of the average, which comes last."""
    compared = verdicts(list(contests.values()), level, draws)
    of_tasks = [name for name, contest in contests.items() if len(contest.tasks) == 1]
    board = dict(zip(of_tasks, over_tasks(compared[: len(of_tasks)]), strict=True))
    rows = [
        {"task": name, **row}
        for name, verdict in zip(contests, compared, strict=True)
        for row in pair_rows(verdict, board.get(name))
    ]
    return pd.DataFrame(rows, columns=["task", *PAIR_COLUMNS]).astype({"separated": "boolean"})


def _contests(
    frame: pd.DataFrame, method: str, value: str, scene: str, task: str | None, image: str | None, higher: bool
) -> dict[str, Contest]:
    """Make a contest per task, and of several one of their average."""
    for role, name in {"method": method, "value": value, "scene": scene, "task": task, "image": image}.items():
        if name is not None and name not in frame.columns:
            there = ", ".join(map(str, frame.columns))
            near = nearest(name, map(str, frame.columns))
            raise RestorebenchError(f"the table has no column {name!r} ({role}){near}; it has {there}")
    if frame.empty:
        raise RestorebenchError("the table has no rows")
    for name in filter(None, (method, scene, task, image)):
        if frame[name].isna().any():
            label = frame.index[np.flatnonzero(frame[name].isna())[0]]
            raise RestorebenchError(f"row {label}, column {name!r}: is empty; name it, or leave the row out")
    if task is not None and (frame[task].astype(str) == AVERAGE).any():
        raise RestorebenchError(
            f"a task is called {AVERAGE!r}, as is the average over tasks; rename it, or leave it out"
        )
    _require_numbers(frame, value)
    parts = {"": frame} if task is None else {str(name): part for name, part in frame.groupby(task, sort=False)}
    scores = {name: _scores(part, name, method, value, scene, image) for name, part in parts.items()}
    contests = {name: Contest((found,), higher) for name, found in scores.items()}
    common = [name for name in next(iter(scores.values())).names if all(name in s.names for s in scores.values())]
    if len(scores) > 1 and len(common) > 1:
        contests[AVERAGE] = Contest(tuple(_only(found, common) for found in scores.values()), higher)
    return contests


def _require_numbers(frame: pd.DataFrame, value: str) -> None:
    numbers = pd.to_numeric(frame[value], errors="coerce").to_numpy(dtype=float)
    odd = np.flatnonzero(~np.isfinite(numbers))
    if len(odd):
        label, found = frame.index[odd[0]], frame[value].iloc[odd[0]]
        raise RestorebenchError(
            f"row {label}, column {value!r}: {found!s} is no finite number; leave out what has no score for every"
            " method, or give it one"
        )


def _scores(part: pd.DataFrame, task: str, method: str, value: str, scene: str, image: str | None) -> Scores:
    """Line the scores of one task up, so that every column of numbers is one image of all methods."""
    of_task = f" of task {task!r}" if task else ""
    unit = [scene] if image is None else [scene, image]
    keyed = part.assign(**{value: part[value].astype(float)}).groupby([method, *unit], sort=True)[value]
    counts, means = keyed.size().unstack(method).fillna(0), keyed.mean().unstack(method)
    names = tuple(str(name) for name in means.columns)
    units = [tuple(map(str, where if isinstance(where, tuple) else (where,))) for where in means.index]
    table = counts.to_numpy(dtype=int)
    if image is not None and (table > 1).any():
        row, who = np.argwhere(table > 1)[0]
        raise RestorebenchError(
            f"method {names[who]!r} has several scores of image {units[row][1]!r}{of_task}; keep one"
        )
    uneven = table != table.max(axis=1, keepdims=True)
    if uneven.any():
        row, who = np.argwhere(uneven)[0]
        what = ", ".join(f"{kind} {name!r}" for kind, name in zip(("scene", "image"), units[row], strict=False))
        raise RestorebenchError(
            f"method {names[who]!r} lacks scores of {what}{of_task} that others have; methods are compared on the"
            " same images: leave these out for all methods, or leave the method out"
        )
    scenes = np.repeat([where[0] for where in units], table[:, 0])
    return Scores(names, tuple(scenes.tolist()), np.repeat(means.to_numpy(dtype=float).T, table[:, 0], axis=1))


def _only(scores: Scores, names: Sequence[str]) -> Scores:
    rows = [scores.names.index(name) for name in names]
    return Scores(tuple(names), scores.scenes, scores.values[rows])
