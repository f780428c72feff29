"""The ten canonical restoration tasks, and set-valued names such as `hazy+rainy` for their mixtures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CLEAN = "clean"
"""Name of the pseudo-task whose input is the clean image itself: what does a restorer break?"""


@dataclass(frozen=True)
class Task:
    """One kind of degradation. `prompt` is the text a CLIP model is asked about."""

    name: str
    title: str
    prompt: str


TEN: tuple[Task, ...] = (
    Task("motion-blurry", "Motion blur", "motion-blurry"),
    Task("hazy", "Haze", "hazy"),
    Task("jpeg-compressed", "JPEG artefacts", "jpeg-compressed"),
    Task("low-light", "Low light", "low-light"),
    Task("noisy", "Noise", "noisy"),
    Task("raindrop", "Raindrops on glass", "raindrop"),
    Task("rainy", "Rain streaks", "rainy"),
    Task("shadowed", "Shadows", "shadowed"),
    Task("snowy", "Snow", "snowy"),
    Task("uncompleted", "Missing regions", "uncompleted"),
)
"""The tasks in the order of every table: the order of the DA-CLIP paper (Luo et al., ICLR 2024)."""

TEN_NAMES: tuple[str, ...] = tuple(task.name for task in TEN)


def components(name: str) -> tuple[str, ...]:
    """Split a task name into its degradations: `hazy+rainy` gives two, `clean` none."""
    return () if name == CLEAN else tuple(name.split("+"))


def canonical(name: str) -> str:
    """Write a mixture in the order of the tables: `rainy+hazy` is `hazy+rainy`."""
    return composite(components(name))


def composite(names: Iterable[str]) -> str:
    """Join degradations into one task name, in canonical order; none at all is `clean`.

    Names outside the ten follow in alphabetical order.
    """
    known = {name: place for place, name in enumerate(TEN_NAMES)}
    ordered = sorted(set(names), key=lambda name: (known.get(name, len(known)), name))
    return "+".join(ordered) if ordered else CLEAN
