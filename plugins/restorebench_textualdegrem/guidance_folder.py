"""Guidance from a folder: images that were generated before, found by the name of the degraded image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from restorebench import MissingResource, RestorebenchError
from restorebench.toolbox import images

if TYPE_CHECKING:
    from restorebench import Image

_SUFFIXES = tuple(form for suffix in images.SUFFIXES for form in (suffix, suffix.upper()))


def _stays_inside(stem: str) -> bool:
    """Return whether a path below a folder stays inside it; names come from data, so they are not trusted."""
    return ".." not in stem.split("/") and not stem.startswith("/")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # the name is longer than the file system allows
        return False


class GuidanceFolder:
    """Guidance images `FOLDER/TASK/ID.png`, or `FOLDER/ID.png` for all tasks; any image suffix and any size."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise MissingResource(f"{folder}: no such folder of guidance images; correct the path")
        self.folder = folder

    def path(self, sample: str) -> Path:
        """Return the guidance file of `TASK/ID`.

        Raises:
            MissingResource: there is none.
            RestorebenchError: there are several.
        """
        _, _, name = sample.partition("/")
        stems = [stem for stem in dict.fromkeys((sample, name)) if _stays_inside(stem)]
        paths = [self.folder / f"{stem}{suffix}" for stem in stems for suffix in _SUFFIXES]
        found = [path for path in paths if _is_file(path)]
        if not found:
            raise MissingResource(
                f"guidance folder {self.folder}: no image for {sample}; expected {sample}.png, or {name}.png for"
                " every task"
            )
        if len(found) > 1:
            several = " and ".join(path.relative_to(self.folder).as_posix() for path in found[:2])
            raise RestorebenchError(
                f"guidance folder {self.folder}: {several} both fit {sample}; keep one of them"
            )
        return found[0]

    def image(self, sample: str) -> Image:
        """Read the guidance of `TASK/ID`: (H, W, 3) float32 in [0, 1].

        Raises:
            RestorebenchError: there is none, or several, or the file is no image.
        """
        return images.read(self.path(sample))
