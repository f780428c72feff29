"""Insertion of pseudo-words into a prompt, between its token embeddings and the text encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

PROMPT = "a photo of a S"
PLACEHOLDER = "S"


def place_of(prompt: str = PROMPT) -> int:
    """Return the placeholder's index among tokens: one token opens, and each word before it must be one token.

    Raises:
        ValueError: the prompt has no placeholder.
    """
    return prompt.split().index(PLACEHOLDER) + 1


def spliced(embeddings: Tensor, words: Tensor, index: Tensor) -> Tensor:
    """Replace one token of each prompt by all its words; later tokens shift to the right, and the end is cut off.

    embeddings: (B, L, C), without positions, which are added later. words: (B, n, C). index: (B,), the token to
    replace. The result is (B, L, C).

    Raises:
        ValueError: the words would not fit.
    """
    length, count = embeddings.shape[1], words.shape[1]
    if int(index.min()) < 0 or int(index.max()) + count > length:
        raise ValueError(
            f"{count} words in place of token {int(index.max())} do not fit a prompt of {length} tokens: "
            "put the placeholder further to the front, or take fewer words"
        )
    position = torch.arange(length, device=embeddings.device)
    first = index[:, None]
    within = (position >= first) & (position < first + count)
    after = position >= first + count
    # in the table that is gathered from, the words follow the tokens
    source = torch.where(within, length + position - first, torch.where(after, position - count + 1, position))
    table = torch.cat((embeddings, words.to(embeddings.dtype)), dim=1)
    return table.gather(1, source[..., None].expand(-1, -1, table.shape[-1]))
