"""The comparisons, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from tests.parity.comparing import Row
from tests.parity.daclip import diffusion, outputs, pixels, training
from tests.parity.daclip.fixtures import Fixtures

SUBJECTS: dict[str, Callable[[Fixtures], Iterator[Row]]] = {
    "schedule": diffusion.schedule_tables,
    "steps": diffusion.single_steps,
    "toy": diffusion.toy_runs,
    "preprocessing": pixels.preprocessing,
    "metrics": pixels.metrics,
    "degradations": pixels.degradations,
    "controller-losses": training.controller_losses,
    "restorer-losses": training.restorer_losses,
}
for _name in ("unet_tiny", "unet_wild_tiny"):
    SUBJECTS[f"run_{_name}"] = partial(diffusion.tiny_runs, name=_name)
for _size, _allowed in (("tiny", 1e-4), ("full", 3e-4)):
    for _name in ("unet", "unet_wild", "irsde_unet"):
        SUBJECTS[f"{_name}_{_size}"] = partial(outputs.unet_outputs, name=f"{_name}_{_size}", allowed=_allowed)
    SUBJECTS[f"refusion_nafnet_{_size}"] = partial(
        outputs.nafnet_outputs, name=f"refusion_nafnet_{_size}", allowed=_allowed
    )
for _name, _allowed in (("daclip_tiny", 2e-5), ("daclip_vitb32", 5e-5), ("daclip_vitl14", 5e-5)):
    SUBJECTS[_name] = partial(outputs.controller_outputs, name=_name, allowed=_allowed)
"""All subjects by name."""


def compare(name: str, fixtures: Fixtures) -> list[Row]:
    """Return the rows of one subject."""
    with torch.set_grad_enabled(name.endswith("losses")):
        return list(SUBJECTS[name](fixtures))
