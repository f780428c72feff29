"""What the datasets share: listing images, naming files in errors, cropping, digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from restorebench import MissingResource, RestorebenchError
from restorebench.toolbox.images import SUFFIXES

if TYPE_CHECKING:
    import numpy as np


def list_images(folder: Path) -> dict[str, Path]:
    """Map the relative path without extension of each image below a folder to its file, in sorted order.

    Hidden files and files that are no images by their suffix are left out.

    Raises:
        MissingResource: there is no such folder.
        RestorebenchError: it holds no image, or two files differ in their extension only.
    """
    if not folder.is_dir():
        raise MissingResource(f"{folder}: no such folder; check the path in the dataset's options")
    found: dict[str, Path] = {}
    twice: list[Path] = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if hidden or path.suffix.lower() not in SUFFIXES or not path.is_file():
            continue
        stem = inside.with_suffix("").as_posix()
        if stem in found:
            twice += [found[stem], path]
        found[stem] = path
    if twice:
        names = few(path.relative_to(folder).as_posix() for path in twice)
        raise RestorebenchError(f"{folder}: files that differ in their extension only: {names}; keep one of each")
    if not found:
        raise RestorebenchError(f"{folder}: holds no image ({', '.join(SUFFIXES)})")
    return {stem: found[stem] for stem in sorted(found)}


def few(names: Iterable[str], shown: int = 5) -> str:
    """Join the first few names and count the rest."""
    listed = list(names)
    rest = f" and {len(listed) - shown} more" if len(listed) > shown else ""
    return ", ".join(listed[:shown]) + rest


def check_crop(path: Path, height: int, width: int, crop: int | None) -> None:
    """Refuse an image that a crop does not fit into."""
    if crop is not None and min(height, width) < crop:
        raise RestorebenchError(
            f"{path}: is {height} x {width} (height x width), smaller than the crop of {crop}; "
            "lower `crop` or remove the image"
        )


def cropped_size(height: int, width: int, crop: int | None) -> tuple[int, int]:
    """Return the (height, width) that `centre_crop` leaves."""
    return (height, width) if crop is None else (crop, crop)


def centre_crop(array: np.ndarray[Any, Any], crop: int | None) -> np.ndarray[Any, Any]:
    """Cut a centred square of side `crop` out of (H, W, ...), as a copy; None keeps everything."""
    if crop is None:
        return array
    top, left = (array.shape[0] - crop) // 2, (array.shape[1] - crop) // 2
    return array[top : top + crop, left : left + crop].copy()


def digest(**facts: Any) -> str:
    """Hash JSON-ready facts into a sha256 hex digest."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
