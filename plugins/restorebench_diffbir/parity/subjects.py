"""What is compared, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from restorebench.toolbox.parity import Fixtures, Row
from restorebench_diffbir.parity import mathematics

SUBJECTS: dict[str, Callable[[Fixtures], Iterator[Row]]] = {
    "schedules": mathematics.schedules,
    "trajectories": mathematics.trajectories,
    "image_ops": mathematics.image_ops,
    "guidance": mathematics.guidance,
}
"""All subjects by name."""


def compare(name: str, fixtures: Fixtures) -> list[Row]:
    """Return the rows of one subject."""
    with torch.no_grad():
        return list(SUBJECTS[name](fixtures))
