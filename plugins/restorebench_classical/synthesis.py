"""Degrade photographs with the benchmark's own recipes, for fitting and measuring."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench import RestorebenchError, Runtime
from restorebench.catalog import Catalog, discover, validated_options
from restorebench.contracts import resolve
from restorebench.tasks import TEN
from restorebench.toolbox.images import SUFFIXES, pixel_digest, quantise
from restorebench.toolbox.photographs import embedded
from restorebench.toolbox.seeding import generator

if TYPE_CHECKING:
    from restorebench.contracts import Degradation, Image

CROP_PX = 256


def photographs(place: str) -> list[Path]:
    """List the images of a folder by name, or the photographs that scikit-image carries (`embedded`).

    Raises:
        RestorebenchError: the folder holds no image.
    """
    if place == "embedded":
        return list(embedded().values())
    found = sorted(path for path in Path(place).glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise RestorebenchError(f"no photographs in {place}; give a folder of images, or `embedded`")
    return found


def centre(image: Image, side: int = CROP_PX) -> Image:
    """Cut the central square, or what there is of it."""
    top, left = (max(length - side, 0) // 2 for length in image.shape[:2])
    return image[top : top + side, left : left + side]


def synthesiser(task: str, catalog: Catalog | None = None) -> Degradation:
    """Load the benchmark's degradation of one task, with its default options."""
    catalog = catalog or discover()
    card = catalog.find("degradation", task)
    nothing: dict[str, Any] = {}
    runtime = Runtime("cpu", 1, Path(), nothing, True, TEN, partial(catalog.find))
    loaded: Degradation = resolve(card.load)(validated_options(card, nothing), runtime)
    return loaded


def degrade(degradation: Degradation, task: str, clean: Image, severity: int, seed: int = 0) -> Image:
    """Degrade a whole image as the benchmark's datasets do: seeded by pixels, task and severity, at 8 bits."""
    return quantise(
        degradation.degrade(clean, severity, generator(seed, pixel_digest(clean), task, severity)).image
    )
