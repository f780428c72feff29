"""Multinomial logistic regression on described images: small enough to ship, quick enough to fit on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np

from restorebench.errors import MissingResource, RestorebenchError
from restorebench.toolbox.files import replaced

Array = np.ndarray[Any, Any]

LIMIT = 6.0
"""Standard deviations; a value beyond the training set's range says no more than this."""


@dataclass(frozen=True)
class LinearModel:
    """Class probabilities from standardised values.

    names: the C classes. centre, scale: (K,). weights: (C, K). bias: (C,).
    """

    names: tuple[str, ...]
    centre: Array
    scale: Array
    weights: Array
    bias: Array

    def probabilities(self, rows: Array, temperature: float = 1) -> Array:
        """Return class probabilities, (N, C) float64, of values (N, K)."""
        logits = _standardised(rows, self.centre, self.scale) @ self.weights.T + self.bias
        return _softmax(logits / temperature)

    def save(self, path: Path) -> None:
        """Write the coefficients as float32, compressed."""
        arrays = {name: getattr(self, name).astype(np.float32) for name in ("centre", "scale", "weights", "bias")}
        with replaced(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, names=np.array(self.names), **arrays)


def read(source: Path | IO[bytes]) -> LinearModel:
    """Read coefficients that `LinearModel.save` wrote.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: it holds something else.
    """
    if isinstance(source, Path) and not source.is_file():
        raise MissingResource(f"{source}: no such file")
    try:
        with np.load(source, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float64) for name in ("centre", "scale", "weights", "bias")}
            return LinearModel(tuple(str(name) for name in stored["names"]), **arrays)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise RestorebenchError(f"{source}: not the coefficients of a linear model ({error})") from error


def fit(
    rows: Array, classes: Array, names: Sequence[str], ridge: float, importance: Array | None = None
) -> LinearModel:
    """Fit by L-BFGS: values (N, K) and class numbers (N,), each row weighing its importance, 1 by default.

    ridge: the penalty on squared weights, against the mean loss of a row.
    """
    from scipy.optimize import minimize

    centre, scale = rows.mean(0), rows.std(0) + 1e-6
    inputs = _standardised(rows, centre, scale)
    wanted = np.eye(len(names))[classes]
    share = np.ones(len(rows)) if importance is None else importance
    share = (share / share.sum())[:, None]

    def loss(flat: Array) -> tuple[float, Array]:
        table = flat.reshape(len(names), -1)
        weights, bias = table[:, :-1], table[:, -1]
        given = _softmax(inputs @ weights.T + bias)
        error = (given - wanted) * share
        value = -(share * wanted * np.log(given + 1e-300)).sum() + ridge * np.square(weights).sum()
        return value, np.c_[error.T @ inputs + 2 * ridge * weights, error.sum(0)].ravel()

    start = np.zeros(len(names) * (inputs.shape[1] + 1))
    table = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    table = table.reshape(len(names), -1)
    return LinearModel(tuple(names), centre, scale, table[:, :-1], table[:, -1])


def _standardised(rows: Array, centre: Array, scale: Array) -> Array:
    return np.clip((rows - centre) / scale, -LIMIT, LIMIT)


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
