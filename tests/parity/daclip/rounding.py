"""Bounds of the float32 error of values that are made of exponentials: the arithmetic behind tolerances."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

UNIT = 2.0**-24
"""Half a unit in the last place of float32, relative: the error of one rounded operation."""


def of_exponentials(formula: Callable[..., Tensor], *exponents: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate `formula(exp(-x) for x in exponents)` in float64, with a bound of its error in float32.

    x: float64, at least 0. In float32 x is a rounded product, which changes exp(-x) by x units. The exponential
    errs by one unit in its last place, which is two of ours, on any processor; at x = 0 it is exactly 1. Both
    errors are doubled. The derivative of the formula carries them to the result: it is large where exp(-x) is near
    1 and the formula subtracts it from 1. The few operations of the formula itself add 8 units.
    """
    with torch.enable_grad():
        values = [torch.exp(-x).requires_grad_() for x in exponents]
        result = formula(*values)
        slopes = torch.autograd.grad(result.sum(), values)
    bound = 8 * UNIT * result.detach().abs()
    for x, value, slope in zip(exponents, values, slopes, strict=True):
        error = torch.where(x > 0, 2 * (x + 2) * UNIT * value.detach(), 0.0)
        bound += torch.where(error > 0, slope.abs() * error, 0.0)  # not infinity times zero
    return result.detach(), bound
