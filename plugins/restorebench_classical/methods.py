"""The method for each task, and the order in which the parts of a mixture are undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from restorebench_classical.haze import dehaze
from restorebench_classical.jpeg import deblock
from restorebench_classical.low_light import brighten
from restorebench_classical.motion import deblur
from restorebench_classical.noise import denoise
from restorebench_classical.rain import derain
from restorebench_classical.raindrop import keep
from restorebench_classical.shadow import relight
from restorebench_classical.snow import desnow
from restorebench_classical.uncompleted import fill

if TYPE_CHECKING:
    from restorebench import Image

METHODS: Mapping[str, Callable[[Image], Image]] = {
    "uncompleted": fill,
    "jpeg-compressed": deblock,
    "noisy": denoise,
    "low-light": brighten,
    "motion-blurry": deblur,
    "raindrop": keep,
    "hazy": dehaze,
    "rainy": derain,
    "snowy": desnow,
    "shadowed": relight,
}
"""Methods by task, in the order of undoing: the last degradation on the light's way is undone first."""


def plan(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels that have a method, the last stage of `restorebench.Stage` first; ignore the others."""
    wanted = set(labels)
    return tuple(task for task in METHODS if task in wanted)
