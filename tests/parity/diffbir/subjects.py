"""The subjects of comparison, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from tests.parity.comparing import Fixtures, Row
from tests.parity.diffbir import mathematics, networks, runs

SUBJECTS: dict[str, Callable[[Fixtures], Iterator[Row]]] = {
    "schedules": mathematics.schedules,
    "trajectories": mathematics.trajectories,
    "image_ops": mathematics.image_ops,
    "guidance": mathematics.guidance,
    "guidance_vae": networks.guided_decoding,
    "key_map": networks.names,
    "tiny_vae": networks.autoencoder,
    "text_tiny": networks.texts,
    "tiny_control_unet": networks.small_diffusion,
    "swinir": networks.swinir,
    "bsrnet": networks.bsrnet,
    "scunet": networks.scunet,
    "full_control_unet": networks.full_diffusion,
    "e2e_condition": runs.condition,
    **{f"e2e_{name}": partial(runs.run, name=name) for name in runs.NAMES},
}
"""All subjects by name."""


def compare(name: str, fixtures: Fixtures) -> list[Row]:
    """Return the rows of one subject."""
    with torch.no_grad():
        return list(SUBJECTS[name](fixtures))
