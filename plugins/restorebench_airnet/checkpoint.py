"""Networks built from weights. Sizes and the queue's length are read from the file."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from restorebench import MissingResource, RestorebenchError, Runtime
from restorebench.toolbox import weights
from restorebench.toolbox.networks import drawn_from
from restorebench_airnet.network import AirNet, ImageNetwork, Sizes
from restorebench_airnet.options import UNTRAINED
from restorebench_airnet.published import PUBLISHED

State = Mapping[str, Tensor]

TINY = Sizes(width=8, groups=1, blocks=2, queue=16)
EXPECTED = "expected: a state dictionary of AirNet, such as All.pth"
_GUIDE = "E.E.encoder_q.E_pre."
_UNUSED = ("E.E.encoder_k.", "E.E.queue", "E.E.encoder_q.E.", "E.E.encoder_q.mlp.")


def image_network(choice: str | Path, runtime: Runtime) -> ImageNetwork:
    """Build the network that restores images, from published weights or a file, or a tiny untrained one.

    Tensors that do not affect restored images are left out; a file need not have them.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    if choice == UNTRAINED:
        with drawn_from():
            return ImageNetwork(TINY).eval()
    path = choice if isinstance(choice, Path) else weights.fetch(PUBLISHED[choice], runtime)
    state = read(path)
    network = ImageNetwork(sizes_of(state, path))
    used = {
        name.replace(_GUIDE, "E_pre.", 1) if name.startswith(_GUIDE) else name: value
        for name, value in needed(state).items()
    }
    weights.load(network, used, path, EXPECTED)
    return network.eval()


def needed(state: State) -> dict[str, Tensor]:
    """Return the tensors of a whole network that affect restored images."""
    return {name: value for name, value in state.items() if not name.startswith(_UNUSED)}


def whole_network(path: Path) -> AirNet:
    """Build the whole network from a file, to continue its training.

    Raises:
        RestorebenchError: the file is missing or broken, or holds another network.
    """
    state = read(path)
    network = AirNet(sizes_of(state, path))
    weights.load(network, state, path, EXPECTED)
    return network


def read(path: Path) -> dict[str, Tensor]:
    """Read a checkpoint's tensors; an error also says which file was expected.

    Raises:
        MissingResource: there is no such file.
        RestorebenchError: the file is truncated, holds code, or holds no tensors.
    """
    try:
        return weights.read(path)
    except MissingResource:
        raise
    except RestorebenchError as error:
        raise RestorebenchError(f"{error}; {EXPECTED}") from error


def sizes_of(state: State, path: Path) -> Sizes:
    """Read the sizes of a network from its tensors; without a queue, its length is the default.

    Raises:
        RestorebenchError: the file holds another network.
    """
    first = state.get("R.head.0.weight")
    groups, blocks = (_count(state, rf"R\.body\.{names}\.") for names in (r"(\d+)\.body", r"0\.body\.(\d+)\.dgm1"))
    shuffle = math.isqrt(first.shape[1] // 3) if first is not None and first.ndim == 4 and first.numel() else 0
    if first is None or not shuffle or not groups or not blocks or first.shape[1] != 3 * shuffle**2:
        known = ", ".join(sorted(state)[:3])
        raise RestorebenchError(f"weights {path}: this file holds another network ({known}, ...); {EXPECTED}")
    queue = state.get("E.E.queue")
    length = queue.shape[1] if queue is not None and queue.ndim == 2 else Sizes.queue
    everywhere = "R.body.0.body.0.dgm1.dcn.weight" in state
    residual = weights.notes(path).get("residual", False) is True
    return Sizes(
        width=first.shape[0],
        groups=groups,
        blocks=blocks,
        queue=length,
        deformable="all" if everywhere else "last",
        shuffle=shuffle,
        residual=residual,
        scene="R.scene.0.weight" in state,
    )


def _count(state: State, pattern: str) -> int:
    """Count the different numbers that the group of a pattern matches in the names of tensors."""
    return len({match[1] for name in state if (match := re.match(pattern, name))})
