"""The ten canonical restoration tasks, and names such as `hazy+rainy` for their mixtures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

CLEAN = "clean"
"""The pseudo-task whose input is the clean image itself; it shows how much a restorer damages good images."""


@dataclass(frozen=True)
class Task:
    """One kind of degradation. `prompt` is the text that describes it to a CLIP model."""

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
"""The tasks in the order in which every table lists them, that of the DA-CLIP paper (Luo et al., ICLR 2024)."""

TEN_NAMES: tuple[str, ...] = tuple(task.name for task in TEN)


def components(name: str) -> tuple[str, ...]:
    """Split a task name into its degradations: two for `hazy+rainy`, none for `clean`.

    >>> components("hazy+rainy"), components("clean")
    (('hazy', 'rainy'), ())
    """
    return () if name == CLEAN else tuple(name.split("+"))


def canonical(name: str) -> str:
    """Return a task name with its degradations in canonical order: `rainy+hazy` becomes `hazy+rainy`."""
    return composite(components(name))


def composite(names: Iterable[str]) -> str:
    """Join degradations into one task name, in canonical order; no degradation gives `clean`.

    Names outside the ten follow in alphabetical order.

    >>> composite(["rainy", "hazy"]), composite([])
    ('hazy+rainy', 'clean')
    """
    known = {name: index for index, name in enumerate(TEN_NAMES)}
    ordered = sorted(set(names), key=lambda name: (known.get(name, len(known)), name))
    return "+".join(ordered) if ordered else CLEAN
