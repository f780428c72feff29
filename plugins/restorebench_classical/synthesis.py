"""The benchmark's own synthesisers, for fitting and measuring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench import TEN_NAMES, Runtime
from restorebench.catalog import discover
from restorebench.contracts import resolve
from restorebench.tasks import TEN
from restorebench.toolbox.options import validated

if TYPE_CHECKING:
    from restorebench.contracts import Degradation

CROP_PX = 256


def synthesisers() -> Mapping[str, Degradation]:
    """Load the degradation of each of the ten tasks with its default options.

    This looks for all plugins: call it once.
    """
    find = discover().find
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, find)
    cards = {task: find("degradation", task) for task in TEN_NAMES}
    return {task: resolve(card.load)(validated(card, {}), runtime) for task, card in cards.items()}
