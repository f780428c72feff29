"""Saving restored images in the run folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from restorebench.contract.errors import RunFolderError
from restorebench.contract.values import Sample
from restorebench.journal.trouble import of_folder
from restorebench.toolbox import images

if TYPE_CHECKING:
    from restorebench.contract.values import Image


def save_output(run: Path, path: Path, restored: Image, unrounded: bool) -> None:
    """Save an image of a run folder as PNG, and if `unrounded` also as float32 `.npy` beside it.

    Raises:
        RunFolderError: the disk is full or read-only.
    """
    with _writing(run, path.parent):
        images.write_png(path, restored)
        if unrounded:
            images.write_float(path.with_suffix(".npy"), restored)


def save_triple(run: Path, folder: Path, stem: str, sample: Sample, name: str, restored: Image) -> None:
    """Save the degraded, the clean and the restored image in one folder of a run, for people to compare.

    stem: begins the names of the first two files. name: the file of the restored image.

    Raises:
        RunFolderError: the disk is full or read-only.
    """
    with _writing(run, folder):
        images.write_png(folder / f"{stem}.degraded.png", sample.degraded)
        if sample.clean is not None:
            images.write_png(folder / f"{stem}.clean.png", sample.clean)
        images.write_png(folder / name, restored)


@contextmanager
def _writing(run: Path, folder: Path) -> Iterator[None]:
    """Create a folder and allow writing into it; report a full or read-only disk to the user, not as a failure."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        why = of_folder(run, error) or f"{error.filename or folder}: {error.strerror}; give --out another folder"
        raise RunFolderError(why) from error
