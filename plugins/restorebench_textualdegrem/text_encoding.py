"""Encoding of prompts with pseudo-words among their tokens, by a text encoder of transformers."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from restorebench_textualdegrem.splice import spliced


def encoded(model: Any, ids: Tensor, words: Tensor | None = None, index: Tensor | None = None) -> Tensor:
    """Encode token ids (B, 77) to (B, 77, C), after the last normalisation, with a causal mask only.

    words: (B, n, C), which replace token `index` (B,) of each prompt. model: a `CLIPTextModel`.

    Raises:
        ValueError: the words would not fit.
    """
    if words is None or index is None:
        plain: Tensor = model(input_ids=ids).last_hidden_state
        return plain

    def with_words(module: Any, given: Any, embeddings: Tensor) -> Tensor:
        return spliced(embeddings, words, index)

    # positions are added after this layer; its name has changed between releases, so it is not found by name
    hook = model.get_input_embeddings().register_forward_hook(with_words)
    try:
        out: Tensor = model(input_ids=ids).last_hidden_state
    finally:
        hook.remove()
    return out
