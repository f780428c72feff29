"""Encoding of prompts for the networks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from restorebench_diffbir.networks import TOKENS


def tokens(prompts: list[str]) -> Tensor:
    """Turn prompts into (B, 77) token ids, padded with 0 and cut so that the end token stays."""
    import open_clip

    found: Tensor = open_clip.tokenize(prompts, context_length=TOKENS)
    return found


def encoded(tower: Any, ids: Tensor) -> Tensor:
    """Encode token ids (B, 77) to (B, 77, width), after the last normalisation; every token is used."""
    with torch.no_grad():
        out: Tensor = tower(input_ids=ids.long()).last_hidden_state
    return out
