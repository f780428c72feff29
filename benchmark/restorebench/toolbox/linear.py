"""Multinomial logistic regression on image features: small enough to ship, fast enough to fit on demand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from restorebench.contract.errors import MissingResource, RestorebenchError
from restorebench.toolbox.files import replaced

Array = np.ndarray[Any, Any]

_ARRAYS = ("centre", "scale", "weights", "bias")

_MAX_UNPACKED = 100_000_000  # bytes; a model of 1000 classes and 10,000 values takes 40 million

LIMIT = 6.0
"""In standard deviations: values are clipped to +-LIMIT, as those beyond the training set's range say no more."""


@dataclass(frozen=True)
class LinearModel:
    """Class probabilities from standardised values.

    names: the C classes. centre, scale: (K,). weights: (C, K). bias: (C,). about: a description of the values,
    given when the model was fitted.
    """

    names: tuple[str, ...]
    centre: Array
    scale: Array
    weights: Array
    bias: Array
    about: Mapping[str, str] = field(default_factory=dict)

    def probabilities(self, rows: Array, temperature: float = 1) -> Array:
        """Return the class probabilities (N, C), float64, of values (N, K)."""
        logits = _standardised(rows, self.centre, self.scale) @ self.weights.T + self.bias
        return _softmax(logits / temperature)

    def save(self, path: Path) -> None:
        """Write the coefficients as float32, compressed.

        Raises:
            OSError: they cannot be written there.
        """
        arrays = {name: getattr(self, name).astype(np.float32) for name in _ARRAYS}
        if self.about:
            arrays["about"] = np.array(json.dumps(self.about, sort_keys=True))
        with replaced(path) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, names=np.array(self.names), **arrays)


def read(source: Path | IO[bytes]) -> LinearModel:
    """Read coefficients that `LinearModel.save` wrote.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: the file holds something else.
    """
    if isinstance(source, Path) and not source.is_file():
        raise MissingResource(f"{source}: no such file")
    try:
        with np.load(source, allow_pickle=False) as stored:
            if sum(member.file_size for member in stored.zip.infolist()) > _MAX_UNPACKED:
                raise ValueError(f"it unpacks to more than {_MAX_UNPACKED:,} bytes")
            arrays = {name: stored[name].astype(np.float64) for name in _ARRAYS}
            about = json.loads(str(stored["about"])) if "about" in stored else {}
            model = LinearModel(tuple(str(name) for name in stored["names"]), **arrays, about=about)
        problem = _problem(model)
    except Exception as error:  # damaged archives and arrays raise errors of many types
        problem = (str(error).splitlines() or [type(error).__name__])[0]
    if problem:
        raise RestorebenchError(f"{source}: not the coefficients of a linear model ({problem})")
    return model


def _problem(model: LinearModel) -> str:
    """Return why a model's arrays cannot be coefficients; empty if they can."""
    classes, values = len(model.names), model.centre.size
    wanted = {"centre": (values,), "scale": (values,), "weights": (classes, values), "bias": (classes,)}
    for name, shape in wanted.items():
        array: Array = getattr(model, name)
        if array.shape != shape:
            return f"{name} is {list(array.shape)}, not {list(shape)}, for {classes} classes"
        if not np.isfinite(array).all():
            return f"{name} is not finite"
    if classes < 2 or len(set(model.names)) < classes:
        return "at least two classes are needed, with different names"
    if not (model.scale > 0).all():
        return "scale is not positive"
    if not isinstance(model.about, dict) or not all(isinstance(value, str) for value in model.about.values()):
        return "about is not a mapping of words"
    return ""


def fit(
    rows: Array, classes: Array, names: Sequence[str], ridge: float, importance: Array | None = None
) -> LinearModel:
    """Fit by L-BFGS to values (N, K) and class numbers (N,); rows are weighted by importance (N,), 1 by default.

    ridge: the factor of the squared weights, which are added to the mean loss per row.
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
