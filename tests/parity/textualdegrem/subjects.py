"""The subjects of comparison, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from tests.parity.comparing import Fixtures, Row
from tests.parity.textualdegrem import aggregation, networks, texts

SUBJECTS: dict[str, Callable[[Fixtures], Iterator[Row]]] = {
    "layout": networks.layout,
    "text_injection": texts.injection,
    "text_model": texts.text_model,
    "cross_attention": texts.attention,
    "ddim_guidance": texts.diffusion,
    "preprocess_clip": texts.preprocessing,
}
for _name in aggregation.CASES:
    SUBJECTS[f"aggregation_{_name}"] = partial(aggregation.aggregation, name=_name)
for _name in ("w2", "w20_full"):
    SUBJECTS[f"mapper_{_name}"] = partial(texts.mappers, name=_name)
for _name in networks.CASES:
    SUBJECTS[_name] = partial(networks.restorations, name=_name)
"""All subjects by name."""


def compare(name: str, fixtures: Fixtures) -> list[Row]:
    """Return the rows of one subject."""
    with torch.no_grad():
        return list(SUBJECTS[name](fixtures))
