"""Photographs: those that come with an installed package, or those of a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from restorebench.contract.errors import MissingResource, RestorebenchError
from restorebench.toolbox.files import file_digest
from restorebench.toolbox.images import SUFFIXES

EMBEDDED = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "motorcycle_left.png",
    "motorcycle_right.png",
)
"""Photographs in the wheel of scikit-image. The motorcycles are a stereo pair: one scene."""


def embedded() -> dict[str, Path]:
    """Map the stem of each embedded photograph to its file, without importing scikit-image.

    Raises:
        MissingResource: scikit-image is not installed, or lacks its data files.
    """
    spec = find_spec("skimage")
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = [Path(folder) / "data" / name for folder in folders[:1] for name in EMBEDDED]
    absent = [path for path in files if not path.is_file()]
    if not files or absent:
        raise MissingResource(
            f"the embedded photographs are not in scikit-image ({absent[0] if absent else 'not installed'}); "
            "reinstall scikit-image, or name a folder of photographs"
        )
    return {path.stem: path for path in files}


def listed(source: str | Path, limit: int | None = None) -> list[Path]:
    """List the images in a folder in order of their names, or the embedded ones (`embedded`); at most `limit`.

    Raises:
        RestorebenchError: there is no such folder, it holds no image, or the limit is not positive.
    """
    if limit is not None and limit < 1:
        raise RestorebenchError(f"a limit of {limit} photographs leaves none; give at least 1")
    if str(source) == "embedded":
        return list(embedded().values())[:limit]
    folder = Path(source)
    if not folder.is_dir():
        raise MissingResource(f"{folder}: no such folder; give a folder of images, or `embedded`")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not found:
        raise RestorebenchError(f"{folder}: holds no image ({', '.join(SUFFIXES)})")
    return found[:limit]


def digest(paths: Iterable[Path]) -> str:
    """Return the sha256 over the sorted sha256 digests of files; it does not depend on their names."""
    return hashlib.sha256("".join(sorted(file_digest(path) for path in paths)).encode()).hexdigest()


def by_stem(folder: Path) -> dict[str, Path]:
    """Map the stem of each image in a folder to its file.

    Raises:
        RestorebenchError: there is no such folder, it holds no image, or two images share a stem.
    """
    found: dict[str, Path] = {}
    for path in listed(folder):
        if path.stem in found:
            raise RestorebenchError(f"{folder}: {found[path.stem].name} and {path.name} share a stem; keep one")
        found[path.stem] = path
    return found
