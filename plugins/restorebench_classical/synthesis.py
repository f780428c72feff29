"""The benchmark's own synthesisers, for fitting and measuring."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench import TEN, TEN_NAMES, Runtime, discover
from restorebench.toolbox.options import loaded

if TYPE_CHECKING:
    from restorebench import Degradation

CROP_PX = 256


def synthesisers() -> Mapping[str, Degradation]:
    """Load the degradation of each of the ten tasks with its default options.

    This looks for all plugins: call it once.
    """
    find = discover().find
    runtime = Runtime("cpu", 1, Path(), {}, True, TEN, find)
    return {task: loaded(find("degradation", task), {}, runtime) for task in TEN_NAMES}
