"""Run a text encoder of transformers on prompts with pseudo-words among their tokens."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from restorebench_textualdegrem.splice import spliced


def encoded(model: Any, ids: Tensor, words: Tensor | None = None, index: Tensor | None = None) -> Tensor:
    """Encode token ids (B, 77) to (B, 77, C), after the last normalisation, under a causal mask alone.

    words: (B, n, C), in place of token `index` (B,) of each prompt. model: a `CLIPTextModel`.

    Raises:
        ValueError: the words would not fit.
    """
    if words is None or index is None:
        plain: Tensor = model(input_ids=ids).last_hidden_state
        return plain

    def with_words(module: Any, given: Any, embeddings: Tensor) -> Tensor:
        return spliced(embeddings, words, index)

    # positions are added after the layer that is hooked, and its name has changed between releases
    hook = model.get_input_embeddings().register_forward_hook(with_words)
    try:
        out: Tensor = model(input_ids=ids).last_hidden_state
    finally:
        hook.remove()
    return out
