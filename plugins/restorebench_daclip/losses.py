"""The losses of the two stages of training."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from restorebench_daclip import sde
from restorebench_daclip.sde import Schedule

# ---------------------------------------------------------------- restorer


def matching_loss(
    schedule: Schedule,
    noise: Tensor,
    state: Tensor,
    degraded: Tensor,
    clean: Tensor,
    step: Tensor,
    norm: Literal["l1", "l2"] = "l1",
    weighted: bool = False,
) -> Tensor:
    """Compare the expected next state under predicted noise with the optimal one.

    Images are (B, C, H, W), step is (B, 1, 1, 1). weighted: multiply the error by the weight of the clean image in
    the state; the published configurations do not.
    """
    expected = sde.reverse_sde_mean(schedule, state, degraded, step, sde.score_from_noise(schedule, noise, step))
    optimal = sde.posterior_mean(schedule, state, degraded, step, clean)
    return _distance(expected, optimal, norm, schedule.decay(step) if weighted else None)


def data_loss(difference: Tensor, degraded: Tensor, clean: Tensor, norm: Literal["l1", "l2"] = "l1") -> Tensor:
    """Compare a predicted `clean - degraded` with the true one."""
    return _distance(difference, clean - degraded, norm)


def _distance(predicted: Tensor, wanted: Tensor, norm: str, weight: Tensor | None = None) -> Tensor:
    difference = predicted - wanted
    each = difference.abs() if norm == "l1" else difference.square()
    return (each if weight is None else each * weight).mean()


# ---------------------------------------------------------------- controller


def contrastive_loss(images: Tensor, texts: Tensor, log_scale: Tensor) -> Tensor:
    """Pull each image to its text and away from all others, in both directions; features (B, D) of length one."""
    logits = log_scale.exp() * images @ texts.T
    own = torch.arange(len(images), device=images.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def supervised_loss(degradations: Tensor, prompts: Tensor, tasks: Tensor, log_scale: Tensor) -> Tensor:
    """Classify degradation features (B, D) by the tasks' texts (T, D), both of length one; tasks: (B,) indices.

    Unlike the contrastive loss it does not push equal degradations in a batch apart.
    """
    return F.cross_entropy(log_scale.exp() * degradations @ prompts.T, tasks)
